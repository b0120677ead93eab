// docs/your-own-envoy.md, "gRPC without an Envoy": a client of gRPC's own xDS, with the bootstrap that stands on that page.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { pino } from 'pino'
import { afterAll, expect, test } from 'vitest'
import { startStandalone } from '../../src/standalone.ts'
import { checkout } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { documents, service } from '../support/yaml.ts'

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

const PATH = '/test.Echo/Say'
const same = (bytes: Buffer): Buffer => bytes
const shape = { requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same } as const

/** An instance that answers with its version. */
async function instance(version: string, address: string): Promise<void> {
  const server = new Server()
  const say = { path: PATH, ...shape, responseSerialize: same, responseDeserialize: same }
  server.addService(
    { say },
    { say: (_: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, Buffer.from(version)) },
  )
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`${address}:9090`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    )
  })
  stack.defer(() => server.forceShutdown())
}

const workload = (version: string, address: string): string => `
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: { name: ratings-${version}, namespace: shop, labels: { app: ratings, version: ${version} } }
spec: { address: ${address}, ports: [{ name: grpc, port: 9090 }] }
`
const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: ratings, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: ratings }]
  rules: [{ backendRefs: [{ name: ratings-v2, port: 9090 }] }]
`

test('a client finds instances that name no place, and follows a route', async () => {
  register()
  const folder = await mkdtemp(join(tmpdir(), 'heddle-proxyless-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const grpc = (name: string, selector: Readonly<Record<string, string>>): string =>
    service(name, { namespace: 'shop', selector, ports: ['grpc:9090'] })
  const mesh = documents(
    workload('v1', '127.82.0.1'),
    workload('v2', '127.82.0.2'),
    grpc('ratings', { app: 'ratings', version: 'v1' }),
    grpc('ratings-v2', { app: 'ratings', version: 'v2' }),
  )
  await writeFile(join(folder, 'mesh.yaml'), mesh)
  await instance('v1', '127.82.0.1')
  await instance('v2', '127.82.0.2')
  const standalone = stack.use(
    await startStandalone({
      paths: [join(folder, 'mesh.yaml')],
      stateDir: join(folder, 'state'),
      log: pino({ level: 'silent' }),
      proxyless: '127.0.0.1:0',
      onRefused: (_, refusal) => expect.unreachable(refusal.message),
    }),
  )
  const page = await readFile(join(checkout, 'docs/your-own-envoy.md'), 'utf8')
  const [, bootstrap = ''] = /^```json\n(.*?)^```/ms.exec(page) ?? []
  expect(bootstrap).toContain('127.0.0.1:15010')
  const client = new Client('xds:///ratings.shop:9090', credentials.createInsecure(), {
    'grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config': bootstrap.replace(
      '127.0.0.1:15010',
      standalone.addresses.xds[0] ?? '',
    ),
  })
  stack.defer(() => client.close())
  const say = (): Promise<string> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(PATH, same, same, Buffer.alloc(0), { deadline: Date.now() + 15_000 }, (error, answer) =>
        error === null ? resolve(String(answer)) : reject(error),
      )
    })
  expect(await say()).toBe('v1')
  await writeFile(join(folder, 'mesh.yaml'), documents(mesh, route))
  await eventually(async () => expect(await say()).toBe('v2'))
})
