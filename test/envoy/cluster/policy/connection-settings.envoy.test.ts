/** What policies on connections do, seen on a real Envoy in front of real instances. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../../../support/eventually.ts'
import { type Answer, send, type Sending } from '../../client.ts'
import { webListener } from '../../filters/listeners.ts'
import { authority, idOf } from '../../identities.ts'
import { Instance, instances } from '../../instances.ts'
import { StaticEnvoy } from '../../static-envoy.ts'
import { destination } from './destination.ts'

let stack: AsyncDisposableStack
beforeEach(() => void (stack = new AsyncDisposableStack()))
afterEach(() => stack.disposeAsync())

async function start<N extends string>(...names: readonly N[]): Promise<Record<N, Instance>> {
  const started = await instances(...names)
  for (const instance of Object.values<Instance>(started)) stack.use(instance)
  return started
}

async function behind(...options: Parameters<typeof destination>) {
  return stack.use(await destination(...options))
}

async function many(count: number, port: number, sending: Sending = {}): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let at = 0; at < count; at += 1) answers.push(await send(port, sending))
  return answers
}

/** How many of the answers came from each instance. */
function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { headers, status } of answers) {
    const name = String(headers['x-instance'] ?? status)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** Statistics are a moment ahead of what requests see. */
const only = (name: string, port: number): Promise<void> =>
  eventually(async () => expect(tally(await many(20, port))).toEqual({ [name]: 20 }))

describe('broken instances', () => {
  test('whose requests fail are ejected, and one of a few may always be', async () => {
    const { good, bad } = await start('good', 'bad')
    bad.status = 500
    const { port, stat } = await behind('healthCheck: {passive: {consecutive5XxErrors: 2, baseEjectionTime: 1h}}', [
      good,
      bad,
    ])
    await eventually(async () => {
      await send(port)
      expect(await stat('outlier_detection.ejections_active')).toBe(1)
    })
    await only('good', port)
  })

  test('none is where the count is 0', async () => {
    const { good, bad } = await start('good', 'bad')
    bad.status = 500
    const { port, stat } = await behind('healthCheck: {passive: {consecutive5XxErrors: 0, baseEjectionTime: 1h}}', [
      good,
      bad,
    ])
    await eventually(async () => {
      await send(port)
      expect(bad.requests).toBeGreaterThan(20)
    })
    expect(await stat('outlier_detection.ejections_active')).toBe(0)
    expect(await stat('outlier_detection.ejections_enforced_total')).toBe(0)
  })

  test('an ejection lasts, though checks succeed', async () => {
    const { good, bad } = await start('good', 'bad')
    bad.status = 500
    const { port, stat } = await behind(
      `healthCheck:
        active: {type: HTTP, interval: 50ms, http: {path: /healthz}}
        passive: {consecutive5XxErrors: 1, baseEjectionTime: 1h}`,
      [good, bad],
    )
    await eventually(async () => {
      await send(port)
      expect(await stat('outlier_detection.ejections_active')).toBe(1)
    })
    const checked = await stat('health_check.success')
    await eventually(async () => expect(await stat('health_check.success')).toBeGreaterThan(checked + 6))
    expect(tally(await many(10, port))).toEqual({ good: 10 })
  })

  test('those that cannot be reached are counted apart where that is asked for', async () => {
    const { good, away } = await start('good', 'away')
    await away.down()
    const { port, stat } = await behind(
      `healthCheck:
        passive: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 1, baseEjectionTime: 1h}`,
      [good, away],
    )
    await eventually(async () => {
      await send(port)
      expect(await stat('outlier_detection.ejections_enforced_consecutive_local_origin_failure')).toBe(1)
    })
    await only('good', port)
  })

  test('whose checks fail are left out until they succeed again', async () => {
    const { good, ill } = await start('good', 'ill')
    ill.health = 503
    const { port, stat } = await behind(
      'healthCheck: {active: {type: HTTP, interval: 50ms, unhealthyThreshold: 1, http: {path: /healthz}}}',
      [good, ill],
    )
    expect(await stat('membership_healthy')).toBe(1)
    expect(tally(await many(20, port))).toEqual({ good: 20 })
    ill.health = 200
    await eventually(async () => expect(Object.keys(tally(await many(40, port))).toSorted()).toEqual(['good', 'ill']))
  })

  test('a single failed check is none yet', async () => {
    const { single } = await start('single')
    const { port, stat } = await behind(
      'healthCheck: {active: {type: HTTP, interval: 50ms, unhealthyThreshold: 1000, http: {path: /healthz}}}',
      [single],
    )
    await send(port)
    single.health = 503
    await eventually(async () => expect(await stat('health_check.failure')).toBeGreaterThan(3))
    expect(await stat('membership_healthy')).toBe(1)
  })

  test('checks over TCP need no more than a connection', async () => {
    const { good, away } = await start('good', 'away')
    await away.down()
    const { port, stat } = await behind('healthCheck: {active: {type: TCP, interval: 50ms, unhealthyThreshold: 1}}', [
      good,
      away,
    ])
    expect(await stat('membership_healthy')).toBe(1)
    expect(tally(await many(10, port))).toEqual({ good: 10 })
  })

  test('checks take the way that requests take: mesh TLS where the endpoint speaks it', async () => {
    const issue = authority()
    const server = await StaticEnvoy.start([webListener('cart', { filters: [], tls: issue(idOf('shop/cart')) })])
    const cart = { name: 'cart', port: stack.use(server).port('cart') }
    const policy = 'healthCheck: {active: {type: HTTP, interval: 50ms, unhealthyThreshold: 1, http: {path: /healthz}}}'
    const meshed = await behind(policy, [cart], { as: issue(idOf('shop/web')) })
    await eventually(async () => expect(await meshed.stat('health_check.success')).toBeGreaterThan(2))
    expect(await meshed.stat('membership_healthy')).toBe(1)
    expect((await send(meshed.port)).status).toBe(200)
    const plain = await behind(policy, [cart])
    expect(await plain.stat('membership_healthy')).toBe(0)
  })

  test.each([
    ['panicThreshold: 0, ', { good: 30 }],
    ['', { good: expect.any(Number), ill1: expect.any(Number), ill2: expect.any(Number) }],
  ])('below the panic threshold all are used: %s', async (panic, expected) => {
    const { good, ill1, ill2 } = await start('good', 'ill1', 'ill2')
    ill1.health = ill2.health = 503
    const { port, stat } = await behind(
      `healthCheck: {${panic}active: {type: HTTP, interval: 50ms, unhealthyThreshold: 1, http: {path: /healthz}}}`,
      [good, ill1, ill2],
    )
    expect(await stat('membership_healthy')).toBe(1)
    expect(tally(await many(30, port))).toEqual(expected)
  })
})

describe('limits', () => {
  test('beyond them requests fail at once', async () => {
    const { single } = await start('single')
    const { port, stat } = await behind('circuitBreaker: {maxParallelRequests: 1}', [single])
    single.hold = true
    const first = send(port)
    await eventually(() => expect(single.waiting).toBe(1))
    const second = await send(port)
    expect(second).toMatchObject({ status: 503, headers: { 'x-envoy-overloaded': 'true' } })
    expect(await stat('upstream_rq_active_overflow')).toBe(1)
    single.release()
    expect((await first).status).toBe(200)
    expect((await send(port)).status).toBe(200)
  })

  test('a request may wait for a connection, but only as many as may', async () => {
    const { single } = await start('single')
    const { port, stat } = await behind('circuitBreaker: {maxConnections: 1, maxPendingRequests: 1}', [single])
    single.hold = true
    const first = send(port)
    await eventually(() => expect(single.waiting).toBe(1))
    const second = send(port)
    await eventually(async () => expect(await stat('upstream_rq_pending_active')).toBe(1))
    expect((await send(port)).status).toBe(503)
    single.release()
    expect([(await first).status, (await second).status]).toEqual([200, 200])
    expect(single.connections).toBe(1)
  })

  test('there are none by default', async () => {
    const { single } = await start('single')
    const { port, stat } = await behind('{}', [single])
    single.hold = true
    const sent = Array.from({ length: 1100 }, () => send(port))
    await eventually(() => expect(single.waiting).toBe(1100))
    single.release()
    expect(new Set((await Promise.all(sent)).map(({ status }) => status))).toEqual(new Set([200]))
    expect(await stat('upstream_rq_pending_overflow')).toBe(0)
  })

  const retrying = { route: { retry_policy: { retry_on: '5xx', num_retries: 3 } } }
  test.each([
    ['{}', 4, 0],
    ['retry: {budget: {percent: 0, minRetryConcurrency: 0}}', 1, 1],
    ['circuitBreaker: {maxParallelRetries: 0}', 1, 1],
    ['circuitBreaker: {maxParallelRetries: 1}', 4, 0],
  ])('retries are within a budget: %s', async (policy, requests, overflow) => {
    const { single } = await start('single')
    single.status = 500
    const { port, stat } = await behind(policy, [single], retrying)
    expect((await send(port)).status).toBe(500)
    expect(single.requests).toBe(requests)
    expect(await stat('upstream_rq_retry_overflow')).toBe(overflow)
  })

  test('the budget by default is a fifth of the requests in flight, but ten', async () => {
    const { single } = await start('single')
    single.status = 500
    single.hold = true
    const { port, stat } = await behind('{}', [single], {
      route: { retry_policy: { retry_on: '5xx', num_retries: 1 } },
    })
    const sent = Array.from({ length: 100 }, () => send(port))
    await eventually(() => expect(single.waiting).toBe(100))
    single.release()
    await Promise.all(sent)
    expect(await stat('upstream_rq_retry_overflow')).toBeGreaterThan(0)
    expect(await stat('upstream_rq_retry')).toBeGreaterThanOrEqual(10)
  })

  test('a connection carries so many requests', async () => {
    const { single } = await start('single')
    const { port } = await behind('circuitBreaker: {maxRequestsPerConnection: 2}', [single])
    await many(6, port)
    expect(single.connections).toBe(3)
  })
})

describe('connections', () => {
  test('are kept, unless they idle too long', async () => {
    const { single } = await start('single')
    const { port } = await behind('timeout: {http: {connectionIdleTimeout: 100ms}}', [single])
    await many(3, port)
    expect(single.connections).toBeLessThanOrEqual(3)
    await eventually(() => expect(single.open).toBe(0))
  })

  test('live so long', async () => {
    const { single } = await start('single')
    const { port, stat } = await behind('timeout: {http: {maxConnectionDuration: 100ms}}', [single])
    await eventually(async () => {
      await send(port)
      expect(await stat('upstream_cx_max_duration_reached')).toBeGreaterThan(0)
    })
  })

  test('speak HTTP/2 to a port that is declared so, and else what the client spoke', async () => {
    const modern = stack.use(await Instance.start('modern', '2'))
    const declared = await behind('{}', [modern], { context: { protocol: 'http2' } })
    expect((await send(declared.port)).headers['x-instance']).toBe('modern')
    expect(modern.version).toBe('2.0')
    const { plain } = await start('plain')
    const { port } = await behind('http2: {keepalive: {}}', [plain])
    await send(port)
    expect(plain.version).toBe('1.1')
  })
})

describe('choice of an instance', () => {
  const users = Array.from({ length: 30 }, (_, index) => `user-${index}`)

  test.each(['RingHash', 'Maglev'])('%s gives one user one instance', async (type) => {
    const all = Object.values(await start('a', 'b', 'c'))
    const { port } = await behind(
      `loadBalancer: {type: ${type}, consistentHash: {type: Header, header: {name: x-user}}}`,
      all,
      { route: { hash_policy: [{ header: { header_name: 'x-user' } }] } },
    )
    const chosen = async (): Promise<unknown[]> => {
      const answers: unknown[] = []
      for (const user of users) answers.push((await send(port, { headers: { 'x-user': user } })).headers['x-instance'])
      return answers
    }
    const first = await chosen()
    expect(await chosen()).toEqual(first)
    expect(new Set(first)).toEqual(new Set(['a', 'b', 'c']))
  })

  test('RoundRobin uses all in turn', async () => {
    const all = Object.values(await start('a', 'b', 'c'))
    const { port } = await behind('loadBalancer: {type: RoundRobin}', all)
    expect(tally(await many(60, port))).toEqual({ a: 20, b: 20, c: 20 })
  })

  test.each(['LeastRequest', 'Random'])('%s uses all', async (type) => {
    const all = Object.values(await start('a', 'b', 'c'))
    const { port } = await behind(`loadBalancer: {type: ${type}}`, all)
    const counts = tally(await many(60, port))
    expect(Object.keys(counts).toSorted()).toEqual(['a', 'b', 'c'])
  })

  test('least request avoids the one that is busy', async () => {
    const { idle, busy } = await start('idle', 'busy')
    const { port } = await behind('loadBalancer: {type: LeastRequest, leastRequest: {choiceCount: 10}}', [idle, busy])
    busy.hold = true
    const sent: Promise<Answer>[] = []
    await eventually(() => {
      sent.push(send(port))
      expect(busy.waiting).toBeGreaterThan(0)
    })
    const before = busy.requests
    expect(tally(await many(20, port))).toEqual({ idle: 20 })
    expect(busy.requests).toBe(before)
    busy.release()
    await Promise.all(sent)
  })
})

describe('zones', () => {
  const check = 'healthCheck: {active: {type: TCP, interval: 50ms, unhealthyThreshold: 1}}'

  test('the own zone first, then where failover leads, then the rest; and back', async () => {
    const { near, region, far, other } = await start('near', 'region', 'far', 'other')
    const { port, stat } = await behind(
      `${check}
loadBalancer: {zoneAware: {preferLocal: {minEndpointsThreshold: 1, force: {}}, failover: [{from: eu, to: us}]}}`,
      [near, region, far, other],
      { client: 'eu/a', places: { near: 'eu/a', region: 'eu/b', far: 'us/a', other: 'asia/a' } },
    )
    const healthy = (count: number) => eventually(async () => expect(await stat('membership_healthy')).toBe(count))
    await healthy(4)
    await only('near', port)
    await near.down()
    await healthy(3)
    await only('region', port)
    await region.down()
    await healthy(2)
    await only('far', port)
    await far.down()
    await healthy(1)
    await only('other', port)
    await near.up()
    await healthy(2)
    await only('near', port)
  })

  test('a zone with few instances takes what it bears', async () => {
    const all = await start('few', 'm1', 'm2', 'm3')
    const { port } = await behind(
      'loadBalancer: {type: Random, zoneAware: {preferLocal: {minEndpointsThreshold: 1}}}',
      Object.values(all),
      { client: 'r/b', places: { few: 'r/b', m1: 'r/a', m2: 'r/a', m3: 'r/a' } },
    )
    // half of the requests stay; six standard deviations to either side
    const { few = 0 } = tally(await many(400, port))
    expect(few).toBeGreaterThan(140)
    expect(few).toBeLessThan(260)
  })
})
