// Options that several commands have, and what their values must look like.
import { InvalidArgumentError, Option } from 'commander'

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`; port 0 takes a free one. */
export function hostPort(value: string): string {
  const [, port] = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\d{1,5})$/.exec(value) ?? []
  if (port === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('Expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080.')
  return value
}

export const addressOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(hostPort)

export const logLevelOption = (level: string): Option =>
  new Option('--log-level <level>', 'least level of what is logged')
    .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .default(level)
