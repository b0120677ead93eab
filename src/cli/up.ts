// `heddle up`: the control plane over a folder, and everything in it that can run, each with its own Envoy.
import { Command, Option } from 'commander'
import { missingForNetns } from '../standalone/isolation/netns.ts'
import type { RunnerEvent } from '../standalone/runnable.ts'
import { startStandalone } from '../standalone.ts'
import { isThere } from './is-there.ts'
import { createLogger, stopped, untilStopped } from './logger.ts'
import { addressOption, logLevelOption } from './options.ts'
import { defaultStateDir } from './state-dir.ts'

interface Options {
  readonly stateDir?: string
  readonly isolation?: 'netns' | 'loopback'
  readonly http: string
  readonly xds?: string
  readonly proxyless?: string
  readonly quiet?: boolean
  readonly logLevel: string
}

export function upCommand(): Command {
  return new Command('up')
    .summary('run a whole mesh on this machine')
    .description(
      'Serves the mesh that a folder describes and starts its Workloads, each with an Envoy before it. Ctrl-C stops it all cleanly.',
    )
    .argument('<dir>', 'folder (or file) of YAML')
    .addOption(
      new Option(
        '--isolation <kind>',
        'netns: a network namespace each, intercepted as in a pod (root). loopback: no root',
      ).choices(['netns', 'loopback']),
    )
    .option('--state-dir <dir>', 'CA, join tokens and warm set (mode 0700); by default below ~/.local/state/heddle')
    .addOption(addressOption('--http <host:port>', 'health, metrics and API').default('127.0.0.1:8080'))
    .addOption(addressOption('--xds <host:port>', 'also serve proxies elsewhere (TLS)'))
    .addOption(
      addressOption(
        '--proxyless <host:port>',
        'also serve proxyless gRPC clients, in plaintext, on a loopback address',
      ),
    )
    .option('--quiet', 'do not print what the applications print')
    .addOption(logLevelOption('warn'))
    .addHelpText('after', '\nExamples:\n  heddle up examples/shop/mesh\n  heddle up ./mesh --isolation=loopback\n')
    .action(async (dir: string, options: Options) => {
      await isThere(dir)
      const signal = untilStopped()
      const isolation = options.isolation ?? ((await missingForNetns()).length === 0 ? 'netns' : 'loopback')
      await using standalone = await startStandalone({
        paths: [dir],
        stateDir: options.stateDir ?? defaultStateDir(dir),
        log: createLogger(options.logLevel),
        signal,
        http: options.http,
        ...(options.xds !== undefined && { xds: options.xds }),
        ...(options.proxyless !== undefined && { proxyless: options.proxyless }),
        run: { isolation, onEvent: (event) => print(event, options.quiet ?? false) },
      })
      if (!signal.aborted)
        process.stdout.write(`up (${isolation}); ${standalone.addresses.http ?? ''}; Ctrl-C stops it\n`)
      await stopped(signal)
      process.stdout.write('stopping\n')
    })
}

function print(event: RunnerEvent, quiet: boolean): void {
  const { workload } = event
  switch (event.type) {
    case 'placed':
      return line(workload, `placed at ${event.addresses.join(', ')}`)
    case 'proxy-ready':
      return line(workload, `proxy ready, its log is ${event.log}`)
    case 'app-started':
      return line(workload, `application started, pid ${event.pid}`)
    case 'app-ready':
      return line(workload, 'application ready')
    case 'proxy-exited':
      return line(workload, `proxy ended (${event.reason}); it is started again`)
    case 'app-exited':
      return line(workload, `application ended (${event.reason}); it is started again`)
    case 'failed':
      return line(workload, `failed: ${event.reason}`)
    case 'stopped':
      return line(workload, 'stopped')
    case 'output':
      return quiet ? undefined : line(workload, `| ${event.line}`)
  }
}

function line(workload: string, text: string): void {
  process.stdout.write(`${workload}  ${text}\n`)
}
