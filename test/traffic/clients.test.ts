// Whoever is no sidecar of `heddle up`: an Envoy of one's own in either variant of the protocol, a gRPC client without a proxy, and
// workloads on loopback addresses that dial local ports.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials as Credentials, makeClientConstructor } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loopbackHost } from '../../src/standalone/addresses.ts'
import { commandOf, diesWithParent, ProcessGroup } from '../../src/standalone/processes.ts'
import { type Standalone, startStandalone } from '../../src/standalone.ts'
import type { Echo } from '../support/echo.ts'
import { checkout, envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { deserialize, echoService, serialize } from '../support/grpc-echo.ts'
import { TestMesh } from '../support/mesh.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

const route = (value: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: governed, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: governed }]
  rules:
    - filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-route, value: ${value} }] } }]
      backendRefs: [{ name: governed, port: 80 }]
`

describe.each([
  ['DELTA_GRPC', '127.81.0'],
  ['GRPC', '127.82.0'],
])('an Envoy of one’s own over %s', (api, network) => {
  const stack = new AsyncDisposableStack()
  const [SERVER, CLIENT] = [`${network}.1`, `${network}.2`]
  let base: string
  let standalone: Standalone

  /** The template as a person fills it in, in the wanted variant. */
  async function ownEnvoy(name: string): Promise<void> {
    const folder = join(base, name)
    await mkdir(folder, { mode: 0o700 })
    await writeFile(join(folder, 'token'), (await standalone.tokens.create({ namespace: 'default', name })).reveal())
    const values: Record<string, string> = {
      NODE_ID: `${name}.default`,
      XDS_HOST: '127.0.0.1',
      XDS_PORT: standalone.addresses.xds[0]?.split(':').at(-1) ?? '',
      TRUST_DOMAIN: 'cluster.local',
      TOKEN_SDS: join(folder, 'token.yaml'),
      BUNDLE_SDS: join(folder, 'bundle.yaml'),
      TOKEN_FILE: join(folder, 'token'),
      TOKEN_DIRECTORY: folder,
      BUNDLE_FILE: standalone.bundleFile,
      BUNDLE_DIRECTORY: folder,
    }
    for (const file of ['envoy.yaml', 'token.yaml', 'bundle.yaml']) {
      const template = await readFile(join(checkout, 'envoy-bootstrap', file), 'utf8')
      const text = template.replaceAll(/\$\{([A-Z_]+)\}/g, (whole, key: string) => values[key] ?? whole)
      await writeFile(join(folder, file), text.replace('api_type: DELTA_GRPC', `api_type: ${api}`))
    }
    const argv = [...(await diesWithParent()), await envoyBinary(), '-c', join(folder, 'envoy.yaml')]
    const group = await ProcessGroup.start(
      commandOf([...argv, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'error']),
      { output: 'pipe' },
    )
    stack.defer(async () => void (await group.stop(5000)))
  }

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'heddle-clients-'))
    stack.defer(() => rm(base, { recursive: true }))
    await mkdir(join(base, 'mesh'))
    await writeFile(
      join(base, 'mesh', 'all.yaml'),
      documents(
        echoWorkload('server', { address: SERVER, ports: ['http:8080', 'tcp:9000'] }),
        echoWorkload('client', { address: CLIENT, upstreams: ['server:80', 'governed:80'] }),
        service('server'),
        service('governed', { selector: { app: 'server' } }),
      ),
    )
    await writeFile(join(base, 'mesh', 'route.yaml'), route('one'))
    standalone = stack.use(
      await startStandalone({
        paths: [join(base, 'mesh')],
        stateDir: join(base, 'state'),
        log: pino({ level: 'silent' }),
        xds: '127.0.0.1:0',
      }),
    )
    await Promise.all(['server', 'client'].map(ownEnvoy))
    const echo = [
      ...(await diesWithParent()),
      process.execPath,
      join(checkout, 'test/support/echo.ts'),
      'http:8080',
      'tcp:9000',
    ]
    const env = { ...process.env, HOST: loopbackHost(SERVER), INSTANCE: 'server' }
    const group = await ProcessGroup.start(commandOf(echo), { output: 'pipe', env })
    stack.defer(async () => void (await group.stop(1000)))
  })
  afterAll(() => stack.disposeAsync())

  async function ask(port: number): Promise<Echo> {
    const response = await fetch(`http://${loopbackHost(CLIENT)}:${port}/hello`)
    expect(response.status).toBe(200)
    return (await response.json()) as Echo
  }

  test('speaks mTLS with identities of the mesh', async () => {
    const echo = await eventually(() => ask(18_000))
    expect(echo).toMatchObject({ instance: 'server', path: '/hello' })
    expect(echo.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/client')
    expect(Object.keys(echo.headers).filter((name) => name.startsWith('x-heddle'))).toEqual([])
  })

  test('follows routes, from the first request on, and as they change', async () => {
    await eventually(async () => expect((await ask(18_001)).headers['x-route']).toBe('one'))
    await writeFile(join(base, 'mesh', 'route.yaml'), route('two'))
    await eventually(async () => expect((await ask(18_001)).headers['x-route']).toBe('two'))
    await rm(join(base, 'mesh', 'route.yaml'))
    await eventually(async () => expect((await ask(18_001)).headers).not.toHaveProperty('x-route'))
  })

  test('is known by its token, and refuses nothing', () => {
    const clients = standalone.server.clients()
    expect(clients.map(({ client }) => client.workload).toSorted()).toEqual(['default/client', 'default/server'])
    expect(clients.map(({ protocol }) => protocol)).toEqual(Array(2).fill(api === 'GRPC' ? 'sotw' : 'delta'))
  })
})

describe('on loopback addresses', () => {
  let mesh: TestMesh
  const split = (weights: Readonly<Record<string, number>>): string => `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: split, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: split }]
  rules:
    - backendRefs: [${Object.entries(weights)
      .map(([name, weight]) => `{ name: ${name}, port: 90, weight: ${weight} }`)
      .join(', ')}]
`
  const rpc = (name: string, app: string): string => echoWorkload(name, { labels: { app }, ports: ['grpc:9090'] })

  beforeAll(async () => {
    register()
    mesh = await TestMesh.start(
      [
        documents(
          echoWorkload('client', { ports: ['web=http:8080', 'tcp:9000'], upstreams: ['server:80', 'server.other:80'] }),
          echoWorkload('server'),
          service('server'),
          echoWorkload('elsewhere', { namespace: 'other', labels: { app: 'server' } }),
          service('server', { namespace: 'other' }),
          rpc('v1', 'v1'),
          rpc('v2', 'v2'),
          ...['v1', 'v2'].map((name) => service(name, { ports: ['grpc:90:9090'] })),
          service('split', { selector: { app: 'nobody' }, ports: ['grpc:90:9090'] }),
        ),
        split({ v1: 1, v2: 1 }),
      ],
      { isolation: 'loopback', standalone: { proxyless: '127.0.0.1:0' } },
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  test('an application learns where it is and where to dial', async () => {
    const env = mesh.runner.environment('default/client')
    expect(env).toMatchObject({
      HOST: expect.stringMatching(/^127\./),
      PORT: '8080',
      PORT_WEB: '8080',
      PORT_TCP: '9000',
      UPSTREAM_SERVER: `${env?.['HOST']}:18000`,
      UPSTREAM_SERVER_80: `${env?.['HOST']}:18000`,
      UPSTREAM_SERVER_OTHER_80: `${env?.['HOST']}:18001`,
    })
    expect((await mesh.request('client', 'http://server/')).echo?.instance).toBe('server')
    expect((await mesh.request('client', 'http://server.other/')).echo?.instance).toBe('elsewhere')
  })

  describe('a gRPC client without a proxy', () => {
    const stack = new DisposableStack()
    afterAll(() => stack.dispose())

    function client(target: string): () => Promise<string> {
      const server_uri = mesh.standalone.addresses.xds.find((address) => address.startsWith('127.0.0.1:')) ?? ''
      const bootstrap = {
        xds_servers: [{ server_uri, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
        node: { id: 'proxyless', locality: {} },
      }
      const Echoes = makeClientConstructor(echoService, 'echo.Echo')
      const one = new Echoes(`xds:///${target}`, Credentials.createInsecure(), {
        'grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config': JSON.stringify(bootstrap),
      })
      stack.defer(() => one.close())
      return () =>
        new Promise((resolve, reject) => {
          const options = { deadline: Date.now() + 15_000 }
          one.makeUnaryRequest('/echo.Echo/Unary', serialize, deserialize, {}, options, (error, answer) => {
            if (error === null) resolve((answer as { instance: string }).instance)
            else reject(error)
          })
        })
    }

    async function seen(say: () => Promise<string>): Promise<readonly string[]> {
      const answers = await Promise.all(Array.from({ length: 60 }, say))
      return [...new Set(answers)].toSorted()
    }

    test('follows the instances of a Service', async () => {
      const say = client('v1.default:90')
      expect(await seen(say)).toEqual(['v1'])
      await mesh.apply(rpc('v1-more', 'v1'), 'more.yaml')
      await mesh.eventually(async () => expect(await seen(say)).toEqual(['v1', 'v1-more']))
      await mesh.delete('more.yaml')
      await mesh.eventually(async () => expect(await seen(say)).toEqual(['v1']))
    })

    test('splits as a route says, and as it changes', async () => {
      const say = client('split.default:90')
      expect(await seen(say)).toEqual(['v1', 'v2'])
      await mesh.apply(split({ v1: 0, v2: 1 }), '1.yaml')
      await mesh.eventually(async () => expect(await seen(say)).toEqual(['v2']))
      await mesh.apply(split({ v1: 1 }), '1.yaml')
      await mesh.eventually(async () => expect(await seen(say)).toEqual(['v1']))
    })
  })
})
