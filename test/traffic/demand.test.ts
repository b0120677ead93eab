// Destinations on demand: what a first use costs and carries, what unknown ones do to whom, and what never leaves the proxy.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWebSocket } from '../support/connection.ts'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

const route = (name: string, port = 80): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: ${name} }]
  rules:
    - filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-route, value: ${name} }] } }]
      backendRefs: [{ name: ${name}, port: ${port} }]
`

const PLAIN = ['plain-get', 'plain-post', 'plain-two', 'plain-ws', 'plain-forged', 'warm', 'ahead']
const GOVERNED = ['governed-get', 'governed-post', 'governed-two', 'governed-ws', 'governed-forged', 'governed-warm']
const FREE = Array.from({ length: 6 }, (_, index) => `free-${index}`)
const server = { selector: { app: 'server' } }

const MESH = (more = ''): string => `apiVersion: heddle.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec:
  addressRanges: ['fd00:96::/112', 'fd00:244::/112', 10.120.0.0/16]
${more}`

const WORKLOADS = documents(
  echoWorkload('client', { ports: ['http:8080'] }),
  echoWorkload('server', { ports: ['http:8080', 'tcp:9000', 'grpc:9090'] }),
  echoWorkload('watcher', { namespace: 'eager' }),
  echoWorkload('six', { address: 'fd00:244::6', ports: ['http:8080', 'tcp:9000'] }),
  echoWorkload('six-client', { address: 'fd00:244::7' }),
  `apiVersion: v1
kind: Namespace
metadata: { name: eager, annotations: { heddle.dev/discovery: Eager } }
`,
  service('server', { ports: ['http:80:8080', 'tcp:9000', 'grpc:90:9090'] }),
  service('client'),
  service('six', { clusterIP: 'fd00:96::10', ports: ['http:80:8080', 'tcp:9000'] }),
  service('six-governed', { clusterIP: 'fd00:96::11', selector: { app: 'six' } }),
  route('six-governed'),
  `apiVersion: v1
kind: Service
metadata: { name: headless, namespace: default }
spec: { clusterIP: None, selector: { app: server }, ports: [{ name: http, port: 8080 }] }
`,
  ...PLAIN.map((name) => service(name, server)),
  ...GOVERNED.flatMap((name) => [service(name, server), route(name)]),
  ...FREE.map((name) => service(name, server)),
  service('rpc', { ...server, ports: ['grpc:90:9090'] }),
  service('governed-rpc', { ...server, ports: ['grpc:90:9090'] }),
  route('governed-rpc', 90),
  service('nobody', { selector: { app: 'nobody' } }),
  // instances that are not there, with a health check that never ends well
  service('dead', { selector: { app: 'dead' } }),
  `apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: { name: dead, namespace: elsewhere, labels: { app: elsewhere } }
spec: { address: 203.0.113.9, ports: [{ name: http, port: 8080 }] }
`,
  `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: dead, namespace: default, labels: { kubernetes.io/service-name: unanswered } }
addressType: IPv4
endpoints: [{ addresses: [203.0.113.10] }]
ports: [{ name: http, port: 8080 }]
`,
  `apiVersion: v1
kind: Service
metadata: { name: unanswered, namespace: default }
spec: { clusterIP: 10.96.77.7, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`,
  `apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: unanswered, namespace: default }
spec:
  targetRefs: [{ group: '', kind: Service, name: unanswered }]
  healthCheck: { active: { type: HTTP, http: { path: / } } }
`,
  `apiVersion: heddle.dev/v1alpha1
kind: ExternalService
metadata: { name: stalled, namespace: default }
spec:
  hosts: [stalled.example.com]
  addresses: [198.51.100.7]
  ports: [{ port: 80, name: http }]
`,
)

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Bytes in use by the control plane, which is this process. */
function inUse(): number {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const allocated = async (mesh: TestMesh, workload: string): Promise<number> =>
  Number((JSON.parse(await mesh.admin(workload, '/memory')) as { allocated: string }).allocated)

/** Names of the clusters that a workload's Envoy has. */
async function clusters(mesh: TestMesh, workload: string): Promise<readonly string[]> {
  const text = await mesh.admin(workload, '/clusters')
  return [...new Set(text.split('\n').map((line) => line.split('::')[0] ?? ''))].filter((name) => name !== '')
}

describe.runIf(isolations.includes('netns'))('on demand', () => {
  let mesh: TestMesh
  const again = (): Promise<number> => mesh.stat('client', 'http.again.downstream_rq_total')
  const addressOf = (name: string): string =>
    mesh.standalone.core.mesh.services.service.get(`default/${name}`)?.addresses[0] ?? ''

  beforeAll(async () => {
    mesh = await TestMesh.start([WORKLOADS, MESH()])
    await mesh.addOutside('world', ['198.51.100.1'], ['http:80'])
    await mesh.setOutsideHosts([{ name: 'world.example.com', addresses: ['198.51.100.1'] }])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  describe.each([
    ['plain', 0],
    ['governed', 1],
  ] as const)('the first use of a %s service', (kind, rounds) => {
    test('GET, and from the second on it is direct', async () => {
      const before = await again()
      expect(await mesh.request('client', `http://${kind}-get/one`)).toMatchObject({
        status: 200,
        echo: { path: '/one' },
      })
      expect(await again()).toBe(before + rounds)
      const { echo } = await mesh.request('client', `http://${kind}-get/two`)
      expect(echo?.headers['x-route']).toBe(kind === 'plain' ? undefined : `${kind}-get`)
      expect(await again()).toBe(before + rounds)
    })

    test('POST with a large body', async () => {
      const body = 'y'.repeat(2_000_000)
      const answer = await mesh.request('client', `http://${kind}-post/`, { method: 'POST', body })
      expect(answer).toMatchObject({ status: 200, echo: { bodyLength: body.length } })
    })

    test('HTTP/2', async () => {
      const answer = await mesh.request('client', `http://${kind}-two/`, { version: '2', method: 'POST', body: 'b' })
      expect(answer).toMatchObject({ status: 200, echo: { protocol: 'HTTP/2.0', body: 'b' } })
    })

    test('gRPC stream', async () => {
      const target = kind === 'plain' ? 'rpc:90' : 'governed-rpc:90'
      const answer = await mesh.grpc('client', target, { method: 'Stream', messages: [1, 2, 3] })
      expect(answer).toMatchObject({ code: 0, trailers: { 'x-trailer': 'status 0' } })
      expect(answer.messages).toHaveLength(3)
    })

    test('WebSocket', async () => {
      await using connection = await mesh.connect('client', `${kind}-ws`, 80)
      const say = await openWebSocket(connection, `${kind}-ws`)
      expect(await say('hello')).toBe('hello')
    })

    test('headers that are Heddle’s own can not be set, and do not arrive', async () => {
      const headers = { 'x-heddle-dst': `${addressOf('nobody')}:80`, 'x-heddle-pass': '2' }
      for (const use of ['first', 'second']) {
        const { status, echo } = await mesh.request('client', `http://${kind}-forged/${use}`, { headers })
        expect(status).toBe(200)
        expect(Object.keys(echo?.headers ?? {}).filter((name) => name.startsWith('x-heddle'))).toEqual([])
      }
    })
  })

  test('nor do they arrive at hosts outside', async () => {
    const headers = { 'x-heddle-dst': `${addressOf('server')}:80`, 'x-heddle-pass': '2' }
    const { status, echo } = await mesh.request('client', 'http://world.example.com/', { headers })
    expect({ status, instance: echo?.instance }).toEqual({ status: 200, instance: 'world' })
    expect(Object.keys(echo?.headers ?? {}).filter((name) => name.startsWith('x-heddle'))).toEqual([])
  })

  test('the same answers reach whoever is called by the address of an instance, a headless Service, or IPv6', async () => {
    const instance = mesh.runner.place('default/server')?.addresses[0] ?? ''
    const direct = await mesh.request('client', `http://${instance}:8080/`)
    expect(direct.echo?.headers['x-forwarded-client-cert']).toContain('/sa/client')
    expect((await mesh.tcp('client', instance, 9000, { send: 'hello', until: 'hello' })).data).toBe('server: hello')
    const headless = await mesh.request('client', 'http://headless:8080/')
    expect(headless.echo?.headers['x-forwarded-client-cert']).toContain('/sa/client')
    for (const url of ['http://six/', 'http://six-governed/', 'http://[fd00:96::10]/', 'http://[fd00:244::6]:8080/'])
      expect((await mesh.request('six-client', url)).echo?.headers['x-forwarded-client-cert'], url).toContain(
        '/sa/six-client',
      )
    expect((await mesh.tcp('six-client', 'six', 9000, { send: 'hello', until: 'hello' })).data).toBe('six: hello')
  })

  test('a workload calls itself through its Service', async () => {
    const { echo } = await mesh.request('client', 'http://client/')
    expect(echo?.instance).toBe('client')
    expect(echo?.headers['x-forwarded-client-cert']).toContain('/sa/client')
  })

  describe('addresses that nobody has', () => {
    const address = '10.96.200.1'

    test('are refused at once, again and again', async () => {
      for (const path of ['/one', '/two', '/three']) {
        const answer = await mesh.request('client', `http://${address}${path}`, { timeout: 2000 })
        expect(answer).toMatchObject({ status: 503, echo: undefined })
      }
      for (const use of [1, 2, 3]) {
        const answer = await mesh.tcp('client', address, 9000, { send: `hello ${use}\n`, timeout: 3000 })
        expect(answer).toMatchObject({ data: '', closed: true })
      }
    })

    test('come to life with their Service, rest without it, and come back', async () => {
      const late = service('late', { ...server, clusterIP: address, ports: ['http:80:8080', 'tcp:9000'] })
      for (const round of [1, 2]) {
        await mesh.apply(late, 'late.yaml')
        await mesh.eventually(async () =>
          expect(await mesh.request('client', `http://${address}/${round}`)).toMatchObject({ status: 200 }),
        )
        await mesh.eventually(async () => {
          expect((await mesh.tcp('client', address, 9000, { send: 'hello', until: 'hello' })).data).toBe(
            'server: hello',
          )
        })
        await mesh.delete('late.yaml')
        await mesh.eventually(async () =>
          expect(await mesh.request('client', `http://${address}/`)).toMatchObject({ status: 503 }),
        )
        await mesh.eventually(async () => {
          expect((await mesh.tcp('client', address, 9000, { send: 'hello', until: 'hello' })).data).toBe('')
        })
      }
    })
  })

  test('what is broken, slow or unknown delays no other’s first use', async () => {
    // a name server that never answers
    const silent = `require('node:dgram').createSocket('udp4').bind(53, '127.0.0.1')`
    void mesh.exec('client', [process.execPath, '-e', silent])
    const slow = ['http://nobody/', 'http://unanswered/', 'http://198.51.100.7/', 'http://10.96.201.1/'].map((url) =>
      mesh
        .request('client', url, {
          timeout: 30_000,
          headers: url.includes('198') ? { host: 'stalled.example.com' } : {},
        })
        .then(
          ({ status }) => status,
          (error: unknown) => String(error),
        ),
    )
    const times: number[] = []
    for (const name of FREE) {
      const answer = await mesh.request('client', `http://${name}/`)
      expect(answer).toMatchObject({ status: 200 })
      times.push(answer.ms)
    }
    expect(await Promise.all(slow)).toEqual(slow.map(() => 503))
    expect(Math.max(...times)).toBeLessThan(2500)
  })

  test('what a workload used is sent ahead to its next proxy', async () => {
    for (const url of ['http://warm/', 'http://governed-warm/'])
      expect((await mesh.request('client', url)).status).toBe(200)
    await mesh.tcp('client', 'server', 9000, { send: 'hello', until: 'hello' })
    const names = ['warm', 'governed-warm'].map((name) => `${addressOf(name)}:80`)
    const before = await mesh.stat('client', 'server.uptime')
    mesh.runner.proxy('default/client')?.kill()
    await mesh.eventually(async () => {
      expect(await mesh.stat('client', 'server.uptime')).toBeLessThanOrEqual(before)
      expect(await mesh.admin('client', '/ready')).toContain('LIVE')
      expect(await clusters(mesh, 'client')).toEqual(
        expect.arrayContaining([...names, `tcp|${addressOf('server')}:9000`]),
      )
    })
    const added = await mesh.stat('client', 'cluster_manager.cluster_added')
    const rounds = await again()
    for (const url of ['http://warm/', 'http://governed-warm/'])
      expect((await mesh.request('client', url)).status).toBe(200)
    expect((await mesh.tcp('client', 'server', 9000, { send: 'hello', until: 'hello' })).data).toBe('server: hello')
    expect(await mesh.stat('client', 'cluster_manager.cluster_added')).toBe(added)
    expect(await again()).toBe(rounds)
    expect(await clusters(mesh, 'client')).not.toContain(`${addressOf('ahead')}:80`)
  })

  describe('eager', () => {
    test('a namespace may choose it', async () => {
      const names = [...PLAIN, ...FREE].map((name) => `${addressOf(name)}:80`)
      expect(await clusters(mesh, 'eager/watcher')).toEqual(expect.arrayContaining(names))
      const added = await mesh.stat('eager/watcher', 'cluster_manager.cluster_added')
      for (const name of ['plain-get', 'governed-get'])
        expect((await mesh.request('eager/watcher', `http://${name}.default/`)).status).toBe(200)
      expect(await mesh.stat('eager/watcher', 'cluster_manager.cluster_added')).toBe(added)
      expect(await mesh.stat('eager/watcher', 'http.again.downstream_rq_total')).toBe(0)
    })

    test('the Mesh may, for everybody, and take it back', async () => {
      expect(await clusters(mesh, 'server')).not.toContain(`${addressOf('ahead')}:80`)
      await mesh.apply(MESH('  outbound: { discovery: Eager }\n'), '1.yaml')
      await mesh.eventually(async () => expect(await clusters(mesh, 'server')).toContain(`${addressOf('ahead')}:80`))
      await mesh.apply(MESH(), '1.yaml')
      await mesh.eventually(async () =>
        expect(await clusters(mesh, 'server')).not.toContain(`${addressOf('ahead')}:80`),
      )
    })
  })

  test.each([
    ['http', '503'],
    ['tcp', 'closed'],
  ] as const)('10,000 unknown addresses, %s: refused at once, and memory stays bounded', async (kind, refusal) => {
    const third = kind === 'http' ? 100 : 150
    const targets = Array.from(
      { length: 10_000 },
      (_, index) => `10.120.${third + Math.floor(index / 250)}.${1 + (index % 250)}:80`,
    )
    const before = { envoy: await allocated(mesh, 'server'), control: inUse() }
    const first = await mesh.sweep('server', { kind, targets, concurrency: 50 })
    const second = await mesh.sweep('server', { kind, targets: targets.slice(0, 1000), concurrency: 50 })
    for (const { outcomes, median, slowest } of [first, second]) {
      // a connection that is closed with bytes unread is reset; and where Envoy saw the request too late, it was no request
      const { [refusal]: refused = 0, ECONNRESET: reset = 0, ...others } = outcomes
      expect(others).toEqual({})
      expect(kind === 'http' ? reset : 0).toBeLessThanOrEqual(refused / 50)
      expect(median).toBeLessThan(1000)
      expect(slowest).toBeLessThan(5000)
    }
    await mesh.eventually(async () => {
      const envoy = (await allocated(mesh, 'server')) - before.envoy
      const control = inUse() - before.control
      expect(envoy / targets.length).toBeLessThan(2048)
      expect(control / targets.length).toBeLessThan(2048)
    })
    // and everything else goes on
    expect((await mesh.request('server', 'http://plain-get/')).status).toBe(200)
  })
})
