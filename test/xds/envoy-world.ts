// A stock Envoy whose outbound listener asks for everything on demand, and the resources that it is given, written by hand: what
// the server is held against without the rest of Heddle. A request says in `x-to` which address was "dialled".
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerCredentials } from '@grpc/grpc-js'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/engine/clock.ts'
import { extension, type Message } from '../../src/proto/types.ts'
import { admin } from '../../src/standalone/envoy-process.ts'
import { startXdsServer, type XdsServer } from '../../src/xds/server.ts'
import type { ResourceRef } from '../../src/xds/source.ts'
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { testProtos } from '../proto/protos.ts'
import { envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { GraphSource, ref } from './graph-source.ts'

const DIALLED = 'x-dialled'
const AGAIN = 'x-again'
const ADS = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '1s' } as const
const NOTHING_MATCHES = { match: { prefix: '/' }, direct_response: { status: 404 } } as const

type Route = Message<'envoy.config.route.v3.Route'>
type Mutation = Message<'envoy.config.common.mutation_rules.v3.HeaderMutation'>

const protos = testProtos()

export interface Answer {
  readonly status: number
  readonly body: string
  readonly policy: string
}

export class EnvoyWorld implements AsyncDisposable {
  readonly source = new GraphSource()
  readonly directory: string
  registry = new Registry()
  server: XdsServer<string> | undefined
  port = 0
  #envoy: ChildProcess | undefined
  readonly #applications: Server[] = []

  private constructor(directory: string) {
    this.directory = directory
  }

  /** An Envoy that is ready, with nothing but its listeners. */
  static async start(apiType: 'DELTA_GRPC' | 'GRPC'): Promise<EnvoyWorld> {
    const world = new EnvoyWorld(await mkdtemp(join(tmpdir(), 'heddle-xds-envoy-')))
    world.#describe(apiType === 'DELTA_GRPC')
    await world.serve()
    const path = join(world.directory, 'bootstrap.json')
    await writeFile(path, JSON.stringify(world.#bootstrap(apiType)))
    const argv = ['--config-path', path, '--concurrency', '1', '--log-level', 'warning', '--disable-hot-restart']
    world.#envoy = spawn(await envoyBinary(), argv, { stdio: 'ignore' })
    await eventually(async () => {
      const { body } = await world.admin('/listeners?format=json')
      const { listener_statuses: listeners = [] } = JSON.parse(body) as {
        listener_statuses?: { name: string; local_address?: { socket_address?: { port_value: number } } }[]
      }
      world.port = listeners.find(({ name }) => name === 'outbound')?.local_address?.socket_address?.port_value ?? 0
      const ready = await world.admin('/ready')
      if (world.port === 0 || ready.status !== 200) throw new Error(`Envoy is not ready: ${ready.body}`)
    })
    return world
  }

  /** Starts the control plane, or another after it was stopped. */
  async serve(): Promise<void> {
    this.registry = new Registry()
    this.server = await startXdsServer<string>({
      source: this.source,
      authenticator: { authenticate: ({ nodeId }) => Promise.resolve({ ok: true, client: nodeId }) },
      listen: [
        { address: `unix:${join(this.directory, 'xds.sock')}`, credentials: ServerCredentials.createInsecure() },
      ],
      metrics: this.registry,
      log: {
        debug() {},
        info() {},
        warn() {},
        error: (fields) => void process.stderr.write(`${JSON.stringify(fields)}\n`),
      },
      clock: systemClock(),
    })
  }

  async stopServing(): Promise<void> {
    await this.server?.[Symbol.asyncDispose]()
  }

  /** An instance that answers with its name. */
  async application(name: string): Promise<number> {
    const server = createServer((_, response) => response.end(name)).listen(0, '127.0.0.1')
    this.#applications.push(server)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  get(to: string, path = '/'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request(
        { port: this.port, host: '127.0.0.1', path, headers: { 'x-to': to }, timeout: 10_000 },
        (response) => {
          let body = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
          response.on('error', reject)
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, body, policy: String(response.headers['x-policy'] ?? 'none') })
          })
        },
      )
      asked.on('timeout', () => asked.destroy(new Error('no answer within 10 s')))
      asked.on('error', reject).end()
    })
  }

  admin(path: string): Promise<{ status: number; body: string }> {
    return admin(join(this.directory, 'admin.sock'), 'GET', path)
  }

  async stat(name: string): Promise<number> {
    const { body } = await this.admin(`/stats?filter=^${name.replaceAll('.', '\\.')}$`)
    return Number(/: (\d+)/.exec(body)?.[1] ?? Number.NaN)
  }

  endpoints(name: string, ...ports: readonly number[]): this {
    const lb_endpoints = ports.map((port_value) => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
    }))
    const message = { cluster_name: name, endpoints: [{ lb_endpoints }] }
    this.source.put(ENDPOINTS, name, protos.encode(ENDPOINTS, message))
    return this
  }

  cluster(name: string, comment = ''): this {
    const message: Message<typeof CLUSTER> = {
      name,
      type: 'EDS',
      connect_timeout: '1s',
      eds_cluster_config: { eds_config: ADS },
      // what has no effect but makes it another version
      ...(comment !== '' && { alt_stat_name: comment }),
    }
    this.source.put(CLUSTER, name, protos.encode(CLUSTER, message))
    return this
  }

  /** The address has a policy of its own: its first request goes once through the internal listener. */
  policy(to: string, routes: readonly Route[], clusters: readonly string[]): this {
    this.virtualHost(to, routes, clusters)
    const address = { envoy_internal_address: { server_listener_name: 'again', endpoint_id: to } }
    const message: Message<typeof CLUSTER> = {
      name: to,
      type: 'STATIC',
      connect_timeout: '1s',
      load_assignment: { cluster_name: to, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    }
    const requires = [ref(VIRTUAL_HOST, `outbound/${to}`)]
    this.source.put(CLUSTER, to, protos.encode(CLUSTER, message), { requires, followedBy: [] })
    return this
  }

  virtualHost(to: string, routes: readonly Route[], clusters: readonly string[] = []): this {
    const name = `outbound/${to}`
    const message: Message<typeof VIRTUAL_HOST> = {
      name,
      domains: [to],
      response_headers_to_add: [{ header: { key: 'x-policy', value: 'applied' } }],
      routes: [...routes, NOTHING_MATCHES],
    }
    const requires = clusters.map((cluster): ResourceRef => ref(CLUSTER, cluster))
    this.source.put(VIRTUAL_HOST, name, protos.encode(VIRTUAL_HOST, message), { requires })
    return this
  }

  /** No policy any more, or none from the start. */
  plain(to: string): this {
    this.source.remove(VIRTUAL_HOST, `outbound/${to}`)
    return this.cluster(to)
  }

  commit(): this {
    this.source.commit()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#envoy !== undefined && this.#envoy.exitCode === null) {
      const ended = once(this.#envoy, 'exit')
      this.#envoy.kill('SIGKILL')
      await ended
    }
    await this.stopServing()
    for (const server of this.#applications) server.close().closeAllConnections()
    await rm(this.directory, { recursive: true, force: true })
  }

  #describe(onDemand: boolean): void {
    const dialled: Mutation[] = [set(DIALLED, '%REQ(x-to)%'), { remove: AGAIN }]
    const again: Mutation[] = [set(AGAIN, 'yes'), set(DIALLED, '%DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID%')]
    const outbound: Message<typeof LISTENER> = {
      name: 'outbound',
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [{ filters: [manager('outbound', dialled, onDemand)] }],
    }
    const second: Message<typeof LISTENER> = {
      name: 'again',
      internal_listener: {},
      filter_chains: [{ filters: [manager('again', again, onDemand)] }],
    }
    const routes: Message<typeof ROUTES> = {
      name: 'outbound',
      vhost_header: DIALLED,
      ...(onDemand && { vhds: { config_source: ADS } }),
      request_headers_to_remove: [DIALLED, AGAIN],
      virtual_hosts: [
        {
          name: 'plain',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/', headers: [{ name: AGAIN, present_match: true }] },
              direct_response: { status: 503 },
            },
            { match: { prefix: '/' }, route: { cluster_header: DIALLED, timeout: '0s' } },
          ],
        },
      ],
    }
    this.source.put(LISTENER, 'outbound', protos.encode(LISTENER, outbound))
    this.source.put(LISTENER, 'again', protos.encode(LISTENER, second)).list(LISTENER, 'outbound', 'again')
    this.source.put(ROUTES, 'outbound', protos.encode(ROUTES, routes))
    // a listener warms until the first virtual host that comes on its own
    this.virtualHost('placeholder.invalid', []).source.list(VIRTUAL_HOST, 'outbound/placeholder.invalid')
  }

  #bootstrap(api_type: 'DELTA_GRPC' | 'GRPC'): Message<'envoy.config.bootstrap.v3.Bootstrap'> {
    const http = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
    const options: Message<typeof http> = { explicit_http_config: { http2_protocol_options: {} } }
    const address = { pipe: { path: join(this.directory, 'xds.sock') } }
    return {
      node: { id: 'envoy', cluster: 'test' },
      admin: { address: { pipe: { path: join(this.directory, 'admin.sock') } } },
      bootstrap_extensions: [
        extension(
          'envoy.bootstrap.internal_listener',
          'envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
          {},
        ),
      ],
      dynamic_resources: {
        ads_config: {
          api_type,
          transport_api_version: 'V3',
          set_node_on_first_message_only: true,
          grpc_services: [
            {
              envoy_grpc: {
                cluster_name: 'xds',
                retry_policy: { retry_back_off: { base_interval: '0.1s', max_interval: '1s' } },
              },
            },
          ],
        },
        cds_config: ADS,
        lds_config: { ads: {}, resource_api_version: 'V3' },
      },
      static_resources: {
        clusters: [
          {
            name: 'xds',
            type: 'STATIC',
            connect_timeout: '1s',
            load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
            typed_extension_protocol_options: { [http]: { '@type': `type.googleapis.com/${http}`, ...options } },
          },
        ],
      },
    }
  }
}

function set(key: string, value: string): Mutation {
  return { append: { header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } }
}

function manager(stat_prefix: string, mutations: Mutation[], onDemand: boolean) {
  const mutation = 'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation'
  return extension(
    'envoy.filters.network.http_connection_manager',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix,
      early_header_mutation_extensions: [extension('destination', mutation, { mutations })],
      rds: { route_config_name: 'outbound', config_source: ADS },
      http_filters: [
        ...(onDemand
          ? [
              extension('envoy.filters.http.on_demand', 'envoy.extensions.filters.http.on_demand.v3.OnDemand', {
                odcds: { source: ADS, timeout: '5s' },
              }),
            ]
          : []),
        extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {}),
      ],
    },
  )
}
