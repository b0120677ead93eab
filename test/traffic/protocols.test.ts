// What applications speak, through two proxies, as it arrives: every protocol by declaration and by detection, in both isolations.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWebSocket } from '../support/connection.ts'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

/** In netns mode even continuous integration must be able to be root: else most of this folder would test nothing. */
test('network namespaces can be used, or this is no continuous integration', () => {
  expect(isolations).toContain(process.env['CI'] === undefined ? 'loopback' : 'netns')
})

const PORTS = [
  'http:80:8080',
  'h2c:81:8081',
  'web:82:8082',
  'grpc:90:9090',
  'tcp:9000',
  'tcp-banner:9001',
  'data:9002',
  'greeting:9003',
  'tcp-eof:9004',
  'tls:443:8443',
  'secret:444:8444',
]

const WORKLOADS = documents(
  echoWorkload('client', {
    upstreams: [
      ...PORTS.map((text) => `server:${text.split(':')[1]}`),
      'named:80',
      'named:81',
      'front:443',
      'changing:80',
      'late:80',
      'retried:90',
    ],
  }),
  echoWorkload('server', {
    ports: [
      'http:8080',
      'h2c=http:8081',
      'web=http:8082',
      'grpc:9090',
      'tcp:9000',
      'tcp-banner=banner:9001',
      'data=tcp:9002',
      'greeting=banner:9003',
      'tcp-eof=eof:9004',
      'tls:8443',
      'secret=tls:8444',
    ],
  }),
  service('server', { ports: PORTS }),
  service('changing', { selector: { app: 'server' } }),
  service('late', { selector: { app: 'server' } }),
  service('retried', { selector: { app: 'server' }, ports: ['grpc:90:9090'] }),
  `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: retried, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: retried }]
  rules: [{ name: all, backendRefs: [{ name: retried, port: 90 }] }]
`,
  `apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: retried, namespace: default }
spec:
  targetRefs: [{ group: '', kind: Service, name: retried }]
  retry: { numRetries: 2, retryOn: { triggers: [unavailable] }, perRetry: { backOff: { baseInterval: 5ms } } }
`,
  echoWorkload('alpha', { ports: ['tls:8443'] }),
  echoWorkload('beta', { ports: ['tls:8443'] }),
  service('alpha', { ports: ['tls:443:8443'] }),
  service('beta', { ports: ['tls:443:8443'] }),
  `apiVersion: v1
kind: Service
metadata: { name: front, namespace: default }
spec: { ports: [{ name: tls, port: 443 }] }
`,
  ...['alpha', 'beta'].map(
    (name) => `apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: { name: ${name}, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: front }]
  hostnames: [${name === 'alpha' ? 'alpha.example.com' : "'*.example.org'"}]
  rules: [{ backendRefs: [{ name: ${name}, port: 443 }] }]
`,
  ),
  // appProtocol is above the name: what is called HTTP is TCP here, and the other way round
  `apiVersion: v1
kind: Service
metadata: { name: named, namespace: default }
spec:
  selector: { app: named }
  ports:
    - { name: http-not, port: 80, targetPort: 8090, appProtocol: tcp }
    - { name: tcp-not, port: 81, targetPort: 8091, appProtocol: http }
`,
  echoWorkload('named', { ports: ['http-not=tcp:8090', 'tcp-not=http:8091'] }).replace(
    /port: 809[01]\n/g,
    (line) => `${line.trimEnd()}\n      appProtocol: ${line.includes('8090') ? 'tcp' : 'http'}\n`,
  ),
)

const route = (service: string, value: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${service}, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: ${service} }]
  rules:
    - filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-route, value: ${value} }] } }]
      backendRefs: [{ name: ${service}, port: 80 }]
`

const REQUEST = 'GET /raw HTTP/1.1\r\nHost: server\r\n'

describe.each(isolations)('protocols in %s', (isolation) => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(WORKLOADS, { isolation })
    if (isolation === 'netns') await mesh.addOutside('outsider', ['192.0.2.1'])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  describe('HTTP/1', () => {
    test('HTTP/1.0 gets an answer and a closed connection', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      const answer = await connection.turn({ send: 'GET /old HTTP/1.0\r\nHost: server\r\n\r\n', untilClosed: true })
      expect(answer.data).toMatch(/^HTTP\/1\.[01] 200 /)
      expect(answer.data).toContain('"path": "/old"')
      expect(answer.closed).toBe(true)
    })

    test('a connection is used again', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      for (const path of ['/one', '/two', '/three']) {
        const answer = await connection.say(`GET ${path} HTTP/1.1\r\nHost: server\r\n\r\n`, '\n}\n')
        expect(answer).toContain(`"path": "${path}"`)
      }
    })

    test('HEAD has the length of a body and none', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      const answer = await connection.say('HEAD / HTTP/1.1\r\nHost: server\r\nx-echo-size: 500\r\n\r\n', '\r\n\r\n')
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      // nothing of a body lies before the next answer
      expect(await connection.say(`${REQUEST}\r\n`, '\n}\n')).toMatch(/^HTTP\/1\.1 200 /)
    })

    test('100-continue: the body is sent once the server wants it', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      const head = 'POST /continue HTTP/1.1\r\nHost: server\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n'
      expect(await connection.say(head, '\r\n\r\n')).toMatch(/^HTTP\/1\.1 100 /)
      expect(await connection.say('hello', '\n}\n')).toContain('"body": "hello"')
    })

    test.each(['CONNECT example.com:443', 'CONNECT server:80'])('%s is refused and holds nobody up', async (line) => {
      await using connection = await mesh.connect('client', 'server', 80)
      const answer = await connection.turn({
        send: `${line} HTTP/1.1\r\nHost: ${line.split(' ')[1]}\r\n\r\n`,
        until: '\r\n\r\n',
        timeout: 3000,
      })
      expect(answer.data).toMatch(/^HTTP\/1\.1 4\d\d /)
    })

    test('OPTIONS * has an answer', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      const answer = await connection.turn({
        send: 'OPTIONS * HTTP/1.1\r\nHost: server\r\n\r\n',
        until: '\r\n\r\n',
        timeout: 3000,
      })
      expect(answer.data).toMatch(/^HTTP\/1\.1 \d\d\d /)
    })

    test('large bodies both ways', async () => {
      const answer = await mesh.request('client', 'http://server/large', {
        method: 'POST',
        body: 'x'.repeat(8_000_000),
        headers: { 'x-echo-size': '8000000' },
      })
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.body.length).toBe(8_000_000)
      expect(mesh.received('server')).toContainEqual(expect.objectContaining({ path: '/large', bodyLength: 8_000_000 }))
    })

    test('a body of unknown length', async () => {
      await using connection = await mesh.connect('client', 'server', 80)
      await connection.turn({
        send: 'POST / HTTP/1.1\r\nHost: server\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      })
      expect(await connection.say('6\r\n world\r\n0\r\n\r\n', '\n}\n')).toContain('"body": "hello world"')
    })
  })

  describe('HTTP/2', () => {
    test('with prior knowledge, to each port that carries requests', async () => {
      for (const port of [80, 81, 82]) {
        const answer = await mesh.request('client', `http://server:${port}/two`, {
          version: '2',
          method: 'POST',
          body: 'b',
        })
        expect(answer).toMatchObject({ status: 200, echo: { protocol: 'HTTP/2.0', body: 'b' } })
      }
    })

    test('a port declared HTTP/2 gets it from clients that speak HTTP/1.1 too', async () => {
      const answer = await mesh.request('client', 'http://server:81/up')
      expect(answer).toMatchObject({ status: 200, echo: { protocol: 'HTTP/2.0' } })
    })

    test('large bodies both ways', async () => {
      const answer = await mesh.request('client', 'http://server/large-two', {
        version: '2',
        method: 'POST',
        body: 'x'.repeat(4_000_000),
        headers: { 'x-echo-size': '4000000' },
      })
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.body.length).toBe(4_000_000)
    })
  })

  describe('gRPC', () => {
    test('unary: message, metadata, trailers', async () => {
      const answer = await mesh.grpc('client', 'server:90', { messages: [{ n: 1 }], metadata: { 'x-mine': 'yes' } })
      expect(answer).toMatchObject({
        code: 0,
        messages: [{ instance: 'server', message: { n: 1 }, metadata: { 'x-mine': 'yes' } }],
        trailers: { 'x-trailer': 'status 0' },
      })
    })

    test.each([5, 7, 8, 14])('status %i arrives as it was sent, with its trailers', async (code) => {
      const answer = await mesh.grpc('client', 'server:90', { metadata: { 'x-echo-status': String(code) } })
      expect(answer).toMatchObject({ code, details: `as asked: ${code}`, trailers: { 'x-trailer': `status ${code}` } })
    })

    test('streams', async () => {
      const messages = Array.from({ length: 50 }, (_, n) => n)
      const answer = await mesh.grpc('client', 'server:90', { method: 'Stream', messages })
      expect(answer).toMatchObject({ code: 0, trailers: { 'x-trailer': 'status 0' } })
      expect(answer.messages).toEqual(messages.map((message) => ({ instance: 'server', message })))
    })

    test('a retry on a status hides a failure', async () => {
      const metadata = { 'x-echo-fail': `${isolation}:2`, 'x-echo-status': '14' }
      expect(await mesh.grpc('client', 'retried:90', { metadata })).toMatchObject({ code: 0 })
      const tries = mesh
        .received('server')
        .filter((one) => one.kind === 'grpc' && one.metadata['x-echo-fail'] === `${isolation}:2`)
      expect(tries).toHaveLength(3)
    })

    test('and no more often than it may', async () => {
      const metadata = { 'x-echo-fail': `${isolation}-more:3`, 'x-echo-status': '14' }
      expect(await mesh.grpc('client', 'retried:90', { metadata })).toMatchObject({ code: 14 })
    })

    test('a deadline ends the call', async () => {
      const answer = await mesh.grpc('client', 'server:90', { metadata: { 'x-echo-delay': '5000' }, timeout: 300 })
      expect(answer.code).toBe(4)
    })
  })

  describe('WebSocket', () => {
    test('to a port declared HTTP, and to one that is not', async () => {
      expect(await mesh.websocket('client', 'ws://server/', ['one', 'two'])).toEqual(['one', 'two'])
      expect(await mesh.websocket('client', 'ws://server:82/', ['one', 'two'])).toEqual(['one', 'two'])
    })

    test('stays open when its service gets a policy, when that changes, and when it goes', async () => {
      await using plain = await mesh.connect('client', 'changing', 80)
      const fromPlain = await openWebSocket(plain, 'changing')
      await mesh.apply(route('changing', 'one'), 'changing.yaml')
      await mesh.eventually(async () => {
        expect((await mesh.request('client', 'http://changing/')).echo?.headers).toMatchObject({ 'x-route': 'one' })
      })
      expect(await fromPlain('after the policy came')).toBe('after the policy came')

      await using governed = await mesh.connect('client', 'changing', 80)
      const fromGoverned = await openWebSocket(governed, 'changing')
      await mesh.apply(route('changing', 'two'), 'changing.yaml')
      await mesh.eventually(async () => {
        expect((await mesh.request('client', 'http://changing/')).echo?.headers).toMatchObject({ 'x-route': 'two' })
      })
      expect(await fromGoverned('after it changed')).toBe('after it changed')

      await mesh.delete('changing.yaml')
      await mesh.eventually(async () => {
        const { echo } = await mesh.request('client', 'http://changing/')
        expect(echo).toBeDefined()
        expect(echo?.headers).not.toHaveProperty('x-route')
      })
      expect(await fromPlain('after it went')).toBe('after it went')
      expect(await fromGoverned('after it went')).toBe('after it went')
    })

    test('that was the first use of a service with policy stays open when the policy goes', async () => {
      await mesh.apply(route('late', 'one'), 'late.yaml')
      await mesh.standalone.settled()
      await using connection = await mesh.connect('client', 'late', 80)
      const say = await openWebSocket(connection, 'late', 'x-first: use\r\n')
      expect(await say('once round')).toBe('once round')
      await mesh.delete('late.yaml')
      await mesh.eventually(async () => {
        const { echo } = await mesh.request('client', 'http://late/')
        expect(echo).toBeDefined()
        expect(echo?.headers).not.toHaveProperty('x-route')
      })
      expect(await say('still there')).toBe('still there')
    })
  })

  describe('TCP', () => {
    test.each([9000, 9002])('the client speaks first, port %i', async (port) => {
      const answer = await mesh.tcp('client', 'server', port, { send: 'hello', until: 'hello' })
      expect(answer.data).toBe('server: hello')
    })

    // the client's proxy looks for a request for 90 ms; the server's does not, since mesh TLS has said what comes
    test.each([9001, 9003])('the server speaks first within 200 ms, port %i', async (port) => {
      const timeouts = await mesh.stat('server', 'listener.0.0.0.0_15006.downstream_pre_cx_timeout')
      const times: number[] = []
      for (let use = 0; use < 5; use += 1) {
        const answer = await mesh.tcp('client', 'server', port, { until: 'ready' })
        expect(answer.data).toBe('220 server ready\r\n')
        times.push(answer.firstByte ?? Number.POSITIVE_INFINITY)
      }
      // the median: a busy machine has slow moments
      expect(times.toSorted((a, b) => a - b)[2]).toBeLessThan(200)
      expect(await mesh.stat('server', 'listener.0.0.0.0_15006.downstream_pre_cx_timeout')).toBe(timeouts)
    })

    test('each side closes its half for itself', async () => {
      await using connection = await mesh.connect('client', 'server', 9004)
      const arrived = () => mesh.received('server').filter((one) => one.kind === 'tcp' && one.port === 9004).length
      const before = arrived()
      await connection.turn({ send: 'a line of text\n'.repeat(5000) })
      // Envoy drops a connection that is half closed before its protocol is known
      await mesh.eventually(() => expect(arrived()).toBe(before + 1))
      const answer = await connection.turn({ end: true, untilClosed: true })
      expect(answer).toMatchObject({ data: 'server: 75000 bytes', closed: true })
    })

    test('a long conversation', async () => {
      await using connection = await mesh.connect('client', 'server', 9000)
      await connection.say('hello', 'hello')
      for (const part of ['a', 'b', 'c'])
        expect(await connection.say(part.repeat(50_000), part, 50_000)).toBe(part.repeat(50_000))
    })
  })

  describe('TLS of the application', () => {
    const inside = `${REQUEST}connection: close\r\n\r\n`

    test.each([443, 444])('passes untouched, port %i', async (port) => {
      const answer = await mesh.tcp('client', 'server', port, {
        sni: 'server.example.com',
        send: inside,
        until: '\n}\n',
      })
      expect(answer.peer).toContain('server.example.com')
      expect(answer.data).toContain('"path": "/raw"')
    })

    test('a TLSRoute picks the backend by SNI', async () => {
      for (const [sni, instance] of [
        ['alpha.example.com', 'alpha'],
        ['any.example.org', 'beta'],
      ] as const) {
        const answer = await mesh.tcp('client', 'front', 443, { sni, send: inside, until: '\n}\n' })
        expect(answer.peer).toContain(`${instance}.example.com`)
        expect(answer.data).toContain(`"instance": "${instance}"`)
      }
      const refused = await mesh.tcp('client', 'front', 443, { sni: 'gamma.example.com', send: inside, timeout: 5000 })
      expect(refused).toMatchObject({ data: '', closed: true })
    })
  })

  describe('declared and detected', () => {
    test('appProtocol is above the name', async () => {
      const tcp = await mesh.tcp('client', 'named', 80, {
        send: 'GET / HTTP/9.9 no such thing\r\n\r\n',
        until: 'thing',
      })
      expect(tcp.data).toContain('named: GET / HTTP/9.9')
      expect(await mesh.request('client', 'http://named:81/')).toMatchObject({
        status: 200,
        echo: { instance: 'named' },
      })
    })

    test('a request on a port that declares nothing is a request', async () => {
      const answer = await mesh.request('client', 'http://server:82/detected')
      expect(answer.echo?.headers['x-forwarded-client-cert']).toContain('/sa/client')
    })

    test('what is not HTTP never reaches a port declared HTTP, early or late', async () => {
      const before = mesh.received('server').length
      await using early = await mesh.connect('client', 'server', 80)
      const refused = await early.turn({ send: '\0\x01garbage\r\n\r\n', untilClosed: true })
      expect(refused.data).toMatch(/^(HTTP\/1\.1 400 .*)?$/s)
      const timeouts = await silent(mesh)
      await using late = await mesh.connect('client', 'server', 80)
      await late.turn({})
      await mesh.eventually(async () => expect(await silent(mesh)).toBeGreaterThan(timeouts))
      const garbage = await late.turn({ send: '\0\x01garbage\r\n\r\n', untilClosed: true })
      expect(garbage.data).toMatch(/^(HTTP\/1\.1 400 .*)?$/s)
      expect(mesh.received('server').length).toBe(before)
    })

    test('a late request to it is a request there, and is authorised as one', async () => {
      const timeouts = await silent(mesh)
      await using late = await mesh.connect('client', 'server', 80)
      await late.turn({})
      await mesh.eventually(async () => expect(await silent(mesh)).toBeGreaterThan(timeouts))
      const answer = await late.say(`${REQUEST}\r\n`, '\n}\n')
      expect(answer).toContain('x-forwarded-client-cert')
    })
  })

  if (isolation === 'loopback') return

  describe('from a machine without a proxy', () => {
    const address = (): string => mesh.runner.place('default/server')?.addresses[0] ?? ''

    test('requests, TLS of the application and server-first TCP', async () => {
      const server = address()
      expect(await mesh.request('outside/outsider', `http://${server}:8080/`)).toMatchObject({ status: 200 })
      for (const port of [8443, 8444]) {
        const tls = await mesh.tcp('outside/outsider', server, port, {
          sni: 'x.example.com',
          send: `${REQUEST}\r\n`,
          until: '\n}\n',
        })
        expect(tls.peer).toContain('server.example.com')
      }
      for (const port of [9001, 9003]) {
        const banner = await mesh.tcp('outside/outsider', server, port, { until: 'ready' })
        expect(banner.data).toBe('220 server ready\r\n')
        expect(banner.firstByte).toBeLessThan(200)
      }
    })

    test('garbage to a port declared HTTP, early and late', async () => {
      const server = address()
      const before = mesh.received('server').length
      await using early = await mesh.connect('outside/outsider', server, 8080)
      expect((await early.turn({ send: '\0\x01garbage\r\n\r\n', untilClosed: true })).data).toMatch(
        /^(HTTP\/1\.1 400 .*)?$/s,
      )
      const waited = (): Promise<number> => mesh.stat('server', 'listener.0.0.0.0_15006.downstream_pre_cx_timeout')
      const timeouts = await waited()
      await using late = await mesh.connect('outside/outsider', server, 8080)
      await late.turn({})
      await mesh.eventually(async () => expect(await waited()).toBeGreaterThan(timeouts))
      expect((await late.turn({ send: '\0\x01garbage\r\n\r\n', untilClosed: true })).data).toMatch(
        /^(HTTP\/1\.1 400 .*)?$/s,
      )
      expect(mesh.received('server').length).toBe(before)
    })
  })
})

/** How many connections of the client's application said nothing in time. */
async function silent(mesh: TestMesh): Promise<number> {
  const text = await mesh.admin('client', '/stats?filter=^listener\\..*downstream_pre_cx_timeout$')
  return text.split('\n').reduce((sum, line) => sum + Number(line.split(': ')[1] ?? 0), 0)
}
