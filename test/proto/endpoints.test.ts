import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeEndpoints, type Endpoint, type Endpoints } from '../../src/proto/endpoints.ts'
import type { Message } from '../../src/proto/types.ts'
import { testProtos } from './protos.ts'

const protos = testProtos()

type Assignment = Message<'envoy.config.endpoint.v3.ClusterLoadAssignment'>
type LbEndpoint = Message<'envoy.config.endpoint.v3.LbEndpoint'>

const lbEndpoint = ({ address, weight, health, hostname, metadata }: Endpoint): LbEndpoint => ({
  endpoint: {
    address:
      'port' in address
        ? { socket_address: { address: address.address, port_value: address.port } }
        : {
            envoy_internal_address: {
              server_listener_name: address.internalListener,
              endpoint_id: address.endpointId,
            },
          },
    hostname,
  },
  health_status: health,
  metadata: metadata && { filter_metadata: metadata },
  load_balancing_weight: weight,
})

/** The same, as the documentation writes it. */
const assignment = (input: Endpoints): Assignment => ({
  cluster_name: input.clusterName,
  endpoints: input.localities.map(({ region, zone, subZone, weight, priority, endpoints }) => ({
    locality:
      region + zone + subZone === '' && input.unnamedLocalities !== true
        ? undefined
        : { region, zone, sub_zone: subZone },
    lb_endpoints: endpoints.map(lbEndpoint),
    load_balancing_weight: weight,
    priority,
  })),
  policy:
    input.overprovisioningFactor === undefined ? undefined : { overprovisioning_factor: input.overprovisioningFactor },
})

const text = fc.oneof(
  fc.constant(''),
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ minLength: 40, maxLength: 200 }),
)
const uint32 = fc.oneof(fc.constantFrom(0, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32 - 1), fc.nat({ max: 2 ** 32 - 1 }))
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })

const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: fc.oneof(
    fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6(), text), port: fc.nat({ max: 65535 }) }),
    fc.record({ internalListener: text, endpointId: text }),
  ),
  weight: optional(uint32),
  health: fc.constantFrom(undefined, 'UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED'),
  hostname: optional(text),
  metadata: optional(
    fc.dictionary(
      text,
      fc.dictionary(text, fc.oneof(text, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }))),
    ),
  ),
})

const endpoints: fc.Arbitrary<Endpoints> = fc.record({
  clusterName: text,
  localities: fc.array(
    fc.record({
      region: text,
      zone: text,
      subZone: text,
      weight: optional(uint32),
      priority: uint32,
      endpoints: fc.array(endpoint, { maxLength: 8 }),
    }),
    { maxLength: 4 },
  ),
  overprovisioningFactor: optional(uint32),
  unnamedLocalities: optional(fc.boolean()),
})

test('the bytes are those of the generic encoder', () => {
  fc.assert(
    fc.property(endpoints, (input) => {
      const expected = protos.encode('envoy.config.endpoint.v3.ClusterLoadAssignment', assignment(input))
      expect(encodeEndpoints(input).toString('hex')).toBe(Buffer.from(expected).toString('hex'))
    }),
    { numRuns: 500 },
  )
})

test('a thousand endpoints that share their metadata', () => {
  const metadata = { 'envoy.transport_socket_match': { heddle: true } }
  const input: Endpoints = {
    clusterName: '10.96.0.11:80',
    localities: [
      {
        region: 'r',
        zone: 'z',
        subZone: '',
        priority: 0,
        endpoints: Array.from({ length: 1000 }, (_, index) => ({
          address: { address: `10.0.${index >> 8}.${index & 255}`, port: 8080 },
          metadata,
        })),
      },
    ],
  }
  expect(protos.decode('envoy.config.endpoint.v3.ClusterLoadAssignment', encodeEndpoints(input))).toEqual(
    protos.decode(
      'envoy.config.endpoint.v3.ClusterLoadAssignment',
      protos.encode('envoy.config.endpoint.v3.ClusterLoadAssignment', assignment(input)),
    ),
  )
})

test('an endpoint without address family or port is still one', () => {
  const input: Endpoints = {
    clusterName: 'x',
    localities: [
      { region: '', zone: '', subZone: '', priority: 0, endpoints: [{ address: { address: '::1', port: 0 } }] },
    ],
  }
  expect(protos.decode('envoy.config.endpoint.v3.ClusterLoadAssignment', encodeEndpoints(input))).toEqual({
    cluster_name: 'x',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '::1', port_value: 0 } } } }] }],
  })
})
