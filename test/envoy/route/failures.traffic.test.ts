// Time-outs, retries and faults, through a real Envoy.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documents, policy, route, service } from './objects.ts'
import { Stage } from './stage.ts'

const target = (name: string) => `{group: '', kind: Service, name: ${name}}`
const to = 'backendRefs: [{name: a, port: 80}]'
const two = 'backendRefs: [{name: two, port: 80}]'

const yaml = documents(
  service('a', '10.96.1.1'),
  service('two', '10.96.1.2'),
  service('down', '10.96.1.3'),
  service('timeout', '10.96.0.1'),
  route(
    'timeout',
    `
    - matches: [{path: {value: /request}}]
      timeouts: {request: 100ms}
      ${to}
    - matches: [{path: {value: /backend}}]
      timeouts: {backendRequest: 100ms}
      ${to}
    - matches: [{path: {value: /off}}]
      timeouts: {request: 0s}
      ${to}
    - matches: [{path: {value: /policy}}]
      ${to}`,
  ),
  policy('timeout', target('timeout'), '  timeout: {http: {requestTimeout: 150ms}}'),
  service('stream', '10.96.0.2'),
  policy('stream', target('stream'), '  timeout: {http: {maxStreamDuration: 150ms}}'),
  service('idle', '10.96.0.3'),
  policy('idle', target('idle'), '  timeout: {http: {streamIdleTimeout: 150ms}}'),
  service('retry', '10.96.0.4'),
  route(
    'retry',
    `
    - matches: [{path: {value: /codes}}]
      retry: {codes: [503], attempts: 3}
      ${two}
    - matches: [{path: {value: /slow}}]
      timeouts: {backendRequest: 300ms}
      retry: {attempts: 1}
      ${two}
    - matches: [{path: {value: /plain}}]
      ${two}
    - matches: [{path: {value: /down}}]
      backendRefs: [{name: down, port: 80}]`,
  ),
  service('by-policy', '10.96.0.5'),
  policy(
    'by-policy',
    target('by-policy'),
    `
  retry:
    numRetries: 1
    retryOn: {triggers: [retriable-status-codes, reset], httpStatusCodes: [409]}
    perRetry: {backOff: {baseInterval: 1ms}}`,
  ),
  service('never', '10.96.0.6'),
  policy('never', target('never'), '  retry: {numRetries: 0}'),
  service('fault', '10.96.0.7'),
  policy('fault', target('fault'), '  faultInjection: {abort: {httpStatus: 418, percentage: 50}}'),
  service('slow', '10.96.0.8'),
  policy('slow', target('slow'), '  faultInjection: {delay: {fixedDelay: 200ms}}'),
  service('grpc', '10.96.0.9', 9000, 'grpc'),
  policy('grpc', target('grpc'), '  retry: {numRetries: 2, retryOn: {triggers: [unavailable]}}'),
  service('grpc-fault', '10.96.0.10', 9000, 'grpc'),
  policy('grpc-fault', target('grpc-fault'), '  faultInjection: {abort: {grpcStatus: 8}}'),
)

let stage: Stage
beforeAll(
  async () => (stage = await Stage.start(yaml, { 'two.shop:80': 2, 'by-policy.shop:80': 2, 'down.shop:80': 0 })),
)
afterAll(() => stage[Symbol.asyncDispose]())

/** The status of the answer and how many tries arrived. */
async function tries(name: string, path: string, headers: Readonly<Record<string, string>>): Promise<[number, number]> {
  stage.takeArrivals()
  const { status } = await stage.send(name, path, { headers })
  return [status, stage.takeArrivals().length]
}

describe('time-outs', () => {
  test.each([
    ['timeout', '/request', 504],
    ['timeout', '/backend', 504],
    ['timeout', '/policy', 504],
    ['stream', '/', 504],
    ['idle', '/', 504],
  ])('%s%s ends what takes too long', async (name, path, status) => {
    expect((await stage.send(name, path, { headers: { 'x-delay': '3000' } })).status).toBe(status)
  })

  test('of zero is none, and beats the policy', async () => {
    expect((await stage.send('timeout', '/off', { headers: { 'x-delay': '400' } })).status).toBe(200)
  })

  test('of a single try lets it be tried again', async () => {
    expect(await tries('retry', '/slow', { 'x-delay': '3000', 'x-fail': 'slow:1' })).toEqual([200, 2])
  })
})

describe('retries', () => {
  test('of statuses that a rule names, and elsewhere', async () => {
    stage.takeArrivals()
    const answer = await stage.send('retry', '/codes', { headers: { 'x-status': '503', 'x-fail': 'codes:1' } })
    const instances = stage.takeArrivals().map(({ instance }) => instance)
    expect(answer.status).toBe(200)
    expect(new Set(instances).size).toBe(2)
  })

  test('of statuses end after the attempts', async () => {
    expect(await tries('retry', '/codes', { 'x-status': '503' })).toEqual([503, 4])
    expect(await tries('retry', '/codes', { 'x-status': '500' })).toEqual([500, 1])
  })

  test('of connections that break, where a rule retries at all', async () => {
    expect(await tries('retry', '/codes', { 'x-reset': '1', 'x-fail': 'reset:1' })).toEqual([200, 2])
  })

  test('by default only of what was not sent', async () => {
    expect(await tries('retry', '/plain', { 'x-status': '503' })).toEqual([503, 1])
    expect(await tries('retry', '/plain', { 'x-reset': '1' })).toEqual([503, 1])
    expect(await tries('retry', '/down', {})).toEqual([503, 0])
  })

  test('as a policy says', async () => {
    expect(await tries('by-policy', '/', { 'x-status': '409' })).toEqual([409, 2])
    expect(await tries('by-policy', '/', { 'x-status': '503' })).toEqual([503, 1])
    expect(await tries('by-policy', '/', { 'x-reset': '1', 'x-fail': 'policy:1' })).toEqual([200, 2])
    expect(await tries('never', '/', { 'x-status': '503' })).toEqual([503, 1])
  })

  test('of gRPC statuses', async () => {
    expect(await stage.call('grpc', '/echo.Echo/Unary', { 'x-fail': 'grpc:2', 'x-status': '14' })).toMatchObject({
      code: 0,
    })
    expect(await stage.call('grpc', '/echo.Echo/Unary', { 'x-fail': 'more:3', 'x-status': '14' })).toMatchObject({
      code: 14,
    })
    expect(await stage.call('grpc', '/echo.Echo/Unary', { 'x-fail': 'other:1', 'x-status': '8' })).toMatchObject({
      code: 8,
    })
  })
})

describe('faults', () => {
  test('take their share', async () => {
    const answers = await stage.sendMany(60, 'fault', '/')
    const failed = answers.filter(({ status }) => status === 418).length
    expect(failed).toBeGreaterThan(5)
    expect(failed).toBeLessThan(55)
  })

  test('hold requests', async () => {
    const started = performance.now()
    const answer = await stage.send('slow', '/')
    expect(answer.status).toBe(200)
    expect(performance.now() - started).toBeGreaterThan(190)
  })

  test('speak gRPC', async () => {
    expect(await stage.call('grpc-fault', '/echo.Echo/Unary')).toMatchObject({ code: 8 })
  })
})
