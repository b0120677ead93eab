/** Rate limits as a real Envoy enforces them. Units are hours where the test is about how many, so that nothing is refilled meanwhile. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localRateLimitFilters } from '../../../src/envoy/filters/rate-limit.ts'
import { eventually } from '../../support/eventually.ts'
import { send, statuses } from '../client.ts'
import { loopback, StaticEnvoy } from '../static-envoy.ts'
import { limitsOf } from './limited.ts'
import { webListener } from './listeners.ts'

/** Sets of rules, each with a listener of its own, since buckets stay empty. */
const sets = {
  everyone: '[{limit: {requests: 3, unit: Hour}}]',
  second: '[{limit: {requests: 2, unit: Second}}]',
  several: `
- clientSelectors: [{headers: [{name: x-a, value: yes}]}]
  limit: {requests: 4, unit: Hour}
- clientSelectors: [{headers: [{name: x-b, value: yes}]}]
  limit: {requests: 2, unit: Hour}
- limit: {requests: 10, unit: Hour}`,
  selectors: `
- clientSelectors:
    - headers: [{name: x-a, value: yes}]
    - headers: [{name: x-b, type: RegularExpression, value: 'y.*'}, {name: x-c, value: yes}]
    - sourceCIDR: 127.0.0.64/26
  limit: {requests: 6, unit: Hour}`,
  distinct: `
- clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]
  limit: {requests: 2, unit: Hour}`,
  pair: `
- clientSelectors: [{headers: [{name: x-user, type: Distinct}, {name: x-device, type: Distinct}, {name: x-plan, value: free}]}]
  limit: {requests: 1, unit: Hour}`,
  address: `
- clientSelectors: [{sourceCIDR: 127.0.0.64/26}, {sourceCIDR: 127.0.1.1/32}]
  limit: {requests: 1, unit: Hour}`,
  forwarded: '[{clientSelectors: [{sourceCIDR: 127.0.0.0/8}], limit: {requests: 100, unit: Hour}}]',
  grpc: '[{limit: {requests: 1, unit: Hour}}]',
}

/** Says what headers arrived. */
const application = http.createServer((request, response) => response.end(JSON.stringify(request.headers)))

let envoy: StaticEnvoy
beforeAll(async () => {
  application.listen(0, '127.0.0.1')
  await once(application, 'listening')
  const cluster = {
    name: 'application',
    type: 'STATIC' as const,
    load_assignment: {
      cluster_name: 'application',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback((application.address() as AddressInfo).port) } }] }],
    },
  }
  const filters = localRateLimitFilters()
  envoy = await StaticEnvoy.start(
    [
      webListener('none', { filters }),
      ...Object.entries(sets).map(([name, rules]) =>
        webListener(name, { filters, work: limitsOf(rules), ...(name === 'forwarded' && { cluster: 'application' }) }),
      ),
    ],
    [cluster],
  )
})
afterAll(async () => {
  await envoy[Symbol.asyncDispose]()
  application.close()
})

const ask = (set: keyof typeof sets, count: number, headers: Readonly<Record<string, string>> = {}, from?: string) =>
  statuses(count, envoy.port(set), { headers, ...(from !== undefined && { from }) })

describe('rate limits', () => {
  test('nothing is limited where routes say nothing', async () => {
    expect(await statuses(5, envoy.port('none'))).toEqual([200, 200, 200, 200, 200])
  })

  test('beyond the limit requests get 429', async () => {
    expect(await ask('everyone', 5)).toEqual([200, 200, 200, 429, 429])
    const { headers } = await send(envoy.port('everyone'))
    expect(Object.keys(headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
    expect(await envoy.stat('rate_limit.http_local_rate_limit.rate_limited')).toBeGreaterThan(0)
  })

  test('with time, requests pass again', async () => {
    expect(await ask('second', 3)).toContain(429)
    await eventually(async () => expect(await ask('second', 1)).toEqual([200]))
  })

  test('a request must pass all rules that match it', async () => {
    expect(await ask('several', 3, { 'x-a': 'yes', 'x-b': 'yes' })).toEqual([200, 200, 429])
    // what the strictest refused took nothing from the others
    expect(await ask('several', 3, { 'x-a': 'yes' })).toEqual([200, 200, 429])
    expect(await ask('several', 7)).toEqual([200, 200, 200, 200, 200, 200, 429])
  })

  test('any selector counts, and a request that several match counts once', async () => {
    const all = { 'x-a': 'yes', 'x-b': 'yyy', 'x-c': 'yes' }
    expect(await ask('selectors', 1, all, '127.0.0.65')).toEqual([200])
    expect(await ask('selectors', 1, all)).toEqual([200])
    expect(await ask('selectors', 1, { 'x-a': 'yes' })).toEqual([200])
    expect(await ask('selectors', 1, { 'x-b': 'y', 'x-c': 'yes' })).toEqual([200])
    expect(await ask('selectors', 3, {}, '127.0.0.66')).toEqual([200, 200, 429])
    for (const headers of [all, { 'x-a': 'yes' }, { 'x-b': 'y', 'x-c': 'yes' }])
      expect(await ask('selectors', 1, headers)).toEqual([429])
    // who matches none is not counted: half a selector is none
    for (const headers of [{}, { 'x-b': 'y' }, { 'x-c': 'yes' }, { 'x-a': 'yesyes' }, { 'x-b': 'ny', 'x-c': 'yes' }])
      expect(await ask('selectors', 1, headers)).toEqual([200])
  })

  test('values of a header are counted apart', async () => {
    expect(await ask('distinct', 3, { 'x-user': 'a' })).toEqual([200, 200, 429])
    expect(await ask('distinct', 3, { 'x-user': 'b' })).toEqual([200, 200, 429])
    expect(await ask('distinct', 3)).toEqual([200, 200, 200])
  })

  test('so are pairs of values, where the rest of the selector holds', async () => {
    const free = { 'x-plan': 'free' }
    expect(await ask('pair', 2, { ...free, 'x-user': 'a', 'x-device': '1' })).toEqual([200, 429])
    expect(await ask('pair', 2, { ...free, 'x-user': 'a', 'x-device': '2' })).toEqual([200, 429])
    expect(await ask('pair', 2, { ...free, 'x-user': '1', 'x-device': 'a' })).toEqual([200, 429])
    expect(await ask('pair', 2, { ...free, 'x-user': 'a' })).toEqual([200, 200])
    expect(await ask('pair', 2, { 'x-user': 'a', 'x-device': '1' })).toEqual([200, 200])
  })

  test('a peer is known by its address, not by what it writes', async () => {
    const elsewhere = { 'x-forwarded-for': '127.0.0.1', 'x-heddle-source-26': '10.0.0.0/26' }
    expect(await ask('address', 1, elsewhere, '127.0.0.100')).toEqual([200])
    expect(await ask('address', 1, elsewhere, '127.0.0.120')).toEqual([429])
    expect(await ask('address', 1, {}, '127.0.1.1')).toEqual([429])
    const inside = { 'x-forwarded-for': '127.0.0.100', 'x-heddle-source-26': '127.0.0.64/26' }
    expect(await ask('address', 3, inside, '127.0.0.200')).toEqual([200, 200, 200])
  })

  test('internal headers stay inside', async () => {
    const { body } = await send(envoy.port('forwarded'), { headers: { 'x-heddle-source-8': 'mine', 'x-other': 'yes' } })
    const arrived = JSON.parse(body) as Record<string, string>
    expect(arrived).toHaveProperty('x-other')
    expect(Object.keys(arrived).filter((name) => name.startsWith('x-heddle'))).toEqual([])
  })

  test('gRPC learns of an exhausted resource, which is not retried as an instance that is away would be', async () => {
    const headers = { 'content-type': 'application/grpc', te: 'trailers' }
    await ask('grpc', 1, headers)
    expect((await send(envoy.port('grpc'), { method: 'POST', headers })).headers['grpc-status']).toBe('8')
  })
})
