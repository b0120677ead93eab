/** In which order, and in which shares, a client turns to instances. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadBalancer } from '../../../../src/api/heddle/traffic/load-balancer.ts'
import { prioritise } from '../../../../src/envoy/cluster/policy/locality.ts'
import type { Endpoint, Locality } from '../../../../src/mesh/model.ts'

/** `region/zone/subZone`, as far as it goes. */
function place(text: string): Locality {
  const [region = '', zone = '', subZone = ''] = text.split('/')
  return { region, zone, subZone }
}

/** Instances as `place` or `place*count`; those that are shutting down begin with `-`. */
function instances(...texts: readonly string[]): Endpoint[] {
  return texts.flatMap((text, index) => {
    const [, draining, where = '', count = '1'] = /^(-?)([^*]*)(?:\*(\d+))?$/.exec(text) ?? []
    return Array.from({ length: Number(count) }, (_, at) => ({
      address: `10.${index}.0.${at}`,
      port: 80,
      locality: place(where),
      weight: 1,
      workload: undefined,
      serviceAccount: undefined,
      tls: false,
      draining: draining === '-',
    }))
  })
}

const zoneAware = (policy: unknown) => loadBalancer.parse({ zoneAware: policy }).zoneAware
const PREFER = { preferLocal: { minEndpointsThreshold: 1, force: {} } }

/** `priority place count` of each group, and its weight where it has one. */
function order(policy: unknown, client: string, endpoints: readonly Endpoint[]): string[] {
  return prioritise(policy === undefined ? undefined : zoneAware(policy), place(client), endpoints).map(
    ({ locality: { region, zone, subZone }, priority, weight, endpoints: members }) => {
      const where = [region, zone, subZone].filter((part) => part !== '').join('/')
      return `${priority} ${where}*${members.length}${weight === undefined ? '' : ` weight ${weight}`}`
    },
  )
}

const everywhere = instances('eu/b', 'us/a*2', 'eu/a', 'asia/a')

describe('order', () => {
  test('without a policy all are equal, by locality', () => {
    expect(order(undefined, 'eu/a', everywhere)).toEqual(['0 asia/a*1', '0 eu/a*1', '0 eu/b*1', '0 us/a*2'])
  })

  test('those that are shutting down come last', () => {
    expect(order(undefined, 'eu/a', instances('eu/a', '-eu/a', '-us/a'))).toEqual(['0 eu/a*1', '1 eu/a*1', '1 us/a*1'])
    expect(order(undefined, 'eu/a', instances('-eu/a'))).toEqual(['0 eu/a*1'])
  })

  test('the own zone, then the region, then the rest', () => {
    expect(order(PREFER, 'eu/a', everywhere)).toEqual([
      '0 eu/a*1 weight 1',
      '1 eu/b*1 weight 1',
      '2 asia/a*1 weight 1',
      '2 us/a*2 weight 2',
    ])
  })

  test('failovers come after the own zone, in their order', () => {
    const failover = [
      { from: 'eu', to: 'us' },
      { from: 'eu', to: 'asia' },
      { from: 'us', to: 'eu' },
    ]
    expect(order({ ...PREFER, failover }, 'eu/a', everywhere)).toEqual([
      '0 eu/a*1 weight 1',
      '1 eu/b*1 weight 1',
      '2 us/a*2 weight 2',
      '3 asia/a*1 weight 1',
    ])
  })

  test('a failover without preference begins with all of its place', () => {
    expect(order({ failover: [{ from: 'eu', to: 'us' }] }, 'eu/a', everywhere)).toEqual([
      '0 eu/a*1',
      '0 eu/b*1',
      '1 us/a*2',
      '2 asia/a*1',
    ])
  })

  test('the narrowest place is looked at first', () => {
    const failover = [
      { from: 'eu', to: 'us' },
      { from: 'eu/a', to: 'asia/a' },
    ]
    expect(order({ failover }, 'eu/a', everywhere)).toEqual(['0 eu/a*1', '1 asia/a*1', '2 eu/b*1', '3 us/a*2'])
  })

  test('a place that only begins alike is another', () => {
    expect(order({ failover: [{ from: 'e', to: 'us' }] }, 'eu/a', everywhere)).toHaveLength(4)
    expect(
      order({ failover: [{ from: 'eu/a/1', to: 'us' }] }, 'eu/a/1', instances('eu/a/1', 'eu/a/2', 'us/x/y')),
    ).toEqual(['0 eu/a/1*1', '1 us/x/y*1', '2 eu/a/2*1'])
  })

  test('failovers of other places say nothing', () => {
    expect(order({ failover: [{ from: 'us', to: 'eu' }] }, 'asia/a', everywhere)).toEqual([
      '0 asia/a*1',
      '0 eu/a*1',
      '0 eu/b*1',
      '0 us/a*2',
    ])
  })

  test('priorities have no gaps where places have nothing', () => {
    const failover = [{ from: 'eu', to: 'mars' }]
    expect(order({ ...PREFER, failover }, 'eu/a', instances('eu/a', 'us/a'))).toEqual([
      '0 eu/a*1 weight 1',
      '1 us/a*1 weight 1',
    ])
  })
})

describe('shares', () => {
  const prefer = (more: object = {}) => ({ preferLocal: { minEndpointsThreshold: 1, ...more } })

  test('a zone that bears its clients keeps them', () => {
    expect(order(prefer(), 'r/a', instances('r/a*2', 'r/b*2'))).toEqual(['0 r/a*2 weight 2', '1 r/b*2 weight 2'])
    expect(order(prefer(), 'r/a', instances('r/a*3', 'r/b'))).toEqual(['0 r/a*3 weight 3', '1 r/b*1 weight 1'])
  })

  test('one that does not passes on what is beyond, to where there is more than needed', () => {
    // half of the clients, a quarter of the instances: half of what they ask stays
    expect(order(prefer(), 'r/b', instances('r/a*3', 'r/b'))).toEqual([
      '0 r/a*3 weight 500000',
      '0 r/b*1 weight 500000',
    ])
    // a third of the clients, a sixth of the instances; the third zone has none to spare
    expect(order(prefer(), 'r/a', instances('r/a', 'r/b*3', 'r/c*2'))).toEqual([
      '0 r/a*1 weight 500000',
      '0 r/b*3 weight 500000',
      '1 r/c*2 weight 2',
    ])
  })

  test('by force it keeps all of them', () => {
    expect(order(prefer({ force: {} }), 'r/b', instances('r/a*3', 'r/b'))).toEqual([
      '0 r/b*1 weight 1',
      '1 r/a*3 weight 3',
    ])
    expect(order(prefer({ force: { minEndpointsInZoneThreshold: 2 } }), 'r/b', instances('r/a*3', 'r/b'))).toEqual([
      '0 r/a*3 weight 500000',
      '0 r/b*1 weight 500000',
    ])
  })

  test('a part of the requests may look at no zones', () => {
    expect(order(prefer({ percentageEnabled: 60, force: {} }), 'r/a', instances('r/a', 'r/b'))).toEqual([
      '0 r/a*1 weight 800000',
      '0 r/b*1 weight 200000',
    ])
    expect(order(prefer({ percentageEnabled: 0 }), 'r/a', instances('r/a', 'r/b*3'))).toEqual([
      '0 r/a*1 weight 250000',
      '0 r/b*3 weight 750000',
    ])
  })

  test('the localities of a zone divide its share', () => {
    expect(
      order(prefer({ percentageEnabled: 60, force: {} }), 'r/a/1', instances('r/a/1', 'r/a/2*3', 'r/b*4')),
    ).toEqual(['0 r/a/1*1 weight 200000', '0 r/a/2*3 weight 600000', '0 r/b*4 weight 200000'])
  })

  test('few instances, a client without zone, a zone without instance: zones are not looked at', () => {
    const all = ['0 r/a*1 weight 1', '0 r/b*2 weight 2']
    const three = instances('r/a', 'r/b*2')
    expect(order(prefer({ minEndpointsThreshold: 4, force: {} }), 'r/a', three)).toEqual(all)
    expect(order(prefer({ force: {} }), '', three)).toEqual(all)
    expect(order(prefer({ force: {} }), 'r', three)).toEqual(all)
    expect(order(prefer({ force: {} }), 'r/c', three)).toEqual(all)
  })

  test('a zone of the same name in another region is another', () => {
    expect(order(prefer({ force: {} }), 'eu/a', instances('eu/a', 'us/a'))).toEqual([
      '0 eu/a*1 weight 1',
      '1 us/a*1 weight 1',
    ])
  })
})

test('whatever the policy: every instance once, priorities from 0 without gaps, weights that Envoy takes', () => {
  const text = fc.constantFrom('eu', 'eu/a', 'eu/b', 'eu/a/1', 'us', 'us/a', '', 'us/a/2')
  const named = text.filter((part) => part !== '')
  const endpoint = fc.record({ at: text, draining: fc.boolean(), weight: fc.integer({ min: 1, max: 1_000_000 }) })
  const policy = fc.record(
    {
      preferLocal: fc.record({
        minEndpointsThreshold: fc.integer({ min: 1, max: 5 }),
        percentageEnabled: fc.double({ min: 0, max: 100, noNaN: true }),
        force: fc.option(fc.record({ minEndpointsInZoneThreshold: fc.integer({ min: 1, max: 3 }) }), {
          nil: undefined,
        }),
      }),
      failover: fc.array(fc.record({ from: named, to: named }), { maxLength: 4 }),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(policy, text, fc.array(endpoint, { maxLength: 12 }), (given, client, found) => {
      const endpoints = found.map(({ at, draining, weight }, index) => ({
        ...instances(at)[0],
        address: `10.0.0.${index}`,
        draining,
        weight,
      })) as Endpoint[]
      const groups = prioritise(zoneAware(given), place(client), endpoints)
      expect(groups.flatMap((group) => group.endpoints.map(({ address }) => address)).toSorted()).toEqual(
        endpoints.map(({ address }) => address).toSorted(),
      )
      const priorities = [...new Set(groups.map(({ priority }) => priority))]
      expect(priorities).toEqual(priorities.map((_, index) => index))
      for (const { weight } of groups) {
        expect(weight === undefined).toBe(given.preferLocal === undefined)
        expect(weight ?? 1).toSatisfy((value: number) => Number.isInteger(value) && value >= 1 && value < 2 ** 32)
      }
    }),
    { numRuns: 500 },
  )
})
