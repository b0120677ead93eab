/** What HTTPRoutes do with requests besides choosing a backend: filters, timeouts, retries, sessions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { put, route } from './objects.ts'

describe.runIf(isolations.includes('netns'))('filters of HTTPRoutes', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('client'),
        ...['a', 'b', 'c'].map((name) => echoWorkload(name, { labels: { app: name, all: 'yes' } })),
        ...['a', 'b', 'c'].map((name) => service(name)),
        service('all', { selector: { all: 'yes' } }),
      ),
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const routed = (name: string, rules: string): Promise<void> =>
    put(mesh, name, service(name, { selector: { app: 'c' } }), route(name, rules))
  const get = (url: string, headers: Record<string, string> = {}) => mesh.request('client', url, { headers })

  test('headers of requests and responses are set, added and removed, by the rule and then by the backend', async () => {
    await routed(
      'headers',
      `
- filters:
  - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Set, value: rule }, { name: x-both, value: rule }], add: [{ name: x-add, value: more }], remove: [x-secret] } }
  - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-out, value: rule }], add: [{ name: x-instance, value: seen }], remove: [content-type] } }
  backendRefs:
  - name: a
    port: 80
    filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-both, value: backend }] } }
    - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-backend, value: a }] } }
  - name: b
    port: 80
    filters:
    - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-backend, value: b }] } }
`,
    )
    const seen = new Set<string>()
    for (let i = 0; i < 40; i += 1) {
      const answer = await get('http://headers/', { 'x-set': 'client', 'x-add': 'one', 'x-secret': 'yes' })
      const echo = JSON.parse(answer.body)
      expect(echo.headers).toMatchObject({ 'x-set': 'rule', 'x-both': echo.instance === 'a' ? 'backend' : 'rule' })
      expect(String(echo.headers['x-add']).replaceAll(' ', '')).toBe('one,more')
      expect(echo.headers).not.toHaveProperty('x-secret')
      expect(answer.headers).toMatchObject({ 'x-out': 'rule', 'x-backend': echo.instance })
      expect(answer.headers['x-instance']).toBe(`${echo.instance}, seen`)
      expect(answer.headers).not.toHaveProperty('content-type')
      seen.add(echo.instance)
    }
    expect([...seen].toSorted()).toEqual(['a', 'b'])
  })

  test('redirects say scheme, host, port, path and status', async () => {
    await routed(
      'redirect',
      `
- { matches: [{ path: { value: /prefix } }], filters: [{ type: RequestRedirect, requestRedirect: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }, statusCode: 301 } }] }
- { matches: [{ path: { value: /full } }], filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: www.example.com, port: 8443, path: { type: ReplaceFullPath, replaceFullPath: /whole }, statusCode: 307 } }] }
- { matches: [{ path: { value: /host } }], filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: www.example.com } }] }
`,
    )
    const where = async (path: string) => {
      const { status, headers } = await get(`http://redirect${path}`)
      return [status, headers['location']]
    }
    expect(await where('/prefix/a/b?q=1')).toEqual([301, 'http://redirect/new/a/b?q=1'])
    expect(await where('/prefix')).toEqual([301, 'http://redirect/new'])
    expect(await where('/full/a')).toEqual([307, 'https://www.example.com:8443/whole'])
    expect(await where('/host/x?q=1')).toEqual([302, 'https://www.example.com/host/x?q=1'])
  })

  test('host and path are rewritten', async () => {
    await routed(
      'rewrite',
      `
- { matches: [{ path: { value: /prefix } }], filters: [{ type: URLRewrite, urlRewrite: { hostname: inner.example.com, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }], backendRefs: [{ name: a, port: 80 }] }
- { matches: [{ path: { value: /full } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /whole } } }], backendRefs: [{ name: a, port: 80 }] }
`,
    )
    expect((await get('http://rewrite/prefix/x?q=1')).echo).toMatchObject({
      path: '/x?q=1',
      headers: { host: 'inner.example.com' },
    })
    expect((await get('http://rewrite/prefix')).echo?.path).toBe('/')
    expect((await get('http://rewrite/full/x/y?q=1')).echo).toMatchObject({
      path: '/whole?q=1',
      headers: { host: 'rewrite' },
    })
  })

  test('copies go to several mirrors, to each its share, and nobody waits for them', async () => {
    await routed(
      'mirrored',
      `
- filters:
  - { type: RequestMirror, requestMirror: { backendRef: { name: b, port: 80 } } }
  - { type: RequestMirror, requestMirror: { backendRef: { name: c, port: 80 }, percent: 50 } }
  - { type: RequestMirror, requestMirror: { backendRef: { name: a, port: 80 }, fraction: { numerator: 0, denominator: 10 } } }
  - { type: RequestMirror, requestMirror: { backendRef: { name: nowhere, port: 80 } } }
  backendRefs: [{ name: a, port: 80 }]
`,
    )
    // the first use of all waits for its own backend, not for those of its copies
    await mesh.eventually(async () => {
      await get('http://mirrored/first')
      for (const name of ['b', 'c'])
        expect(mesh.received(name)).toContainEqual(expect.objectContaining({ path: '/first' }))
    })
    const { result } = await mesh.load('client', 'http://mirrored/copy', {
      count: 200,
      concurrency: 4,
      request: { method: 'POST', body: 'hello', keepAlive: true, headers: { 'x-echo-delay': '0' } },
    })
    const { answers } = await result
    expect(answers.every(({ status, instance }) => status === 200 && instance === 'a')).toBe(true)
    const copies = (name: string) =>
      mesh.received(name).filter((line) => line.kind === 'http' && line.path === '/copy' && line.body === 'hello')
        .length
    await mesh.eventually(() => expect(copies('b')).toBe(200))
    expect(copies('a')).toBe(200)
    expect(copies('c')).toBeGreaterThan(60)
    expect(copies('c')).toBeLessThan(140)
    // a mirror that never answers is no matter
    const answer = await get('http://mirrored/slow', { 'x-echo-delay': '10000', 'x-echo-only': 'b' })
    expect(answer.echo?.instance).toBe('a')
    expect(answer.ms).toBeLessThan(5000)
  })

  test('cross-origin requests: preflights are answered by the proxy, and only listed origins may read', async () => {
    await routed(
      'cors',
      `
- filters: [{ type: CORS, cors: { allowOrigins: ['https://*.example.com'], allowMethods: [GET, PUT], allowHeaders: [x-token], exposeHeaders: [x-instance], allowCredentials: true, maxAge: 60 } }]
  backendRefs: [{ name: a, port: 80 }]
`,
    )
    const preflight = (origin: string) =>
      mesh.request('client', 'http://cors/', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT' },
      })
    const good = await preflight('https://www.example.com')
    expect(good).toMatchObject({
      status: 200,
      echo: undefined,
      headers: {
        'access-control-allow-origin': 'https://www.example.com',
        'access-control-allow-credentials': 'true',
        'access-control-max-age': '60',
      },
    })
    expect(good.headers['access-control-allow-methods']).toContain('PUT')
    expect((await preflight('https://example.org')).headers).not.toHaveProperty('access-control-allow-origin')
    const real = await get('http://cors/', { origin: 'https://www.example.com' })
    expect(real.echo?.instance).toBe('a')
    expect(real.headers).toMatchObject({
      'access-control-allow-origin': 'https://www.example.com',
      'access-control-expose-headers': 'x-instance',
    })
  })

  test('a request ends with its timeout, and one try with its own', async () => {
    await routed(
      'timed',
      `
- { matches: [{ path: { value: /whole } }], timeouts: { request: 300ms }, backendRefs: [{ name: a, port: 80 }] }
- { matches: [{ path: { value: /try } }], timeouts: { request: 10s, backendRequest: 300ms }, retry: { attempts: 5, codes: [504], backoff: 10ms }, backendRefs: [{ name: all, port: 80 }] }
- { matches: [{ path: { value: /long } }], timeouts: { request: 0s }, backendRefs: [{ name: a, port: 80 }] }
`,
    )
    const cut = await get('http://timed/whole', { 'x-echo-delay': '8000' })
    expect(cut.status).toBe(504)
    expect(cut.ms).toBeLessThan(5000)
    expect((await get('http://timed/whole')).status).toBe(200)
    for (let i = 0; i < 6; i += 1) {
      const answer = await get('http://timed/try', { 'x-echo-delay': '8000', 'x-echo-only': 'a' })
      expect(answer.status).toBe(200)
      expect(answer.echo?.instance).not.toBe('a')
    }
    expect((await get('http://timed/long', { 'x-echo-delay': '700' })).status).toBe(200)
  })

  test('retries hide an instance that fails or breaks connections; without them it shows', async () => {
    await routed(
      'retried',
      `
- { matches: [{ path: { value: /retried } }], retry: { codes: [503], attempts: 5, backoff: 5ms }, backendRefs: [{ name: all, port: 80 }] }
- { matches: [{ path: { value: /plain } }], backendRefs: [{ name: all, port: 80 }] }
`,
    )
    const statuses = async (path: string, headers: Record<string, string>) => {
      const request = { headers: { ...headers, 'x-echo-only': 'a' }, keepAlive: true }
      const { answers } = await (await mesh.load('client', `http://retried${path}`, { count: 60, request })).result
      return new Set(answers.map(({ status }) => status))
    }
    expect(await statuses('/retried', { 'x-echo-status': '503' })).toEqual(new Set([200]))
    expect(await statuses('/retried', { 'x-echo-reset': 'yes' })).toEqual(new Set([200]))
    expect(await statuses('/plain', { 'x-echo-status': '503' })).toEqual(new Set([200, 503]))
    // not a status that was listed
    expect(await statuses('/retried', { 'x-echo-status': '500' })).toEqual(new Set([200, 500]))
  })

  test('a session stays with backend and instance, by cookie and by header, whatever the weights become', async () => {
    const rules = (a: number, all: number) => `
- matches: [{ path: { value: /cookie } }]
  sessionPersistence: { sessionName: held }
  backendRefs: [{ name: a, port: 80, weight: ${a} }, { name: all, port: 80, weight: ${all} }]
- matches: [{ path: { value: /header } }]
  sessionPersistence: { sessionName: x-held, type: Header }
  backendRefs: [{ name: a, port: 80, weight: ${a} }, { name: all, port: 80, weight: ${all} }]
`
    await routed('session', rules(1, 9))
    const sessions: { path: string; headers: Record<string, string>; instance: string | undefined }[] = []
    for (let i = 0; i < 8; i += 1) {
      const byCookie = await get('http://session/cookie')
      const cookie = /^[^;]+/.exec(byCookie.headers['set-cookie'] ?? '')?.[0] ?? ''
      expect(cookie).toMatch(/^held.*=./)
      sessions.push({ path: '/cookie', headers: { cookie }, instance: byCookie.echo?.instance })
      const byHeader = await get('http://session/header')
      const held = byHeader.headers['x-held'] ?? ''
      expect(held).not.toBe('')
      sessions.push({ path: '/header', headers: { 'x-held': held }, instance: byHeader.echo?.instance })
    }
    expect(new Set(sessions.map(({ instance }) => instance)).size).toBeGreaterThan(1)
    const hold = async () => {
      for (const { path, headers, instance } of sessions)
        for (let i = 0; i < 4; i += 1)
          expect((await get(`http://session${path}`, headers)).echo?.instance).toBe(instance)
    }
    await hold()
    await routed('session', rules(1, 0))
    await mesh.eventually(async () => {
      for (let i = 0; i < 10; i += 1) expect((await get('http://session/cookie')).echo?.instance).toBe('a')
    })
    await hold()
  })
})
