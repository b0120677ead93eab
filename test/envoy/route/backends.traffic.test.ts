// Which backend and instance a request reaches, with which headers, through a real Envoy.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DST_HEADER } from '../../../src/envoy/names.ts'
import { eventually } from '../../support/eventually.ts'
import { documents, route, service } from './objects.ts'
import { Stage } from './stage.ts'

const yaml = documents(
  service('a', '10.96.1.1'),
  service('b', '10.96.1.2'),
  service('c', '10.96.1.3'),
  service('split', '10.96.0.1'),
  route(
    'split',
    `
    - matches: [{path: {value: /both}}]
      backendRefs: [{name: a, port: 80, weight: 9}, {name: b, port: 80, weight: 1}, {name: c, port: 80, weight: 0}]
    - matches: [{path: {value: /half}}]
      backendRefs: [{name: a, port: 80}, {name: missing, port: 80}]
    - matches: [{path: {value: /none}}]
      backendRefs: [{name: missing, port: 80}]
    - matches: [{path: {value: /zero}}]
      backendRefs: [{name: a, port: 80, weight: 0}]
    - matches: [{path: {value: /unsupported}}]
      filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Magic, name: wand}}]
      backendRefs: [{name: a, port: 80}]`,
  ),
  service('headers', '10.96.0.2'),
  route(
    'headers',
    `
    - matches: [{path: {value: /rule}}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{name: X-Set, value: '100% new'}, {name: X-Heddle-Pass, value: '1'}]
            add: [{name: X-ADD, value: more}]
            remove: [X-REMOVE]
        - type: ResponseHeaderModifier
          responseHeaderModifier:
            set: [{name: X-Answer, value: new}]
            add: [{name: x-more, value: more}]
            remove: [X-Upstream-Secret]
      backendRefs: [{name: a, port: 80}]
    - matches: [{path: {value: /host}}]
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: rule.example.com}]}}]
      backendRefs: [{name: a, port: 80}]
    - matches: [{path: {value: /backend}}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: {set: [{name: x-version, value: rule}, {name: host, value: rule.example.com}]}
      backendRefs:
        - name: a
          port: 80
        - name: b
          port: 80
          filters:
            - type: RequestHeaderModifier
              requestHeaderModifier: {set: [{name: x-version, value: backend}, {name: host, value: backend.example.com}]}
            - type: ResponseHeaderModifier
              responseHeaderModifier: {set: [{name: x-from, value: backend}]}`,
  ),
  service('mirror', '10.96.0.3'),
  route(
    'mirror',
    `
    - filters:
        - {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: c, port: 80}, percent: 50}}
      backendRefs: [{name: a, port: 80}]`,
  ),
  service('grpc', '10.96.0.7', 9000, 'grpc'),
  route(
    'grpc',
    `
    - matches: [{method: {service: echo.Echo, method: Unary}}]
      backendRefs: [{name: grpc, port: 9000}]
    - matches: [{method: {service: echo.None}}]
    - matches: [{method: {service: echo.Missing}}]
      backendRefs: [{name: missing, port: 9000}, {name: absent, port: 9000}]
    - matches: [{method: {service: echo.Share, method: Unary}}]
      backendRefs: [{name: grpc, port: 9000, weight: 0}, {name: missing, port: 9000, weight: 1}]`,
    'GRPCRoute',
  ),
)

let stage: Stage
beforeAll(async () => (stage = await Stage.start(yaml)))
afterAll(() => stage[Symbol.asyncDispose]())

const count = <T>(list: readonly T[], wanted: (each: T) => boolean): number => list.filter(wanted).length

describe('shares', () => {
  test('follow the weights', async () => {
    const answers = await stage.sendMany(200, 'split', '/both')
    const toB = count(answers, ({ arrival }) => arrival?.backend === 'b.shop:80')
    expect(toB).toBeGreaterThan(3)
    expect(toB).toBeLessThan(60)
    expect(count(answers, ({ arrival }) => arrival?.backend === 'a.shop:80')).toBe(200 - toB)
  })

  test('of a backend that does not exist are answered with 500', async () => {
    const answers = await stage.sendMany(100, 'split', '/half')
    const failed = count(answers, ({ status }) => status === 500)
    expect(failed).toBeGreaterThan(20)
    expect(failed).toBeLessThan(80)
    expect(count(answers, ({ status }) => status === 200)).toBe(100 - failed)
  })

  test.each(['/none', '/zero', '/unsupported'])('without a usable backend, %s is 500', async (path) => {
    const answer = await stage.send('split', path)
    expect(answer).toMatchObject({ status: 500, arrival: undefined })
    expect(answer.body).toMatch(/^HTTPRoute shop\/split, rule [0-9]: no backend can be used/)
  })

  test('an address that nobody has is refused by name', async () => {
    const answer = await stage.send('10.96.9.9:80', '/')
    expect(answer).toMatchObject({ status: 503, body: '10.96.9.9:80 is no address in the mesh\n' })
  })
})

describe('headers', () => {
  test('of a rule', async () => {
    const { arrival, headers } = await stage.send('headers', '/rule', {
      headers: {
        'x-set': 'old',
        'x-add': 'some',
        'x-remove': 'old',
        'x-set-x-answer': 'old',
        'x-set-x-upstream-secret': '1',
      },
    })
    expect(arrival?.headers).toMatchObject({ 'x-set': '100% new', 'x-add': 'some, more' })
    expect(arrival?.headers).not.toHaveProperty('x-remove')
    expect(Object.keys(arrival?.headers ?? {}).filter((name) => name.startsWith('x-heddle'))).toEqual([])
    expect(headers).toMatchObject({ 'x-answer': 'new', 'x-more': 'more' })
    expect(headers).not.toHaveProperty('x-upstream-secret')
    expect(headers).not.toHaveProperty(DST_HEADER)
  })

  test('Host among them', async () => {
    expect((await stage.send('headers', '/host')).arrival?.headers).toMatchObject({ host: 'rule.example.com' })
  })

  test("a backend's come after the rule's", async () => {
    const answers = await stage.sendMany(40, 'headers', '/backend')
    const seen = new Set(
      answers.map(({ arrival, headers }) =>
        [arrival?.backend, arrival?.headers['x-version'], arrival?.headers['host'], headers['x-from']].join(' '),
      ),
    )
    expect([...seen].toSorted()).toEqual([
      'a.shop:80 rule rule.example.com ',
      'b.shop:80 backend backend.example.com backend',
    ])
  })
})

test('mirrors get their share of copies, as they came', async () => {
  stage.takeArrivals()
  await stage.sendMany(60, 'mirror', '/copied')
  const arrivals = await eventually(() => {
    expect(count(stage.arrivals, ({ backend }) => backend === 'b.shop:80')).toBe(60)
    return stage.takeArrivals()
  })
  expect(count(arrivals, ({ backend }) => backend === 'a.shop:80')).toBe(60)
  const half = count(arrivals, ({ backend }) => backend === 'c.shop:80')
  expect(half).toBeGreaterThan(5)
  expect(half).toBeLessThan(55)
  expect(new Set(arrivals.map(({ headers }) => headers['host']))).toEqual(new Set(['mirror']))
})

describe('gRPC', () => {
  test('reaches its backend', async () => {
    expect(await stage.call('grpc', '/echo.Echo/Unary')).toMatchObject({
      code: 0,
      message: { backend: 'grpc.shop:9000' },
    })
  })

  test.each([
    ['/echo.Other/Unary', 12],
    ['/echo.None/Unary', 14],
    ['/echo.Missing/Unary', 14],
    ['/echo.Share/Unary', 14],
  ])('%s ends with status %i', async (path, code) => {
    expect((await stage.call('grpc', path)).code).toBe(code)
  })

  test('what is not gRPC does not match', async () => {
    expect((await stage.send('grpc', '/echo.Echo/Unary', { method: 'POST' })).status).toBe(404)
  })
})
