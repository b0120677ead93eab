/** A real Envoy with the virtual hosts of a catalog in a static configuration, and applications behind it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import grpc from '@grpc/grpc-js'
import { DST_HEADER, parseClusterName, REFUSED } from '../../../src/envoy/names.ts'
import { refusedVirtualHost } from '../../../src/envoy/route/fixed-hosts.ts'
import { routeConfiguration } from '../../../src/envoy/route/route-configuration.ts'
import { socketName } from '../../../src/mesh/model.ts'
import { any, type Message } from '../../../src/proto/types.ts'
import { commandOf, diesWithParent, ProcessGroup } from '../../../src/standalone/processes.ts'
import { envoyBinary } from '../../support/envoy.ts'
import { eventually } from '../../support/eventually.ts'
import { deserialize, serialize } from '../../support/grpc-echo.ts'
import { layeredRuntime, listener } from './listener.ts'
import { type Arrival, grpcUpstream, httpUpstream, keyOf } from './upstream.ts'
import { objectsOf, virtualHosts } from './world.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type Bootstrap = Message<'envoy.config.bootstrap.v3.Bootstrap'>

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** What arrived at an application; undefined if Envoy answered by itself. */
  readonly arrival: Arrival | undefined
}

export interface Sending {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

const refusedCluster: Cluster = { name: REFUSED, type: 'STATIC', load_assignment: { cluster_name: REFUSED } }

export class Stage implements AsyncDisposable {
  /** All that arrived anywhere, in order. */
  readonly arrivals: Arrival[] = []
  readonly #counts = new Map<string, number>()
  readonly #socket: string
  readonly #stack: AsyncDisposableStack
  readonly #hosts: Readonly<Record<string, string>>

  private constructor(socket: string, stack: AsyncDisposableStack, hosts: Readonly<Record<string, string>>) {
    this.#socket = socket
    this.#stack = stack
    this.#hosts = hosts
  }

  /**
   * @param yaml Services, routes and policies
   * @param instances of backends (`name.namespace:port`) that have other than one; of none, a connection is refused
   */
  static async start(yaml: string, instances: Readonly<Record<string, number>> = {}): Promise<Stage> {
    await using stack = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'heddle-route-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const found = virtualHosts(objectsOf(yaml))
    const hosts = Object.fromEntries(
      found.map(({ service, port }) => [service.name, socketName(service.addresses[0] ?? '', port)]),
    )
    const socket = join(directory, 'outbound.sock')
    const stage = new Stage(socket, stack.move(), hosts)
    try {
      await stage.#run(directory, found, instances)
    } catch (error) {
      await stage[Symbol.asyncDispose]()
      throw error
    }
    return stage
  }

  async #run(
    directory: string,
    found: ReturnType<typeof virtualHosts>,
    instances: Readonly<Record<string, number>>,
  ): Promise<void> {
    const clusters = await Promise.all(
      [...new Set(found.flatMap(({ host }) => host.clusters))].map((name) => this.#cluster(name, instances)),
    )
    const routes = routeConfiguration({
      virtualHosts: [...found.map(({ host }) => host.message), refusedVirtualHost(['10.96.9.9:80'])],
      vhds: false,
    })
    const bootstrap: Bootstrap = {
      layered_runtime: layeredRuntime(),
      static_resources: {
        listeners: [listener('outbound', this.#socket, routes)],
        clusters: [...clusters, refusedCluster],
      },
    }
    const path = join(directory, 'bootstrap.json')
    await writeFile(path, JSON.stringify(bootstrap))
    const argv = [await envoyBinary(), '--config-path', path, '--disable-hot-restart', '--concurrency', '1']
    const command = commandOf([...(await diesWithParent()), ...argv, '--log-level', 'error'])
    const envoy = await ProcessGroup.start(command, { output: 'pipe' })
    this.#stack.defer(async () => void (await envoy.stop(1000)))
    let said = ''
    for (const stream of [envoy.child.stdout, envoy.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (said += text))
    await eventually(async () => {
      if (!envoy.running) throw new Error(`Envoy ended: ${said}`)
      await this.send('10.96.9.9:80', '/')
    })
  }

  async #cluster(name: string, instances: Readonly<Record<string, number>>): Promise<Cluster> {
    const parsed = parseClusterName(name)
    if (parsed?.kind !== 'backend') throw new Error(`not a cluster of a backend: ${name}`)
    const isGrpc = parsed.backend.startsWith('grpc')
    const start = isGrpc ? grpcUpstream : httpUpstream
    const upstreams = await Promise.all(
      Array.from({ length: instances[parsed.backend] ?? 1 }, async (_, instance) =>
        this.#stack.use(await start(parsed.backend, instance, (arrival) => this.#arrived(arrival))),
      ),
    )
    const ports = upstreams.length === 0 ? [1] : upstreams.map(({ port }) => port)
    const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
    return {
      name,
      type: 'STATIC',
      ...(isGrpc && {
        typed_extension_protocol_options: {
          [options]: any(options, { explicit_http_config: { http2_protocol_options: {} } }),
        },
      }),
      load_assignment: {
        cluster_name: name,
        endpoints: [
          {
            lb_endpoints: ports.map((port_value) => ({
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
            })),
          },
        ],
      },
    }
  }

  /** How often its key came before. */
  #arrived(arrival: Arrival): number {
    this.arrivals.push(arrival)
    const key = keyOf(arrival)
    if (key === undefined) return 0
    const before = this.#counts.get(key) ?? 0
    this.#counts.set(key, before + 1)
    return before
  }

  /** @param service a Service's name, or an address with port */
  send(service: string, path: string, { method = 'GET', headers = {} }: Sending = {}): Promise<Answer> {
    const dialled = this.#hosts[service] ?? service
    const all = { host: service, ...headers, [DST_HEADER]: dialled }
    return new Promise((resolve, reject) => {
      const request = http.request(
        { socketPath: this.#socket, path, method, headers: all, agent: false },
        (response) => {
          let body = ''
          response.setEncoding('utf8').on('data', (text: string) => (body += text))
          response.on('error', reject).on('end', () => {
            const flat = Object.fromEntries(
              Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
            )
            const arrival = flat['x-upstream'] === undefined || body === '' ? undefined : (JSON.parse(body) as Arrival)
            resolve({ status: response.statusCode ?? 0, headers: flat, body, arrival })
          })
        },
      )
      request.on('error', reject).end()
    })
  }

  /** Answers of several requests of one kind, one after the other. */
  async sendMany(count: number, service: string, path: string, sending: Sending = {}): Promise<Answer[]> {
    const answers: Answer[] = []
    for (let at = 0; at < count; at += 1) answers.push(await this.send(service, path, sending))
    return answers
  }

  /** A gRPC call: its status, or the message that came. */
  async call(
    service: string,
    path: string,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly code: number; readonly message: unknown; readonly headers: Readonly<Record<string, string>> }> {
    const client = new grpc.Client(`unix:${this.#socket}`, grpc.credentials.createInsecure())
    try {
      const given = new grpc.Metadata()
      for (const [name, value] of Object.entries({ ...metadata, [DST_HEADER]: this.#hosts[service] ?? service }))
        given.set(name, value)
      return await new Promise((resolve) => {
        let headers: Readonly<Record<string, string>> = {}
        client
          .makeUnaryRequest(path, serialize, deserialize, {}, given, (error, message) =>
            resolve({ code: error?.code ?? 0, message: message ?? error?.details, headers }),
          )
          .on('metadata', (received: grpc.Metadata) => {
            headers = Object.fromEntries(
              Object.entries(received.getMap()).map(([name, value]) => [name, String(value)]),
            )
          })
      })
    } finally {
      client.close()
    }
  }

  /** What arrived at backends since this was last asked. */
  takeArrivals(): Arrival[] {
    return this.arrivals.splice(0)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
