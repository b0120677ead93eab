// Cross-origin requests through a real Envoy.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documents, route, service } from './objects.ts'
import { Stage } from './stage.ts'

const yaml = documents(
  service('a', '10.96.1.1'),
  service('cors', '10.96.0.6'),
  route(
    'cors',
    `
    - matches: [{path: {value: /some}}]
      filters:
        - type: CORS
          cors:
            allowOrigins: ['https://www.example.com:443', 'http://*.example.com', 'https://*:8443']
            allowMethods: [GET, PUT]
            allowHeaders: [X-One, X-Two]
            exposeHeaders: [X-Three]
            maxAge: 600
      backendRefs: [{name: a, port: 80}]
    - matches: [{path: {value: /credentials}}]
      filters:
        - type: CORS
          cors: {allowOrigins: ['*'], allowCredentials: true, allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*']}
      backendRefs: [{name: a, port: 80}]
    - matches: [{path: {value: /nobody}}]
      filters: [{type: CORS, cors: {}}]
      backendRefs: [{name: a, port: 80}]`,
  ),
)

let stage: Stage
beforeAll(async () => (stage = await Stage.start(yaml)))
afterAll(() => stage[Symbol.asyncDispose]())

describe('cross-origin requests', () => {
  const preflight = (path: string, origin: string) =>
    stage.send('cors', path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-one' },
    })

  test.each(['https://www.example.com', 'http://a.b.example.com', 'https://anything:8443', 'https://[::1]:8443'])(
    'a preflight from %s is answered',
    async (origin) => {
      expect(await preflight('/some', origin)).toMatchObject({
        status: 200,
        arrival: undefined,
        headers: {
          'access-control-allow-origin': origin,
          'access-control-allow-methods': 'GET, PUT',
          'access-control-allow-headers': 'X-One, X-Two',
          'access-control-max-age': '600',
        },
      })
    },
  )

  test.each([
    ['/some', 'https://example.com'],
    ['/some', 'http://example.com'],
    ['/some', 'http://a.example.com.evil.net'],
    ['/some', 'http://evil.net:80.example.com'],
    ['/some', 'https://anything'],
    ['/nobody', 'https://www.example.com'],
  ])('%s: a preflight from %s is not', async (path, origin) => {
    const answer = await preflight(path, origin)
    expect(answer.arrival).toBeUndefined()
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('with credentials nothing is answered with a wildcard', async () => {
    const { headers } = await preflight('/credentials', 'https://anywhere.example')
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://anywhere.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-headers': 'x-one',
    })
    expect(JSON.stringify(headers)).not.toContain('*')
  })

  test('a request itself passes with what may be exposed', async () => {
    const answer = await stage.send('cors', '/some', { headers: { origin: 'https://www.example.com' } })
    expect(answer.arrival?.backend).toBe('a.shop:80')
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://www.example.com',
      'access-control-expose-headers': 'X-Three',
    })
  })
})
