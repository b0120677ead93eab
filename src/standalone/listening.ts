/**
 * Whether a process's network has somebody who listens on a port, as the kernel lists it (proc_pid_net(5), tcp): no connection is
 * made, so that an application is never met by one that says nothing.
 */
import { readFile } from 'node:fs/promises'

const LISTEN = '0A'

/** Ports that are listened on in the network namespace of a process; undefined where the kernel does not tell. */
export async function listeningPorts(pid: number): Promise<ReadonlySet<number> | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => undefined)),
  )
  if (tables.every((table) => table === undefined)) return undefined
  const ports = new Set<number>()
  for (const table of tables)
    for (const line of table?.split('\n').slice(1) ?? []) {
      // sl local_address rem_address st …, the port in hexadecimal behind the address
      const [, local, , state] = line.trim().split(/\s+/)
      if (state === LISTEN && local !== undefined) ports.add(Number.parseInt(local.slice(local.indexOf(':') + 1), 16))
    }
  return ports
}
