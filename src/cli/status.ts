// `heddle status`: the workloads of a running control plane, and what each proxy has acknowledged or refused.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { ADDRESS_FILE } from '../standalone/status-server.ts'
import type { MeshStatus, TypeStatus, WorkloadStatus } from '../telemetry/status.ts'
import { defaultStateDir } from './state-dir.ts'
import { some, table } from './table.ts'

interface Options {
  readonly stateDir?: string
  readonly server?: string
  readonly output: 'table' | 'json'
}

export function statusCommand(): Command {
  return new Command('status')
    .summary('show workloads and what their proxies have taken')
    .description(
      'Asks the control plane that runs over a folder for its workloads: connected or not, acknowledged, refused and why.',
    )
    .argument('[dir]', 'the folder that `heddle run` or `heddle up` was given', '.')
    .option('--server <url>', 'address of the control plane, instead of looking it up in the state folder')
    .option('--state-dir <dir>', 'state folder, if it was given to `run` or `up`')
    .addOption(new Option('-o, --output <format>', 'format').choices(['table', 'json']).default('table'))
    .addHelpText('after', '\nExit status: 0 if everything is connected and nothing refused, 1 otherwise.\n')
    .action(async (dir: string, options: Options) => {
      const status = await ask(options.server ?? (await addressOf(options.stateDir ?? defaultStateDir(dir), dir)))
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(status, null, 2)}\n` : describe(status))
      const whole = status.workloads.every(
        ({ proxies }) => proxies.length > 0 && proxies.every((proxy) => refusals(proxy.types).length === 0),
      )
      process.exitCode = whole ? 0 : 1
    })
}

async function addressOf(stateDir: string, dir: string): Promise<string> {
  try {
    return (await readFile(join(stateDir, ADDRESS_FILE), 'utf8')).trim()
  } catch {
    throw new Error(
      `no control plane runs over ${dir}: start one with 'heddle run ${dir}' or 'heddle up ${dir}', or name it with --server`,
    )
  }
}

async function ask(server: string): Promise<MeshStatus> {
  let response: Response
  try {
    response = await fetch(new URL('/api/v1/status', server))
  } catch (error) {
    throw new Error(
      `the control plane at ${server} does not answer (${error instanceof Error ? error.message : String(error)})`,
      { cause: error },
    )
  }
  if (!response.ok) throw new Error(`the control plane at ${server} answered ${response.status}`)
  return (await response.json()) as MeshStatus
}

const SHORT: Readonly<Record<string, string>> = {
  'envoy.config.listener.v3.Listener': 'LDS',
  'envoy.config.route.v3.RouteConfiguration': 'RDS',
  'envoy.config.route.v3.VirtualHost': 'VHDS',
  'envoy.config.cluster.v3.Cluster': 'CDS',
  'envoy.config.endpoint.v3.ClusterLoadAssignment': 'EDS',
  'envoy.extensions.transport_sockets.tls.v3.Secret': 'SDS',
  'envoy.config.core.v3.TypedExtensionConfig': 'ECDS',
}

const refusals = (types: readonly TypeStatus[]) =>
  types.flatMap(({ type, refused }) => refused.map((one) => ({ type: SHORT[type] ?? type, ...one })))

function describe(status: MeshStatus): string {
  const rows = status.workloads.map((workload) => row(workload))
  const refused = status.workloads.flatMap(({ workload, proxies }) =>
    proxies.flatMap(({ types }) =>
      refusals(types).map(({ type, name, message }) => `${workload}: ${type} ${name} refused: ${message}`),
    ),
  )
  const { errors, warnings } = status.problems
  return [
    table(['WORKLOAD', 'IDENTITY', 'ADDRESS', 'PROXY', 'ACKNOWLEDGED', 'PENDING', 'REFUSED'], rows),
    ...refused,
    ...(errors + warnings > 0
      ? [`${some(errors, 'error')} and ${some(warnings, 'warning')} in what was declared: heddle validate tells`]
      : []),
    '',
  ].join('\n')
}

function row({ workload, serviceAccount, addresses, proxies }: WorkloadStatus): string[] {
  const types = proxies.flatMap((proxy) => proxy.types)
  const sum = (pick: (type: TypeStatus) => number): string =>
    String(types.reduce((total, type) => total + pick(type), 0))
  return [
    workload,
    serviceAccount,
    addresses.join(','),
    proxies.length === 0 ? 'not connected' : 'connected',
    types
      .filter(({ acknowledged }) => acknowledged > 0)
      .map(({ type, acknowledged }) => `${SHORT[type] ?? type} ${acknowledged}`)
      .join(' '),
    sum(({ pending }) => pending),
    sum(({ refused }) => refused.length),
  ]
}
