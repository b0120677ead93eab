/** How instances are chosen through a whole mesh: stickiness, failover between zones, ejection, health checks. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { heddle, put, route } from './objects.ts'

const instance = (name: string, zone: string, env: Record<string, string> = {}): string =>
  echoWorkload(name, { labels: { app: name, all: 'yes' }, zone, env })

describe.runIf(isolations.includes('netns'))('instances', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start([
      documents(echoWorkload('client', { zone: 'one' }), instance('b', 'two'), instance('c', 'two'), service('b')),
      instance('a', 'one'),
    ])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const on = (name: string, spec: string): Promise<void> =>
    put(
      mesh,
      name,
      service(name, { selector: { all: 'yes' } }),
      heddle('TrafficPolicy', name, `targetRefs: [{ kind: Service, name: ${name} }]\n${spec}`),
    )
  async function many(url: string, count: number, headers: Record<string, string> = {}) {
    const { result } = await mesh.load('client', url, { count, request: { headers, keepAlive: true } })
    return (await result).answers
  }
  const names = async (url: string, count: number, headers: Record<string, string> = {}) =>
    [...new Set((await many(url, count, headers)).map((answer) => `${answer.status} ${answer.instance}`))].toSorted()
  const USERS = Array.from({ length: 16 }, (_, index) => `user-${index}`)

  test.each(['RoundRobin', 'LeastRequest', 'Random'])('%s uses all of them', async (type) => {
    const name = type.toLowerCase()
    await on(name, `loadBalancer: { type: ${type} }`)
    expect(await names(`http://${name}/`, 60)).toEqual(['200 a', '200 b', '200 c'])
  })

  describe.each(['RingHash', 'Maglev'])('%s', (type) => {
    const hashed = (name: string, hash: string) =>
      on(name, `loadBalancer: { type: ${type}, consistentHash: { ${hash} } }`)
    const lower = type.toLowerCase()

    /** Each of these requests has one instance, and together they have several. */
    async function sticks(requests: readonly { url: string; headers?: Record<string, string> }[]) {
      const found = new Set<string>()
      for (const { url, headers } of requests) {
        const seen = await names(url, 5, headers)
        expect(seen).toHaveLength(1)
        found.add(seen.join())
      }
      expect(found.size).toBeGreaterThan(1)
    }

    test('by header', async () => {
      expect.hasAssertions()
      const name = `${lower}-header`
      await hashed(name, 'type: Header, header: { name: X-User }')
      await sticks(USERS.map((user) => ({ url: `http://${name}/`, headers: { 'x-user': user } })))
    })

    test('by query parameter', async () => {
      expect.hasAssertions()
      const name = `${lower}-query`
      await hashed(name, 'type: QueryParam, queryParam: { name: user }')
      await sticks(USERS.map((user) => ({ url: `http://${name}/?user=${user}` })))
    })

    test('by host', async () => {
      expect.hasAssertions()
      const name = `${lower}-host`
      await hashed(name, 'type: Hostname')
      await sticks(USERS.map((user) => ({ url: `http://${name}/`, headers: { host: `${user}.example.com` } })))
    })

    test('by a cookie, which the proxy sets', async () => {
      const name = `${lower}-cookie`
      await hashed(name, 'type: Cookie, cookie: { name: who, ttl: 60s, path: / }')
      // before its first use is over, a proxy gives all clients one cookie: it does not see their connections
      expect(await names(`http://${name}/`, 1)).toHaveLength(1)
      const cookies = await Promise.all(
        USERS.map(async () => {
          const answer = await mesh.request('client', `http://${name}/`)
          const cookie = answer.headers['set-cookie'] ?? ''
          expect(cookie).toMatch(/^who="?[0-9a-f]+"?; Max-Age=60; Path=\/; HttpOnly/)
          return { cookie: cookie.split(';')[0] ?? '', instance: answer.echo?.instance }
        }),
      )
      for (const { cookie, instance: first } of cookies)
        expect(await names(`http://${name}/`, 3, { cookie })).toEqual([`200 ${first}`])
      expect(new Set(cookies.map((one) => one.instance)).size).toBeGreaterThan(1)
    })

    test('by the address of the client', async () => {
      const name = `${lower}-source`
      await hashed(name, 'type: SourceIP')
      // the first use of all goes by another address than those that follow
      expect(await names(`http://${name}/`, 1)).toHaveLength(1)
      expect(await names(`http://${name}/`, 30)).toHaveLength(1)
    })

    test('of a backend, through a route that splits', async () => {
      expect.hasAssertions()
      const name = `${lower}-split`
      await hashed(`${name}-backend`, 'type: Header, header: { name: x-user }')
      await put(
        mesh,
        name,
        service(name, { selector: { app: 'nobody' } }),
        route(name, `- backendRefs: [{ name: ${name}-backend, port: 80 }, { name: b, port: 80, weight: 0 }]`),
      )
      await sticks(USERS.map((user) => ({ url: `http://${name}/`, headers: { 'x-user': user } })))
    })
  })

  test('sessionAffinity of a Service keeps a client at one', async () => {
    const sticky = service('affine', { selector: { all: 'yes' } }).replace(
      /^spec:\n/m,
      'spec:\n  sessionAffinity: ClientIP\n',
    )
    expect(sticky).toContain('ClientIP')
    await put(mesh, 'affine', sticky)
    // the first use of all goes by another address than those that follow
    expect(await names('http://affine/', 1)).toHaveLength(1)
    expect(await names('http://affine/', 30)).toHaveLength(1)
  })

  test('a place that has failed hands over to the next, and takes back', async () => {
    await on(
      'zoned',
      `
loadBalancer: { type: RoundRobin, zoneAware: { failover: [{ from: region/one, to: region/two }] } }
healthCheck: { active: { type: HTTP, interval: 100ms, timeout: 1s, unhealthyThreshold: 1, http: { path: /health } } }
`,
    )
    await mesh.eventually(async () => expect(await names('http://zoned/', 12)).toEqual(['200 a']))
    // it answers checks with an error
    await mesh.apply(instance('a', 'one', { ECHO_STATUS: '503' }), '1.yaml')
    await mesh.settled()
    await mesh.eventually(async () => expect(await names('http://zoned/', 12)).toEqual(['200 b', '200 c']))
    await mesh.apply(instance('a', 'one'), '1.yaml')
    await mesh.settled()
    await mesh.eventually(async () => expect(await names('http://zoned/', 12)).toEqual(['200 a']))
    // it goes altogether, and comes again
    await mesh.delete('1.yaml')
    await mesh.eventually(async () => expect(await names('http://zoned/', 12)).toEqual(['200 b', '200 c']))
    await mesh.apply(instance('a', 'one'), '1.yaml')
    await mesh.settled()
    await mesh.eventually(async () => expect(await names('http://zoned/', 12)).toEqual(['200 a']))
  })

  test('active checks take an instance out and bring it back', async () => {
    await on(
      'checked',
      'healthCheck: { active: { type: HTTP, interval: 100ms, unhealthyThreshold: 1, http: { path: /health } }, panicThreshold: 0 }',
    )
    await mesh.eventually(async () => expect(await names('http://checked/', 30)).toEqual(['200 a', '200 b', '200 c']))
    await mesh.apply(instance('a', 'one', { ECHO_STATUS: '500' }), '1.yaml')
    await mesh.settled()
    await mesh.eventually(async () => expect(await names('http://checked/', 30)).toEqual(['200 b', '200 c']))
    expect(mesh.received('a')).toContainEqual(expect.objectContaining({ path: '/health' }))
    await mesh.apply(instance('a', 'one'), '1.yaml')
    await mesh.settled()
    await mesh.eventually(async () => expect(await names('http://checked/', 30)).toEqual(['200 a', '200 b', '200 c']))
  })

  test('an instance whose requests fail is ejected, and returns', async () => {
    await on(
      'ejecting',
      'healthCheck: { passive: { consecutive5XxErrors: 3, interval: 100ms, baseEjectionTime: 2s, maxEjectionPercent: 100 }, panicThreshold: 0 }',
    )
    const failing = { 'x-echo-status': '500', 'x-echo-only': 'a' }
    expect(await names('http://ejecting/', 30)).toEqual(['200 a', '200 b', '200 c'])
    await mesh.eventually(async () => expect(await names('http://ejecting/', 20, failing)).toEqual(['200 b', '200 c']))
    expect(await mesh.stat('client', 'cluster.ejecting.default.80.outlier_detection.ejections_active')).toBe(1)
    await mesh.eventually(async () => expect(await names('http://ejecting/', 30)).toEqual(['200 a', '200 b', '200 c']))
    expect(await mesh.stat('client', 'cluster.ejecting.default.80.outlier_detection.ejections_active')).toBe(0)
  })
})
