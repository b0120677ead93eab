/** HTTPRoutes through a whole mesh: what matches, where it goes and by which share, and how a change goes live. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { put, route, type RouteOptions } from './objects.ts'

/** A rule that says its name to the instance. */
const marked = (value: string): string =>
  `filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: rule, value: ${value} }] } }], ${to('a')}`
const to = (name: string, more = ''): string => `backendRefs: [{ name: ${name}, port: 80${more} }]`

describe.runIf(isolations.includes('netns'))('HTTPRoutes', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('client'),
        echoWorkload('a'),
        echoWorkload('b'),
        echoWorkload('c'),
        service('a'),
        service('b'),
        service('c'),
      ),
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  /** A Service of instance `c`, with routes. */
  async function routed(name: string, rules: string, options?: RouteOptions): Promise<void> {
    const own = service(name, { selector: { app: 'c' }, ports: ['http:80:8080', 'http-more:81:8080'] })
    await put(mesh, name, own, route(name, rules, options))
  }

  async function shares(url: string, count = 500): Promise<Record<string, number>> {
    const { answers } = await (
      await mesh.load('client', url, { count, concurrency: 4, request: { keepAlive: true } })
    ).result
    const found: Record<string, number> = {}
    for (const { status, instance } of answers) {
      const key = status === 200 ? instance : String(status)
      found[key] = (found[key] ?? 0) + 1 / count
    }
    return found
  }

  test('matches by path, method, header and query; the most specific first, whatever their order', async () => {
    await routed(
      'matched',
      `
- { matches: [{ path: { type: PathPrefix, value: / } }], ${marked('everything')} }
- { matches: [{ path: { type: PathPrefix, value: /shop } }], ${marked('prefix')} }
- { matches: [{ path: { type: PathPrefix, value: /shop/cart/ } }], ${marked('longer')} }
- { matches: [{ path: { type: Exact, value: /shop/cart/items } }], ${marked('exact')} }
- { matches: [{ path: { type: RegularExpression, value: '/v[0-9]+/.*' } }], ${marked('regex')} }
- { matches: [{ method: DELETE }], ${marked('method')} }
- { matches: [{ headers: [{ name: X-Version, value: two }] }], ${marked('header')} }
- { matches: [{ headers: [{ name: x-version, value: two }, { type: RegularExpression, name: x-user, value: 't.*' }] }], ${marked('headers')} }
- { matches: [{ queryParams: [{ name: color, value: red }] }], ${marked('query')} }
- { matches: [{ queryParams: [{ type: RegularExpression, name: size, value: '[0-9]+' }] }, { path: { type: Exact, value: /sized } }], ${marked('queries')} }
`,
    )
    const cases: [rule: string, path: string, init?: { method?: string; headers?: Record<string, string> }][] = [
      ['everything', '/'],
      ['everything', '/shopping'],
      ['prefix', '/shop'],
      ['prefix', '/shop/'],
      ['prefix', '/shop?color=blue'],
      ['longer', '/shop/cart'],
      ['longer', '/shop/cart/more'],
      ['exact', '/shop/cart/items'],
      ['exact', '/shop/cart/items?color=red'],
      ['longer', '/shop/cart/items/'],
      ['regex', '/v2/x'],
      ['everything', '/vx/x'],
      ['everything', '/a/v2/x'],
      ['method', '/', { method: 'DELETE' }],
      // a longer path comes before a method, a method before headers
      ['prefix', '/shop', { method: 'DELETE' }],
      ['method', '/', { method: 'DELETE', headers: { 'x-version': 'two' } }],
      ['header', '/', { headers: { 'x-version': 'two' } }],
      ['everything', '/', { headers: { 'x-version': 'twofold' } }],
      ['headers', '/', { headers: { 'x-version': 'two', 'x-user': 'tom' } }],
      ['header', '/', { headers: { 'x-version': 'two', 'x-user': 'atom' } }],
      ['query', '/?color=red'],
      ['everything', '/?color=redder'],
      ['header', '/?color=red', { headers: { 'x-version': 'two' } }],
      ['queries', '/?size=12'],
      ['everything', '/?size=x'],
      ['queries', '/sized'],
    ]
    for (const [rule, path, init] of cases) {
      const { echo } = await mesh.request('client', `http://matched${path}`, init)
      expect(echo?.headers['rule'], `${path} ${JSON.stringify(init)}`).toBe(rule)
    }
  })

  test('of equal matches the older route wins, then the first in the alphabet, then the first rule', async () => {
    await put(
      mesh,
      'equals',
      service('equals', { selector: { app: 'c' } }),
      route('equals', `[{ ${marked('z')} }]`, { name: 'z-route' }),
      route('equals', `[{ ${marked('first')} }, { ${marked('second')} }]`, { name: 'a-route' }),
    )
    expect((await mesh.request('client', 'http://equals/')).echo?.headers['rule']).toBe('first')
  })

  test('weights are the shares of requests', async () => {
    await routed(
      'weighted',
      `[{ backendRefs: [{ name: a, port: 80, weight: 80 }, { name: b, port: 80, weight: 20 }, { name: c, port: 80, weight: 0 }] }]`,
    )
    const found = await shares('http://weighted/', 1000)
    expect(Object.keys(found).toSorted()).toEqual(['a', 'b'])
    expect(found['b']).toBeGreaterThan(0.14)
    expect(found['b']).toBeLessThan(0.26)
  })

  test('what no rule matches is 404', async () => {
    await routed('partial', `[{ matches: [{ path: { type: Exact, value: /here } }], ${to('a')} }]`)
    expect((await mesh.request('client', 'http://partial/here')).echo?.instance).toBe('a')
    expect(await mesh.request('client', 'http://partial/there')).toMatchObject({ status: 404, echo: undefined })
  })

  test('backends that are not there answer 500, with their share; so do rules without any', async () => {
    await routed(
      'dangling',
      `
- { matches: [{ path: { value: /half } }], backendRefs: [{ name: a, port: 80 }, { name: nowhere, port: 80 }] }
- { matches: [{ path: { value: /port } }], backendRefs: [{ name: a, port: 12345 }] }
- { matches: [{ path: { value: /kind } }], backendRefs: [{ group: example.com, kind: Bucket, name: a, port: 80 }] }
- { matches: [{ path: { value: /none } }] }
- { matches: [{ path: { value: /zero } }], backendRefs: [{ name: a, port: 80, weight: 0 }] }
`,
    )
    const found = await shares('http://dangling/half', 400)
    expect(Object.keys(found).toSorted()).toEqual(['500', 'a'])
    expect(found['500']).toBeGreaterThan(0.38)
    expect(found['500']).toBeLessThan(0.62)
    for (const path of ['port', 'kind', 'none', 'zero'])
      expect(await mesh.request('client', `http://dangling/${path}`), path).toMatchObject({
        status: 500,
        echo: undefined,
      })
    // and the rest goes on when the missing one comes
    await put(mesh, 'nowhere', service('nowhere', { selector: { app: 'b' } }))
    await mesh.eventually(async () => {
      expect(Object.keys(await shares('http://dangling/half', 20)).toSorted()).toEqual(['a', 'b'])
    })
  })

  test('a backend without instances is 503', async () => {
    await put(mesh, 'idle', service('idle', { selector: { app: 'nobody' } }))
    await routed('to-idle', `[{ ${to('idle')} }]`)
    expect(await mesh.request('client', 'http://to-idle/')).toMatchObject({ status: 503, echo: undefined })
  })

  test('a route may be for one port of its Service, by number or name', async () => {
    await routed('by-number', `[{ ${to('a')} }]`, { parent: 'port: 80' })
    expect((await mesh.request('client', 'http://by-number/')).echo?.instance).toBe('a')
    expect((await mesh.request('client', 'http://by-number:81/')).echo?.instance).toBe('c')
    await routed('by-name', `[{ ${to('a')} }]`, { parent: 'sectionName: http-more' })
    expect((await mesh.request('client', 'http://by-name/')).echo?.instance).toBe('c')
    expect((await mesh.request('client', 'http://by-name:81/')).echo?.instance).toBe('a')
    await routed('by-neither', `[{ ${to('a')} }]`)
    expect((await mesh.request('client', 'http://by-neither/')).echo?.instance).toBe('a')
    expect((await mesh.request('client', 'http://by-neither:81/')).echo?.instance).toBe('a')
  })

  test('requests are routed by the address that was dialled, whatever their Host says', async () => {
    await routed('dialled', `[{ ${to('a')} }]`)
    const answer = await mesh.request('client', 'http://dialled/', { headers: { host: 'c' } })
    expect(answer.echo).toMatchObject({ instance: 'a', headers: { host: 'c' } })
  })

  test('a route that goes leaves the Service to its own instances, and one that comes takes over', async () => {
    await routed('fickle', `[{ ${to('a')} }]`)
    expect((await mesh.request('client', 'http://fickle/')).echo?.instance).toBe('a')
    await put(mesh, 'fickle', service('fickle', { selector: { app: 'c' } }))
    await mesh.eventually(async () => {
      expect((await mesh.request('client', 'http://fickle/')).echo?.instance).toBe('c')
    })
    await routed('fickle', `[{ ${to('b')} }]`)
    await mesh.eventually(async () => {
      expect((await mesh.request('client', 'http://fickle/')).echo?.instance).toBe('b')
    })
  })

  test('a canary goes from nothing to all and back under load, live within a second and without a failed request', async () => {
    const canary = (share: number) =>
      routed(
        'canary',
        `[{ backendRefs: [{ name: a, port: 80, weight: ${100 - share} }, { name: b, port: 80, weight: ${share} }] }]`,
      )
    await canary(0)
    const load = await mesh.load('client', 'http://canary/', { concurrency: 4, pause: 2, request: { keepAlive: true } })
    const posts = await mesh.load('client', 'http://canary/', {
      concurrency: 2,
      pause: 2,
      request: { version: '2', method: 'POST', body: 'x'.repeat(50_000), keepAlive: true },
    })
    const live: number[] = []
    for (const share of [100, 0, 50, 0, 100, 0]) {
      const start = performance.now()
      await canary(share)
      await mesh.eventually(async () => {
        const found = await shares('http://canary/', 16)
        expect(found['b'] ?? 0).toBeGreaterThan(share === 0 ? -1 : share / 100 / 10)
        expect(found['b'] ?? 0).toBeLessThan(share === 0 ? 0.01 : 1.01)
      })
      live.push(performance.now() - start)
    }
    const answers = [...(await load.stop()).answers, ...(await posts.stop()).answers]
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(answers.length).toBeGreaterThan(200)
    expect(new Set(answers.map(({ instance }) => instance))).toEqual(new Set(['a', 'b']))
    expect(live.toSorted((x, y) => x - y)[2]).toBeLessThan(1000)
  })
})
