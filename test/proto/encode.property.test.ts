import * as fc from 'fast-check'
import protojson from 'protobufjs/ext/protojson.js'
import { expect, test } from 'vitest'
import { messageArbitrary } from './messages.ts'
import { testProtos, testRoot } from './protos.ts'

const protos = testProtos()
const root = testRoot()

test.each([
  'envoy.config.bootstrap.v3.Bootstrap',
  'envoy.config.cluster.v3.Cluster',
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'envoy.config.listener.v3.Listener',
  'envoy.config.rbac.v3.RBAC',
  'envoy.config.route.v3.RouteConfiguration',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  'envoy.extensions.transport_sockets.tls.v3.Secret',
  'envoy.service.discovery.v3.DeltaDiscoveryResponse',
] as const)('%s: the bytes are those that protobufjs makes by way of its own ProtoJSON', (name) => {
  const type = root.lookupType(name)
  fc.assert(
    fc.property(messageArbitrary(type, 5), (message) => {
      const expected = type.encode(protojson.fromJson(type, message)).finish()
      const bytes = protos.encodeUnknown(name, message)
      expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(expected).toString('hex'))
      // What is read is written again as it was.
      expect(protos.encodeUnknown(name, protos.decode(name, bytes))).toEqual(bytes)
    }),
    { numRuns: 200 },
  )
})
