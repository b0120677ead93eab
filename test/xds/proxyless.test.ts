// A gRPC client that is its own proxy: state of the world, explicit names, on a plaintext loopback port, without a token.
import { Client, credentials as Credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { Registry } from 'prom-client'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../src/engine/clock.ts'
import { any, extension, type Message } from '../../src/proto/types.ts'
import { startXdsServer, type XdsServer } from '../../src/xds/server.ts'
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES } from '../../src/xds/types.ts'
import { testProtos } from '../proto/protos.ts'
import { eventually } from '../support/eventually.ts'
import { GraphSource } from './graph-source.ts'

const protos = testProtos()
const NAME = 'echo.shop:80'
const ADS = { ads: {}, resource_api_version: 'V3' } as const

let source: GraphSource
let server: XdsServer<string>
let cleanup: AsyncDisposableStack

beforeAll(() => register())

beforeEach(async () => {
  cleanup = new AsyncDisposableStack()
  source = new GraphSource()
  server = cleanup.use(
    await startXdsServer<string>({
      source,
      authenticator: { authenticate: () => Promise.resolve({ ok: false, reason: 'no-token' }) },
      listen: [
        {
          address: '127.0.0.1:0',
          credentials: ServerCredentials.createInsecure(),
          authenticator: { authenticate: ({ nodeId }) => Promise.resolve({ ok: true, client: nodeId }) },
        },
      ],
      metrics: new Registry(),
      log: { debug() {}, info() {}, warn() {}, error: (fields) => expect.unreachable(JSON.stringify(fields)) },
      clock: systemClock(),
    }),
  )
})

afterEach(() => cleanup.disposeAsync())

const same = (bytes: Buffer): Buffer => bytes
const PATH = '/test.Echo/Say'

/** An instance that answers with its name. */
async function instance(name: string): Promise<number> {
  const echo = new Server()
  const shape = {
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
  } as const
  const definition = { say: { path: PATH, ...shape, responseSerialize: same, responseDeserialize: same } }
  echo.addService(definition, {
    say: (_: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, Buffer.from(name)),
  })
  cleanup.defer(() => echo.forceShutdown())
  return new Promise((resolve, reject) => {
    echo.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
}

function client(): Client {
  const [server_uri = ''] = server.addresses
  const bootstrap = {
    xds_servers: [{ server_uri, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'proxyless', locality: {} },
  }
  const one = new Client(`xds:///${NAME}`, Credentials.createInsecure(), {
    'grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config': JSON.stringify(bootstrap),
  })
  cleanup.defer(() => one.close())
  return one
}

function say(one: Client): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 15_000
    one.makeUnaryRequest(PATH, same, same, Buffer.alloc(0), { deadline }, (error, answer) => {
      if (error === null) resolve(String(answer))
      else reject(error)
    })
  })
}

function serve(...clusters: readonly string[]): GraphSource {
  const http = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const router = extension('router', 'envoy.extensions.filters.http.router.v3.Router', {})
  const listener: Message<typeof LISTENER> = {
    name: NAME,
    api_listener: {
      api_listener: any(http, { rds: { route_config_name: NAME, config_source: ADS }, http_filters: [router] }),
    },
  }
  const weighted = clusters.map((name) => ({ name, weight: 1 }))
  const routes: Message<typeof ROUTES> = {
    name: NAME,
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [{ match: { prefix: '' }, route: { weighted_clusters: { clusters: weighted } } }],
      },
    ],
  }
  source.put(LISTENER, NAME, protos.encode(LISTENER, listener))
  const requires = clusters.map((name) => ({ type: CLUSTER, name }))
  return source.put(ROUTES, NAME, protos.encode(ROUTES, routes), { requires })
}

function cluster(name: string, ...ports: readonly number[]): void {
  const message: Message<typeof CLUSTER> = { name, type: 'EDS', eds_cluster_config: { eds_config: ADS } }
  const lb_endpoints = ports.map((port_value) => ({
    health_status: 'HEALTHY' as const,
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
  }))
  const locality = { region: 'here', zone: '', sub_zone: '' }
  const endpoints: Message<typeof ENDPOINTS> = {
    cluster_name: name,
    endpoints: [{ locality, load_balancing_weight: 1, lb_endpoints }],
  }
  source.put(CLUSTER, name, protos.encode(CLUSTER, message))
  source.put(ENDPOINTS, name, protos.encode(ENDPOINTS, endpoints))
}

it('calls what the control plane says, and follows as endpoints, routes and clusters change', async () => {
  const [one, two] = [await instance('one'), await instance('two')]
  cluster('echo', one)
  serve('echo').commit()
  const caller = client()
  expect(await say(caller)).toBe('one')
  cluster('echo', two)
  source.commit()
  await eventually(async () => expect(await say(caller)).toBe('two'))
  cluster('other', one)
  serve('other').commit()
  await eventually(async () => expect(await say(caller)).toBe('one'))
  expect(server.clients()).toMatchObject([{ client: 'proxyless', protocol: 'sotw' }])
  expect(source.refusals).toEqual([])
})

it('is sent a service that it asked for when it comes to exist', async () => {
  const answer = say(client())
  await eventually(() => expect(source.asks).toEqual([`+ ${LISTENER} ${NAME} missing`]))
  cluster('echo', await instance('one'))
  serve('echo').commit()
  expect(await answer).toBe('one')
})

it('keeps its last good cluster when it refuses a new one, and what it refuses is told', async () => {
  cluster('echo', await instance('one'))
  serve('echo').commit()
  const caller = client()
  expect(await say(caller)).toBe('one')
  const bad: Message<typeof CLUSTER> = { name: 'echo', type: 'STRICT_DNS' }
  source.put(CLUSTER, 'echo', protos.encode(CLUSTER, bad)).commit()
  await eventually(() => expect(source.refusals).toMatchObject([{ type: CLUSTER, name: 'echo' }]))
  expect(await say(caller)).toBe('one')
})
