/** Routes of the other kinds, routes of producers and consumers, and which kind has a Service's port. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { put, route } from './objects.ts'

const PORTS = ['http:8080', 'grpc:9090', 'tcp:9000', 'tls:8443'] as const
const SERVICE_PORTS = ['http:80:8080', 'grpc:9090', 'tcp:9000', 'tls:443:8443'] as const

describe.runIf(isolations.includes('netns'))('kinds and namespaces of routes', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('client'),
        echoWorkload('client', { namespace: 'guest' }),
        echoWorkload('local', { namespace: 'guest' }),
        service('local', { namespace: 'guest' }),
        ...['a', 'b', 'c'].map((name) => echoWorkload(name, { ports: PORTS })),
        ...['a', 'b', 'c'].map((name) => service(name, { ports: SERVICE_PORTS })),
      ),
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const own = (name: string): string => service(name, { selector: { app: 'c' }, ports: SERVICE_PORTS })
  const tcpAnswer = async (host: string): Promise<string> =>
    (await mesh.tcp('client', host, 9000, { send: 'hello', until: 'hello' })).data.replace(': hello', '')

  async function counted(count: number, one: () => Promise<string>): Promise<Record<string, number>> {
    const found: Record<string, number> = {}
    for (const name of await Promise.all(Array.from({ length: count }, one))) found[name] = (found[name] ?? 0) + 1
    return found
  }

  describe('GRPCRoute', () => {
    const call = async (host: string, method: 'Unary' | 'Stream', metadata: Record<string, string> = {}) => {
      const { code, messages } = await mesh.grpc('client', `${host}:9090`, { method, metadata, messages: [{ n: 1 }] })
      return code === 0 ? (messages[0] as { instance: string }).instance : code
    }

    test('matches by service, method and headers, the most specific first', async () => {
      const to = (name: string) => `backendRefs: [{ name: ${name}, port: 9090 }]`
      await put(
        mesh,
        'calls',
        own('calls'),
        route(
          'calls',
          `
- { matches: [{ method: { service: echo.Echo } }], ${to('a')} }
- { matches: [{ method: { service: echo.Echo, method: Stream } }], ${to('b')} }
- { matches: [{ method: { method: Unary }, headers: [{ name: x-version, value: two }] }], ${to('c')} }
- { matches: [{ method: { service: echo.Echo }, headers: [{ name: x-version, type: RegularExpression, value: 't.*' }] }], ${to('c')} }
`,
          { kind: 'GRPCRoute', parent: 'port: 9090' },
        ),
      )
      expect(await call('calls', 'Unary')).toBe('a')
      expect(await call('calls', 'Stream')).toBe('b')
      // the method counts for more than a header
      expect(await call('calls', 'Stream', { 'x-version': 'three' })).toBe('b')
      expect(await call('calls', 'Unary', { 'x-version': 'three' })).toBe('c')
    })

    test('changes metadata, splits, and answers what no rule matches as unimplemented', async () => {
      await put(
        mesh,
        'split-calls',
        own('split-calls'),
        route(
          'split-calls',
          `
- matches: [{ method: { method: Unary } }]
  filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-rule, value: yes-it-was }] } }]
  backendRefs: [{ name: a, port: 9090 }, { name: b, port: 9090 }, { name: missing, port: 9090, weight: 0 }]
`,
          { kind: 'GRPCRoute', parent: 'port: 9090' },
        ),
      )
      const found = await counted(30, async () => String(await call('split-calls', 'Unary')))
      expect(Object.keys(found).toSorted()).toEqual(['a', 'b'])
      const { messages } = await mesh.grpc('client', 'split-calls:9090')
      expect(messages[0]).toMatchObject({ metadata: { 'x-rule': 'yes-it-was' } })
      expect(await call('split-calls', 'Stream')).toBe(12)
    })

    test('to a backend that is not there is unavailable', async () => {
      await put(
        mesh,
        'lost-calls',
        own('lost-calls'),
        route('lost-calls', '- backendRefs: [{ name: missing, port: 9090 }]', { kind: 'GRPCRoute' }),
      )
      expect(await call('lost-calls', 'Unary')).toBe(14)
    })
  })

  describe('TCPRoute', () => {
    test('weights are the shares of connections, live', async () => {
      const weights = (a: number, b: number) =>
        put(
          mesh,
          'wires',
          own('wires'),
          route(
            'wires',
            `- backendRefs: [{ name: a, port: 9000, weight: ${a} }, { name: b, port: 9000, weight: ${b} }]`,
            {
              kind: 'TCPRoute',
              parent: 'port: 9000',
            },
          ),
        )
      await weights(3, 1)
      const found = await counted(160, () => tcpAnswer('wires'))
      expect(Object.keys(found).toSorted()).toEqual(['a', 'b'])
      expect(found['b']).toBeGreaterThan(18)
      expect(found['b']).toBeLessThan(66)
      await weights(0, 1)
      await mesh.eventually(async () => expect(await counted(12, () => tcpAnswer('wires'))).toEqual({ b: 12 }))
    })

    test('a share of connections for a backend that is not there is refused', async () => {
      await put(
        mesh,
        'cut-wires',
        own('cut-wires'),
        route('cut-wires', '- backendRefs: [{ name: missing, port: 9000 }]', {
          kind: 'TCPRoute',
          parent: 'port: 9000',
        }),
      )
      const { data, closed } = await mesh.tcp('client', 'cut-wires', 9000, { send: 'hello', until: 'hello' })
      expect([data, closed]).toEqual(['', true])
    })
  })

  test('TLSRoutes choose by SNI, the most specific name first; what none names is refused', async () => {
    const to = (name: string) => `- backendRefs: [{ name: ${name}, port: 443 }]`
    const sni = (name: string, hosts: string, backend: string) =>
      route('sealed', to(backend), { kind: 'TLSRoute', name, parent: 'port: 443', spec: `hostnames: [${hosts}]` })
    await put(
      mesh,
      'sealed',
      own('sealed'),
      sni('one', 'one.example.com', 'a'),
      sni('wild', "'*.example.com'", 'b'),
      sni('split', 'split.example.org', 'c'),
    )
    const peer = async (name: string) => {
      const {
        peer: found,
        data,
        error,
      } = await mesh.tcp('client', 'sealed', 443, {
        sni: name,
        send: 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
        timeout: 5000,
      })
      return found !== undefined && data.startsWith('HTTP/1.1 200') ? found : (error ?? 'closed')
    }
    expect(await peer('one.example.com')).toContain('a.example.com')
    expect(await peer('two.example.com')).toContain('b.example.com')
    expect(await peer('split.example.org')).toContain('c.example.com')
    expect(await peer('other.example.org')).toBe('ECONNRESET')
  })

  describe('producers and consumers', () => {
    const marked = (value: string, backend: string) =>
      `[{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: rule, value: ${value} }] } }], backendRefs: [{ name: ${backend}, port: 80 }] }]`

    test("a route in a consumer's namespace is for its own clients, and replaces the producer's for them", async () => {
      const producer = route('offered', marked('producer', 'a'))
      const consumer = route('offered', marked('consumer', 'local'), {
        namespace: 'guest',
        parent: 'namespace: default',
      })
      await put(mesh, 'offered', own('offered'), producer)
      const seen = async (from: string) => {
        const { echo } = await mesh.request(from, 'http://offered.default/')
        return [echo?.headers['rule'], echo?.instance]
      }
      expect(await seen('client')).toEqual(['producer', 'a'])
      expect(await seen('guest/client')).toEqual(['producer', 'a'])
      await put(mesh, 'consumed', consumer)
      await mesh.eventually(async () => expect(await seen('guest/client')).toEqual(['consumer', 'local']))
      expect(await seen('client')).toEqual(['producer', 'a'])
      await mesh.delete('consumed.yaml')
      await mesh.eventually(async () => expect(await seen('guest/client')).toEqual(['producer', 'a']))
    })

    test("a producer's route may lead to backends of other namespaces, without a grant", async () => {
      await put(
        mesh,
        'abroad',
        own('abroad'),
        route('abroad', '[{ backendRefs: [{ name: local, namespace: guest, port: 80 }] }]'),
      )
      expect((await mesh.request('client', 'http://abroad/')).echo?.instance).toBe('local')
    })
  })

  test('of several kinds the most specific has the port: GRPCRoute, HTTPRoute, TLSRoute, TCPRoute', async () => {
    const http = route('contested', '[{ backendRefs: [{ name: b, port: 80 }] }]', { name: 'http' })
    const tcp = route('contested', '[{ backendRefs: [{ name: a, port: 80 }] }]', { kind: 'TCPRoute', name: 'tcp' })
    const grpc = route('contested', '[{ backendRefs: [{ name: a, port: 80 }] }]', { kind: 'GRPCRoute', name: 'grpc' })
    const instance = async () => (await mesh.request('client', 'http://contested/')).echo?.instance
    await put(mesh, 'contested', own('contested'), tcp)
    expect(await instance()).toBe('a')
    await put(mesh, 'contested', own('contested'), tcp, http)
    await mesh.eventually(async () => expect(await instance()).toBe('b'))
    await put(mesh, 'contested', own('contested'), tcp, http, grpc)
    // what is no gRPC matches none of its rules
    await mesh.eventually(async () => expect((await mesh.request('client', 'http://contested/')).status).toBe(404))
    await put(mesh, 'contested', own('contested'), http)
    await mesh.eventually(async () => expect(await instance()).toBe('b'))
  })
})
