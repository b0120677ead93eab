import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeDeltaRequest,
  decodeStateRequest,
  encodeDeltaResponse,
  encodeStateResponse,
  type RequestNode,
} from '../../src/proto/frame.ts'
import type { Message } from '../../src/proto/types.ts'
import { messageArbitrary } from './messages.ts'
import { testProtos, testRoot } from './protos.ts'

const protos = testProtos()
const root = testRoot()

const typeUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 60 }))
const serialised = fc
  .string({ maxLength: 300 })
  .map((name) => protos.encode('envoy.config.cluster.v3.Cluster', { name }))

/** A message's bytes through the reflection types, where `Any` may hold bytes as they are. */
const reflected = (type: string, message: Record<string, unknown>): string =>
  Buffer.from(root.lookupType(type).encode(message).finish()).toString('hex')

describe('responses are what protobufjs would have made', () => {
  test('delta', () => {
    const resources = fc.array(fc.record({ name: text, version: text, bytes: serialised }))
    fc.assert(
      fc.property(resources, fc.array(text), text, text, (given, removed, nonce, systemVersion) => {
        const bytes = encodeDeltaResponse({ typeUrl, nonce, systemVersion, resources: given, removed })
        const expected = reflected('envoy.service.discovery.v3.DeltaDiscoveryResponse', {
          system_version_info: systemVersion || undefined,
          type_url: typeUrl,
          nonce: nonce || undefined,
          removed_resources: removed,
          resources: given.map(({ name, version, bytes: value }) => ({
            name: name || undefined,
            version: version || undefined,
            resource: { typeUrl, value: value.length === 0 ? undefined : value },
          })),
        })
        expect(bytes.toString('hex')).toBe(expected)
      }),
    )
  })

  test('state of the world', () => {
    fc.assert(
      fc.property(fc.array(serialised), text, text, (resources, version, nonce) => {
        const bytes = encodeStateResponse({ typeUrl, version, nonce, resources })
        const expected = reflected('envoy.service.discovery.v3.DiscoveryResponse', {
          version_info: version || undefined,
          type_url: typeUrl,
          nonce: nonce || undefined,
          resources: resources.map((value) => ({ typeUrl, value: value.length === 0 ? undefined : value })),
        })
        expect(bytes.toString('hex')).toBe(expected)
      }),
    )
  })

  test('readable', () => {
    const cluster = { name: 'a', connect_timeout: '1s' } as const
    const bytes = protos.encode('envoy.config.cluster.v3.Cluster', cluster)
    const response = encodeDeltaResponse({
      typeUrl,
      nonce: '7',
      resources: [{ name: 'a', version: 'v', bytes }],
      removed: ['b'],
    })
    expect(protos.decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', response)).toEqual({
      type_url: typeUrl,
      nonce: '7',
      resources: [{ name: 'a', version: 'v', resource: { '@type': typeUrl, ...cluster } }],
      removed_resources: ['b'],
    })
  })
})

const nodeOf = (node: Message<'envoy.config.core.v3.Node'> | undefined): RequestNode | undefined => {
  if (node === undefined) return undefined
  const version = node.user_agent_build_version?.version
  return {
    id: node.id ?? '',
    cluster: node.cluster ?? '',
    userAgentName: node.user_agent_name ?? '',
    userAgentVersion:
      node.user_agent_version ??
      (node.user_agent_build_version === undefined
        ? ''
        : [version?.major_number ?? 0, version?.minor_number ?? 0, version?.patch ?? 0].join('.')),
    clientFeatures: node.client_features ?? [],
    locality: {
      region: node.locality?.region ?? '',
      zone: node.locality?.zone ?? '',
      subZone: node.locality?.sub_zone ?? '',
    },
    metadata: node.metadata,
  }
}

const errorOf = (status: Message<'google.rpc.Status'> | undefined): { code: number; message: string } | undefined =>
  status && { code: (status.code ?? 0) >>> 0, message: status.message ?? '' }

describe('requests are read as protobufjs reads them', () => {
  test('delta', () => {
    const name = 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
    fc.assert(
      fc.property(messageArbitrary(root.lookupType(name), 4), (message) => {
        const bytes = protos.encodeUnknown(name, message)
        const expected = protos.decode(name, bytes)
        expect(decodeDeltaRequest(bytes, { metadata: true })).toEqual({
          node: nodeOf(expected.node),
          typeUrl: expected.type_url ?? '',
          subscribe: expected.resource_names_subscribe ?? [],
          unsubscribe: expected.resource_names_unsubscribe ?? [],
          initialVersions: new Map(Object.entries(expected.initial_resource_versions ?? {})),
          nonce: expected.response_nonce ?? '',
          error: errorOf(expected.error_detail),
        })
        expect(decodeDeltaRequest(bytes).node?.metadata).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  test('state of the world', () => {
    const name = 'envoy.service.discovery.v3.DiscoveryRequest'
    fc.assert(
      fc.property(messageArbitrary(root.lookupType(name), 4), (message) => {
        const bytes = protos.encodeUnknown(name, message)
        const expected = protos.decode(name, bytes)
        expect(decodeStateRequest(bytes, { metadata: true })).toEqual({
          node: nodeOf(expected.node),
          typeUrl: expected.type_url ?? '',
          names: expected.resource_names ?? [],
          version: expected.version_info ?? '',
          nonce: expected.response_nonce ?? '',
          error: errorOf(expected.error_detail),
        })
      }),
      { numRuns: 300 },
    )
  })

  test('a refusal', () => {
    const bytes = protos.encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
      type_url: typeUrl,
      response_nonce: '3',
      error_detail: { code: 3, message: 'Error adding/updating cluster(s) a: no such thing' },
    })
    expect(decodeDeltaRequest(bytes)).toMatchObject({
      node: undefined,
      nonce: '3',
      error: { code: 3, message: 'Error adding/updating cluster(s) a: no such thing' },
    })
  })
})

const outcome = (read: () => unknown): string => {
  try {
    read()
    return 'read'
  } catch (error) {
    return String(error)
  }
}

describe('bytes that are no request', () => {
  test.each([
    ['a length beyond the end', [0x12, 0x7f, 0x61]],
    ['an end within a number', [0x12]],
    ['a number without end', [0x10, ...Array.from({ length: 11 }, () => 0xff)]],
    ['a group', [0x0b]],
    ['field 0', [0x00, 0x00]],
    ['a number where text belongs', [0x10, 0x01]],
    ['a length beyond the end of the message around it', [0x0a, 0x02, 0x0a, 0x05, 0, 0, 0, 0, 0]],
  ])('%s', (_, bytes) => {
    expect(() => decodeDeltaRequest(Uint8Array.from(bytes))).toThrow(/protobuf/)
  })

  test('whatever it is, it throws or ends', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(outcome(() => decodeDeltaRequest(bytes, { metadata: true }))).toMatch(/^read$|protobuf|metadata/)
        expect(outcome(() => decodeStateRequest(bytes, { metadata: true }))).toMatch(/^read$|protobuf|metadata/)
      }),
      { numRuns: 2000 },
    )
  })

  test('metadata of endless depth', () => {
    let value: unknown = 1
    for (let level = 0; level < 40; level++) value = [value]
    const bytes = protos.encodeUnknown('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
      node: { metadata: { value } },
    })
    expect(() => decodeDeltaRequest(bytes, { metadata: true })).toThrow(/nested more than 32 levels/)
    expect(decodeDeltaRequest(bytes).node?.id).toBe('')
  })
})
