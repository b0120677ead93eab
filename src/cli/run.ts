// `heddle run`: the control plane over a folder. Proxies elsewhere connect to it with a join token (`heddle token`).
import { Command } from 'commander'
import { startStandalone } from '../standalone.ts'
import { isThere } from './is-there.ts'
import { createLogger, stopped, untilStopped } from './logger.ts'
import { addressOption, logLevelOption } from './options.ts'
import { defaultStateDir } from './state-dir.ts'

interface Options {
  readonly stateDir?: string
  readonly xds: string
  readonly xdsName?: readonly string[]
  readonly http: string
  readonly proxyless?: string
  readonly logLevel: string
}

export function runCommand(): Command {
  return new Command('run')
    .summary('serve the mesh that a folder describes')
    .description(
      'Serves xDS over a folder of YAML. A changed file is live in under a second; a broken one changes nothing.',
    )
    .argument('<dir>', 'folder (or file) of YAML')
    .option('--state-dir <dir>', 'CA, join tokens and warm set (mode 0700); by default below ~/.local/state/heddle')
    .addOption(addressOption('--xds <host:port>', 'where proxies connect (TLS)').default('127.0.0.1:15012'))
    .option('--xds-name <name...>', 'further names or addresses by which proxies dial it')
    .addOption(addressOption('--http <host:port>', 'health, metrics and API').default('127.0.0.1:8080'))
    .addOption(
      addressOption(
        '--proxyless <host:port>',
        'also serve proxyless gRPC clients, in plaintext, on a loopback address',
      ),
    )
    .addOption(logLevelOption('info'))
    .addHelpText('after', '\nExamples:\n  heddle run ./mesh\n  heddle token ./mesh shop/web > web.token\n')
    .action(async (dir: string, options: Options) => {
      await isThere(dir)
      const signal = untilStopped()
      await using standalone = await startStandalone({
        paths: [dir],
        stateDir: options.stateDir ?? defaultStateDir(dir),
        log: createLogger(options.logLevel),
        signal,
        xds: options.xds,
        ...(options.xdsName !== undefined && { xdsNames: options.xdsName }),
        http: options.http,
        ...(options.proxyless !== undefined && { proxyless: options.proxyless }),
      })
      const { xds, http } = standalone.addresses
      process.stdout.write(`xDS    ${xds.join(', ')}\nHTTP   ${http ?? '-'}\nbundle ${standalone.bundleFile}\n`)
      await stopped(signal)
    })
}
