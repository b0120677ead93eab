// What the mesh costs a request: through two sidecars with mTLS, against two Envoys with the leanest configuration that does the same,
// and against none. Everything runs in the same two network namespaces; the three are measured in turn, several times over, so
// that what the machine does besides falls on all of them.
import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pino from 'pino'
import { stringify } from 'yaml'
import type { Place } from '../src/standalone/isolation/isolation.ts'
import { findEnvoy } from '../src/standalone/envoy-process.ts'
import { missingForNetns } from '../src/standalone/isolation/netns.ts'
import { startStandalone } from '../src/standalone.ts'

export interface DataPathFigures {
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

export interface DataPath {
  /** Medians of the rounds. */
  readonly none: DataPathFigures
  readonly handWritten: DataPathFigures
  readonly heddle: DataPathFigures
  /** Heddle's requests a second as a share of the hand-written configuration's: the median of the rounds' own ratios. */
  readonly ratio: number
  readonly rounds: number
}

const execute = promisify(execFile)

const MESH = (app: string): string => `
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: {name: server, labels: {app: server}}
spec:
  serviceAccount: server
  ports: [{name: http, port: 8080}]
  run: {command: ${app}}
---
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: {name: client}
spec: {serviceAccount: client}
---
apiVersion: heddle.dev/v1alpha1
kind: MeshTLS
metadata: {name: strict}
spec: {targetRefs: [{kind: Namespace}], mode: Strict}
`

const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
const ROUTER = {
  name: 'router',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
}

function connectionManager(route: object): object {
  return {
    name: 'http',
    typed_config: {
      '@type': HCM,
      stat_prefix: 'bench',
      route_config: {
        virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }] }],
      },
      http_filters: [ROUTER],
    },
  }
}

const listener = (port: number, filters: object[], socket?: object): object => ({
  name: `port-${port}`,
  address: { socket_address: { address: '0.0.0.0', port_value: port } },
  filter_chains: [{ filters, ...(socket && { transport_socket: socket }) }],
})

const cluster = (address: string, port: number, socket?: object): object => ({
  name: 'next',
  type: 'STATIC',
  circuit_breakers: { thresholds: [{ max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }] },
  ...(socket && { transport_socket: socket }),
  load_assignment: {
    cluster_name: 'next',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: port } } } }] }],
  },
})

/** What is missing, where this machine has no network namespaces or no wrk. */
export async function benchDataPath(checkout: string, rounds = 5, seconds = 3): Promise<DataPath | string> {
  const missing = await missingForNetns()
  if (missing.length > 0) return `needs ${missing.join(', ')}`
  if (
    await execute('wrk', ['--version']).then(
      () => false,
      (error: { code?: unknown }) => error.code === 'ENOENT',
    )
  )
    return 'needs wrk (Debian: apt-get install wrk)'
  const envoy = await findEnvoy(process.env, checkout)
  const directory = await mkdtemp(join(tmpdir(), 'heddle-data-path-'))
  await mkdir(join(directory, 'mesh'))
  const appConfig = join(directory, 'app.yaml')
  await writeFile(
    appConfig,
    stringify({
      static_resources: {
        listeners: [
          listener(8080, [connectionManager({ direct_response: { status: 200, body: { inline_string: 'ok' } } })]),
        ],
      },
    }),
  )
  const app = [envoy, '--config-path', appConfig, '--concurrency', '1', '--log-level', 'off', '--disable-hot-restart']
  await writeFile(join(directory, 'mesh', 'mesh.yaml'), MESH(JSON.stringify(app)))
  const stack = new AsyncDisposableStack()
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  try {
    const mesh = stack.use(
      await startStandalone({
        paths: [join(directory, 'mesh')],
        stateDir: join(directory, 'state'),
        log: pino({ level: 'warn' }, pino.destination(2)),
        run: { isolation: 'netns' },
      }),
    )
    const place = (name: string): Place => {
      const found = mesh.runner?.place(`default/${name}`)
      if (found === undefined) throw new Error(`${name} was not placed`)
      return found
    }
    const [client, server] = [place('client'), place('server')]
    const [serverAddress = ''] = server.addresses

    const tls = async (side: 'Upstream' | 'Downstream', name: string): Promise<object> => {
      const svid = mesh.core.svids.get(`spiffe://cluster.local/ns/default/sa/${name}`)
      const bundle = mesh.core.bundle.get('')
      if (svid === undefined || bundle === undefined) throw new Error(`${name} has no SVID`)
      return {
        name: 'tls',
        typed_config: {
          '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${side}TlsContext`,
          ...(side === 'Downstream' && { require_client_certificate: true }),
          common_tls_context: {
            tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
            tls_certificates: [
              {
                certificate_chain: { inline_string: svid.certificateChain },
                private_key: { inline_string: svid.exportPrivateKey() },
              },
            ],
            validation_context: {
              trusted_ca: { inline_string: bundle.pem },
              match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: 'spiffe://cluster.local/' } }],
            },
          },
        },
      }
    }
    const start = async (at: Place, name: string, config: object): Promise<void> => {
      const folder = await mkdtemp(join(tmpdir(), `heddle-hand-${name}-`))
      stack.defer(() => rm(folder, { recursive: true, force: true }))
      const path = join(folder, 'envoy.yaml')
      await writeFile(path, stringify(config, { aliasDuplicateObjects: false }))
      await at.handOver(folder)
      const { file, args } = at.command('proxy', [
        envoy,
        '--config-path',
        path,
        '--concurrency',
        '1',
        '--log-level',
        'error',
        '--disable-hot-restart',
      ])
      const child = spawn(file, [...args], { stdio: ['ignore', 'ignore', 'inherit'] })
      stack.defer(() => void child.kill('SIGKILL'))
    }
    // 15020 is a port of the proxy's own, so that nothing redirects what comes there
    await start(server, 'server', {
      static_resources: {
        listeners: [
          listener(
            15020,
            [connectionManager({ route: { cluster: 'next', timeout: '0s' } })],
            await tls('Downstream', 'server'),
          ),
        ],
        clusters: [cluster('127.0.0.1', 8080)],
      },
    })
    await start(client, 'client', {
      static_resources: {
        listeners: [listener(18080, [connectionManager({ route: { cluster: 'next', timeout: '0s' } })])],
        clusters: [cluster(serverAddress, 15020, await tls('Upstream', 'client'))],
      },
    })

    const load = async (from: Place, url: string): Promise<DataPathFigures> => {
      const { file, args } = from.command('app', ['wrk', '-t1', '-c16', `-d${seconds}s`, '--latency', url])
      const { stdout } = await execute(file, [...args])
      if (/Non-2xx/.test(stdout)) throw new Error(`${url}: ${stdout}`)
      const number = (pattern: RegExp): string => pattern.exec(stdout)?.[1] ?? 'NaN'
      return {
        requestsPerSecond: Number(number(/Requests\/sec:\s+([0-9.]+)/)),
        p50: milliseconds(number(/50%\s+(\S+)/)),
        p99: milliseconds(number(/99%\s+(\S+)/)),
      }
    }
    const ways = {
      // the application itself, from beside it: no namespace to cross either, so that nothing but the application is measured
      none: () => load(server, 'http://127.0.0.1:8080/'),
      handWritten: () => load(client, 'http://127.0.0.1:18080/'),
      heddle: () => load(client, 'http://server/'),
    }
    await ways.heddle()
    await ways.handWritten()
    const seen: { none: DataPathFigures; handWritten: DataPathFigures; heddle: DataPathFigures }[] = []
    for (let round = 0; round < rounds; round++) {
      const [first, second] =
        round % 2 === 0 ? (['heddle', 'handWritten'] as const) : (['handWritten', 'heddle'] as const)
      const one = await ways[first]()
      const two = await ways[second]()
      seen.push({
        none: await ways.none(),
        handWritten: first === 'handWritten' ? one : two,
        heddle: first === 'heddle' ? one : two,
      })
    }
    const middle = (of: 'none' | 'handWritten' | 'heddle'): DataPathFigures => ({
      requestsPerSecond: median(seen.map((round) => round[of].requestsPerSecond)),
      p50: median(seen.map((round) => round[of].p50)),
      p99: median(seen.map((round) => round[of].p99)),
    })
    return {
      none: middle('none'),
      handWritten: middle('handWritten'),
      heddle: middle('heddle'),
      ratio: median(seen.map(({ heddle, handWritten }) => heddle.requestsPerSecond / handWritten.requestsPerSecond)),
      rounds,
    }
  } finally {
    await stack.disposeAsync()
  }
}

/** As wrk prints it: `850.00us`, `1.25ms`, `2.00s`. */
function milliseconds(text: string): number {
  const match = /^([0-9.]+)(us|ms|s)$/.exec(text)
  return match === null ? Number.NaN : Number(match[1]) * (match[2] === 'us' ? 0.001 : match[2] === 's' ? 1000 : 1)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
