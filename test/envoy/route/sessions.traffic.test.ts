// Session persistence through a real Envoy: with one backend and with several.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documents, route, service } from './objects.ts'
import { Stage } from './stage.ts'

const yaml = documents(
  service('a', '10.96.1.1'),
  service('b', '10.96.1.2'),
  service('cookie', '10.96.0.4'),
  route(
    'cookie',
    `
    - matches: [{path: {value: /split}}]
      sessionPersistence: {sessionName: basket}
      backendRefs: [{name: a, port: 80}, {name: b, port: 80}]
    - matches: [{path: {value: /single}}]
      sessionPersistence: {absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}
      backendRefs: [{name: a, port: 80}]`,
  ),
  service('header', '10.96.0.5'),
  route(
    'header',
    `
    - matches: [{path: {value: /split}}]
      sessionPersistence: {type: Header, sessionName: X-Basket}
      backendRefs: [{name: a, port: 80}, {name: b, port: 80}]
    - matches: [{path: {value: /single}}]
      sessionPersistence: {type: Header, sessionName: X-Basket}
      backendRefs: [{name: b, port: 80}]`,
  ),
)

let stage: Stage
beforeAll(async () => (stage = await Stage.start(yaml, { 'a.shop:80': 4, 'b.shop:80': 4 })))
afterAll(() => stage[Symbol.asyncDispose]())

describe('sessions', () => {
  const place = ({ arrival }: { arrival: { backend: string; instance: number } | undefined }) =>
    `${arrival?.backend} ${arrival?.instance}`

  test('in a cookie stay with instance and backend', async () => {
    const backends = new Set<string>()
    for (const first of await stage.sendMany(20, 'cookie', '/split/x')) {
      const [cookie = '', ...attributes] = (first.headers['set-cookie'] ?? '').split('; ')
      expect(cookie).toMatch(first.arrival?.backend === 'a.shop:80' ? /^basket="/ : /^basket-[0-9a-f]{8}="/)
      expect(attributes.toSorted()).toEqual(['HttpOnly', 'Path=/split', 'SameSite=Strict'])
      const more = await stage.sendMany(6, 'cookie', '/split/y', { headers: { cookie: `other=1; ${cookie}` } })
      expect(new Set(more.map(place))).toEqual(new Set([place(first)]))
      backends.add(first.arrival?.backend ?? '')
    }
    expect(backends).toEqual(new Set(['a.shop:80', 'b.shop:80']))
  })

  test('in a cookie with a life of its own', async () => {
    const first = await stage.send('cookie', '/single')
    expect(first.headers['set-cookie']).toMatch(/^heddle-session-[0-9a-f]{8}="[^"]+"; Max-Age=3600; Path=\/single; /)
    const cookie = first.headers['set-cookie']?.split(';')[0] ?? ''
    const more = await stage.sendMany(6, 'cookie', '/single/x', { headers: { cookie } })
    expect(new Set(more.map(place))).toEqual(new Set([place(first)]))
  })

  test('a cookie that a canary gave holds when the canary is all there is', async () => {
    const first = (await stage.sendMany(30, 'cookie', '/split')).find(({ arrival }) => arrival?.backend === 'b.shop:80')
    const cookie = first?.headers['set-cookie']?.split(';')[0] ?? ''
    await using later = await Stage.start(
      documents(
        service('b', '10.96.1.2'),
        service('cookie', '10.96.0.4'),
        route(
          'cookie',
          `
    - matches: [{path: {value: /split}}]
      sessionPersistence: {sessionName: basket}
      backendRefs: [{name: b, port: 80}]`,
        ),
      ),
    )
    // of another Envoy, so not to the same instance; but the session is known for one of this backend and renewed under its name
    const answer = await later.send('cookie', '/split', { headers: { cookie } })
    expect(answer.headers['set-cookie']?.split('=')[0]).toBe(cookie.split('=')[0])
  })

  test.each(['/split', '/single'])('in a header, %s', async (path) => {
    for (const first of await stage.sendMany(8, 'header', path)) {
      const session = first.headers['x-basket'] ?? ''
      expect(session).not.toBe('')
      const more = await stage.sendMany(6, 'header', path, { headers: { 'X-Basket': session } })
      expect(new Set(more.map(place))).toEqual(new Set([place(first)]))
    }
  })
})
