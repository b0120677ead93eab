/** TrafficPolicies on requests, through a whole mesh: where they attach, which one wins, and what each does. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MeshAnswer, TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { heddle, put, route } from './objects.ts'

describe.runIf(isolations.includes('netns'))('TrafficPolicies', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('client'),
        ...['a', 'b'].map((name) =>
          echoWorkload(name, { labels: { app: name, all: 'yes' }, ports: ['http:8080', 'grpc:9090'] }),
        ),
        echoWorkload('limited'),
        echoWorkload('other', { namespace: 'elsewhere' }),
        service('other', { namespace: 'elsewhere' }),
      ),
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const all = (name: string): string =>
    service(name, { selector: { all: 'yes' }, ports: ['http:80:8080', 'http-more:81:8080'] })
  const one = (name: string): string => service(name, { selector: { app: 'a' } })
  const on = (name: string, spec: string): string =>
    heddle('TrafficPolicy', name, `targetRefs: [{ kind: Service, name: ${name} }]\n${spec}`)
  const get = (url: string, headers: Record<string, string> = {}): Promise<MeshAnswer> =>
    mesh.request('client', url, { headers })
  async function many(url: string, count: number, headers: Record<string, string> = {}, concurrency = 1) {
    const { result } = await mesh.load('client', url, { count, concurrency, request: { headers, keepAlive: true } })
    return (await result).answers
  }
  const statuses = async (url: string, count: number, headers: Record<string, string> = {}) =>
    [...new Set((await many(url, count, headers)).map(({ status }) => status))].toSorted((x, y) => x - y)

  describe('which one wins', () => {
    const abort = (status: number): string => `faultInjection: { abort: { httpStatus: ${status} } }`
    const fault = (name: string, target: string, what: string, namespace?: string): string =>
      heddle('TrafficPolicy', name, `targetRefs: [${target}]\n${what}`, namespace)

    test('the nearest: rule, route, port, Service, namespace, mesh, defaults of the mesh', async () => {
      const rules = `
- { name: one, matches: [{ path: { value: /one } }], backendRefs: [{ name: ranked, port: 80 }] }
- { matches: [{ path: { value: / } }], backendRefs: [{ name: ranked, port: 80 }] }
`
      const levels = [
        fault('by-rule', '{ kind: HTTPRoute, name: ranked, sectionName: one }', abort(521)),
        fault('by-route', '{ kind: HTTPRoute, name: ranked }', abort(522)),
        fault('by-port', "{ kind: Service, name: ranked, sectionName: 'http' }", abort(523)),
        fault('by-service', '{ kind: Service, name: ranked }', abort(524)),
        fault('by-namespace', '{ kind: Namespace }', abort(525)),
        fault('by-mesh', '{ kind: Mesh }', abort(526), 'heddle-system'),
        heddle('Mesh', 'default', `defaults: { ${abort(527)} }`),
      ]
      const seen = async () => [
        (await get('http://ranked/one')).status,
        (await get('http://ranked/two')).status,
        (await get('http://ranked:81/')).status,
        (await get('http://other.elsewhere/')).status,
      ]
      const expected = [
        [521, 522, 522, 526],
        [522, 522, 522, 526],
        [523, 523, 524, 526],
        [524, 524, 524, 526],
        [525, 525, 525, 526],
        [526, 526, 526, 526],
        [527, 527, 527, 527],
        [200, 200, 200, 200],
      ]
      for (const [index, wanted] of expected.entries()) {
        await put(mesh, 'ranked', all('ranked'), route('ranked', rules), ...levels.slice(index))
        await mesh.eventually(async () => expect(await seen()).toEqual(wanted))
      }
    })

    test("a policy for the mesh counts from the mesh's own namespace only", async () => {
      await put(mesh, 'usurper', one('modest'), fault('usurper', '{ kind: Mesh }', abort(530)))
      expect((await get('http://modest/')).status).toBe(200)
      expect((await get('http://other.elsewhere/')).status).toBe(200)
      await mesh.delete('usurper.yaml')
    })

    test('a stanza is replaced whole, others stay', async () => {
      await put(
        mesh,
        'whole',
        all('whole'),
        route('whole', '- { name: one, backendRefs: [{ name: whole, port: 80 }] }'),
        on(
          'whole',
          `faultInjection: { abort: { httpStatus: 540 } }\nretry: { numRetries: 5, retryOn: { triggers: [5xx] } }`,
        ),
        fault(
          'whole-rule',
          '{ kind: HTTPRoute, name: whole, sectionName: one }',
          'faultInjection: { delay: { fixedDelay: 300ms } }',
        ),
      )
      // of the fault only the delay is left, and the retries of the Service are still in force
      const answer = await get('http://whole/', { 'x-echo-status': '500', 'x-echo-only': 'a' })
      expect([answer.status, answer.echo?.instance]).toEqual([200, 'b'])
      expect(answer.ms).toBeGreaterThanOrEqual(300)
    })

    test('of two for the same target the first in the alphabet wins, stanza by stanza', async () => {
      await put(
        mesh,
        'twice',
        one('twice'),
        fault('twice-b', '{ kind: Service, name: twice }', abort(551)),
        fault('twice-a', '{ kind: Service, name: twice }', abort(550)),
      )
      expect((await get('http://twice/')).status).toBe(550)
    })

    test('what a route says itself about timeouts and retries beats any policy', async () => {
      const rules = `
- { name: own, matches: [{ path: { value: /own } }], timeouts: { request: 10s }, retry: { attempts: 1, codes: [599] }, backendRefs: [{ name: beaten, port: 80 }] }
- { matches: [{ path: { value: / } }], backendRefs: [{ name: beaten, port: 80 }] }
`
      await put(
        mesh,
        'beaten',
        all('beaten'),
        route('beaten', rules),
        fault(
          'beaten',
          '{ kind: HTTPRoute, name: beaten }',
          'timeout: { http: { requestTimeout: 300ms } }\nretry: { numRetries: 5, retryOn: { triggers: [5xx] } }',
        ),
      )
      expect((await get('http://beaten/own', { 'x-echo-delay': '700' })).status).toBe(200)
      expect((await get('http://beaten/', { 'x-echo-delay': '5000' })).status).toBe(504)
      const failing = { 'x-echo-status': '500', 'x-echo-only': 'a' }
      expect(await statuses('http://beaten/own', 30, failing)).toEqual([200, 500])
      expect(await statuses('http://beaten/', 30, failing)).toEqual([200])
    })
  })

  describe('faults', () => {
    test('delay and abort a share of requests, and nothing arrives of what was aborted', async () => {
      await put(
        mesh,
        'faulty',
        one('faulty'),
        on(
          'faulty',
          'faultInjection: { abort: { httpStatus: 418, percentage: 50 }, delay: { fixedDelay: 200ms, percentage: 100 } }',
        ),
      )
      const answers = await many('http://faulty/aborted-or-not', 80, {}, 20)
      const aborted = answers.filter(({ status }) => status === 418).length
      expect(answers.every(({ status, ms }) => (status === 418 || status === 200) && ms >= 190)).toBe(true)
      expect(aborted).toBeGreaterThan(15)
      expect(aborted).toBeLessThan(65)
      const arrived = mesh.received('a').filter((line) => line.kind === 'http' && line.path === '/aborted-or-not')
      expect(arrived).toHaveLength(80 - aborted)
    })

    test('for gRPC they have a gRPC status', async () => {
      await put(
        mesh,
        'faulty-calls',
        one('faulty-calls'),
        on('faulty-calls', 'faultInjection: { abort: { grpcStatus: 8 } }'),
      )
      expect((await mesh.grpc('client', 'faulty-calls:80')).code).toBe(8)
    })
  })

  describe('timeouts', () => {
    const slow = async (name: string, timeout: string) => {
      await put(mesh, name, one(name), on(name, `timeout: { http: ${timeout} }`))
      const { status, ms } = await get(`http://${name}/`, { 'x-echo-delay': '9000' })
      expect(ms).toBeLessThan(6000)
      expect((await get(`http://${name}/`)).status).toBe(200)
      return status
    }

    test('of requests', async () => expect(await slow('request-timeout', '{ requestTimeout: 300ms }')).toBe(504))
    test('of streams in which nothing moves', async () =>
      expect(await slow('idle-timeout', '{ streamIdleTimeout: 300ms }')).toBe(504))
    test('of streams', async () =>
      expect([408, 504]).toContain(await slow('stream-timeout', '{ maxStreamDuration: 300ms }')))

    test('of connecting', async () => {
      await put(
        mesh,
        'connect-timeout',
        service('connect-timeout'),
        heddle(
          'Workload',
          'gone',
          'serviceAccount: gone\naddress: 10.244.250.250\nports: [{ name: http, port: 8080 }]',
        ).replace('name: gone,', 'name: gone, labels: { app: connect-timeout },'),
        on('connect-timeout', 'timeout: { tcp: { connectTimeout: 100ms } }'),
      )
      const { status, ms } = await get('http://connect-timeout/')
      expect(status).toBe(503)
      expect(ms).toBeLessThan(2500)
    })

    test('of idle connections', async () => {
      await put(
        mesh,
        'idle-connection',
        one('idle-connection'),
        on('idle-connection', 'timeout: { http: { connectionIdleTimeout: 200ms } }'),
      )
      const active = () => mesh.stat('client', 'cluster.idle-connection.default.80.upstream_cx_active')
      await get('http://idle-connection/')
      await mesh.eventually(async () => {
        expect(
          await mesh.stat('client', 'cluster.idle-connection.default.80.upstream_cx_idle_timeout'),
        ).toBeGreaterThan(0)
        expect(await active()).toBe(0)
      })
    })
  })

  describe('retries', () => {
    const failing = { 'x-echo-status': '500', 'x-echo-only': 'a' }
    const policy = (name: string, retry: string) => put(mesh, name, all(name), on(name, `retry: ${retry}`))

    test('hide what their triggers name, and nothing else', async () => {
      await policy(
        'retried',
        '{ numRetries: 5, retryOn: { triggers: [retriable-status-codes], httpStatusCodes: [500] } }',
      )
      expect(await statuses('http://retried/', 40, failing)).toEqual([200])
      expect(await statuses('http://retried/', 40, { ...failing, 'x-echo-status': '502' })).toEqual([200, 502])
    })

    test('none, where there are to be none', async () => {
      await policy('unretried', '{ numRetries: 0 }')
      expect(await statuses('http://unretried/', 40, failing)).toEqual([200, 500])
    })

    test('cut a try that takes too long', async () => {
      await policy('hasty', '{ numRetries: 5, retryOn: { triggers: [5xx] }, perRetry: { timeout: 200ms } }')
      expect(await statuses('http://hasty/', 10, { 'x-echo-delay': '9000', 'x-echo-only': 'a' })).toEqual([200])
    })

    test('within their budget', async () => {
      await policy(
        'thrifty',
        '{ numRetries: 5, retryOn: { triggers: [5xx] }, budget: { percent: 0, minRetryConcurrency: 0 } }',
      )
      expect(await statuses('http://thrifty/', 40, failing)).toEqual([200, 500])
      expect(await mesh.stat('client', 'cluster.thrifty.default.80.upstream_rq_retry_overflow')).toBeGreaterThan(0)
    })

    test('of gRPC by its statuses', async () => {
      await put(
        mesh,
        'retried-calls',
        service('retried-calls', { selector: { all: 'yes' }, ports: ['grpc:9090'] }),
        on('retried-calls', 'retry: { numRetries: 5, retryOn: { triggers: [unavailable] } }'),
      )
      const code = async (status: string) =>
        (await mesh.grpc('client', 'retried-calls:9090', { metadata: { 'x-echo-status': status, 'x-echo-only': 'a' } }))
          .code
      const codes = async (status: string) => {
        const found = new Set<number>()
        for (let i = 0; i < 16; i += 1) found.add(await code(status))
        return found
      }
      expect(await codes('14')).toEqual(new Set([0]))
      expect(await codes('9')).toEqual(new Set([0, 9]))
    })
  })

  test('a circuit breaker answers 503 beyond its limit, at once', async () => {
    await put(mesh, 'broken', one('broken'), on('broken', 'circuitBreaker: { maxParallelRequests: 2 }'))
    expect((await get('http://broken/')).status).toBe(200)
    const answers = await many('http://broken/', 10, { 'x-echo-delay': '1500' }, 10)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2)
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused).toHaveLength(8)
    expect(refused.every(({ ms }) => ms < 1500)).toBe(true)
    expect((await get('http://broken/')).status).toBe(200)
  })

  test('connections and waiting requests are limited too', async () => {
    await put(
      mesh,
      'narrow',
      one('narrow'),
      on('narrow', 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 1 }'),
    )
    expect((await get('http://narrow/')).status).toBe(200)
    const answers = await many('http://narrow/', 10, { 'x-echo-delay': '300' }, 10)
    expect(answers.some(({ status }) => status === 200)).toBe(true)
    expect(answers.some(({ status }) => status === 503)).toBe(true)
  })

  test('instances refuse what is over the limit, by all and by selected requests', async () => {
    await put(
      mesh,
      'limited',
      service('limited'),
      on(
        'limited',
        `
rateLimit:
  local:
    rules:
    - { limit: { requests: 12, unit: Hour } }
    - { clientSelectors: [{ headers: [{ name: x-user, value: tom }] }], limit: { requests: 2, unit: Hour } }
    - { clientSelectors: [{ headers: [{ name: x-tenant, type: Distinct }] }], limit: { requests: 1, unit: Hour } }
`,
      ),
    )
    const took = async (count: number, headers: Record<string, string>) => {
      const found: number[] = []
      for (let i = 0; i < count; i += 1) found.push((await get('http://limited/', headers)).status)
      return found
    }
    expect(await took(4, { 'x-user': 'tom' })).toEqual([200, 200, 429, 429])
    expect(await took(2, { 'x-user': 'tim' })).toEqual([200, 200])
    expect(await took(2, { 'x-tenant': 'one' })).toEqual([200, 429])
    expect(await took(2, { 'x-tenant': 'two' })).toEqual([200, 429])
    const rest = await took(12, {})
    expect(rest[0]).toBe(200)
    expect(rest.at(-1)).toBe(429)
    const refused = await get('http://limited/')
    expect(refused).toMatchObject({ status: 429, echo: undefined })
    // without the policy everything passes again
    await put(mesh, 'limited', service('limited'))
    await mesh.eventually(async () => expect((await get('http://limited/')).status).toBe(200))
  })

  test('keep-alive, windows of HTTP/2 and slow start are taken by Envoy', async () => {
    await put(
      mesh,
      'tuned',
      all('tuned'),
      on(
        'tuned',
        `
tcpKeepalive: { probes: 3, idleTime: 60s, interval: 10s }
http2: { maxConcurrentStreams: 10, initialStreamWindowSize: 65536, initialConnectionWindowSize: 131072, keepalive: { interval: 10s } }
loadBalancer: { type: RoundRobin, slowStart: { window: 10s, aggression: 2 } }
circuitBreaker: { maxRequestsPerConnection: 2 }
`,
      ),
    )
    const { answers } = await (
      await mesh.load('client', 'http://tuned/', {
        count: 20,
        concurrency: 4,
        request: { version: '2', keepAlive: true },
      })
    ).result
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(new Set(answers.map(({ instance }) => instance))).toEqual(new Set(['a', 'b']))
    const dump = await mesh.admin('client', '/config_dump?resource=dynamic_active_clusters')
    expect(dump).toContain('"keepalive_probes": 3')
    expect(dump).toContain('"slow_start_window": "10s"')
    expect(mesh.log.filter((line) => line.includes('refused a resource'))).toEqual([])
  })
})
