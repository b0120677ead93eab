import { describe, expect, test } from 'vitest'
import { EncodeError } from '../../src/proto/encode.ts'
import { any, extension, type Message, type MessageName } from '../../src/proto/types.ts'
import { testProtos } from './protos.ts'

const protos = testProtos()

const roundTrip = <N extends MessageName>(type: N, message: Message<N>): Message<N> =>
  protos.decode(type, protos.encode(type, message))

const errorOf = (type: string, message: unknown): EncodeError => {
  try {
    protos.encodeUnknown(type, message)
  } catch (error) {
    if (error instanceof EncodeError) return error
    throw error
  }
  throw new Error('it was encoded')
}

describe('what was encoded is decoded as it was', () => {
  const cases: { readonly [N in MessageName]?: Readonly<Record<string, Message<N>>> } = {
    'envoy.config.cluster.v3.Cluster': {
      'durations, wrappers, enums, bare oneof members': {
        name: '10.96.0.11:80',
        type: 'EDS',
        connect_timeout: '0.25s',
        per_connection_buffer_limit_bytes: 32768,
        lb_policy: 'LEAST_REQUEST',
        common_lb_config: { healthy_panic_threshold: { value: 0.5 }, locality_weighted_lb_config: {} },
        ring_hash_lb_config: { minimum_ring_size: 1024, maximum_ring_size: '18446744073709551615' },
        ignore_health_on_host_removal: true,
      },
      'an Any in an Any': {
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            {
              explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 100 } },
              http_filters: [
                extension('injector', 'envoy.extensions.filters.http.credential_injector.v3.CredentialInjector', {
                  credential: extension('generic', 'envoy.extensions.http.injected_credentials.generic.v3.Generic', {
                    credential: { name: 'token', sds_config: { ads: {}, resource_api_version: 'V3' } },
                  }),
                }),
                extension('codec', 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec', {}),
              ],
            },
          ),
        },
      },
      'every kind of Struct value': {
        metadata: {
          filter_metadata: {
            heddle: {
              s: 'x',
              n: 1.5,
              zero: 0,
              yes: true,
              no: false,
              nothing: null,
              list: [1, 'a', [], {}],
              o: { deep: { er: 1 } },
            },
            empty: {},
          },
        },
      },
    },
    'envoy.config.core.v3.TypedExtensionConfig': {
      'well-known types inside Any': {
        name: 'x',
        typed_config: any('google.protobuf.StringValue', { value: 'cluster' }),
      },
      'a duration inside Any': { typed_config: any('google.protobuf.Duration', { value: '-1.5s' }) },
      'a Struct inside Any': { typed_config: any('google.protobuf.Struct', { value: { a: [null] } }) },
      'an Any inside Any': {
        typed_config: any('google.protobuf.Any', {
          value: any('google.protobuf.UInt64Value', { value: '9007199254740993' }),
        }),
      },
      'an empty message inside Any': { typed_config: any('google.protobuf.Empty', {}) },
      'a message of an extension that is not known': {
        typed_config: any('xds.type.v3.TypedStruct', {
          type_url: 'type.googleapis.com/envoy.Lua',
          value: { code: 'x' },
        }),
      },
    },
    'envoy.config.core.v3.DataSource': {
      bytes: { inline_bytes: Buffer.from([0, 255, 128, 1]).toString('base64') },
      'a oneof member at its default': { inline_string: '' },
    },
    'envoy.config.route.v3.Route': {
      'an empty message': { match: { prefix: '/', grpc: {} }, non_forwarding_action: {} },
      'numbers beyond 32 bits': {
        match: { headers: [{ name: 'x', range_match: { start: '-9223372036854775808', end: 7 } }] },
      },
    },
    'google.rpc.Status': { 'a negative number': { code: -1, message: 'ünïcödé 🧵' } },
  }

  for (const [type, examples] of Object.entries(cases)) {
    test.each(Object.entries(examples))(`${type}: %s`, (_, message) => {
      expect(protos.decode(type as MessageName, protos.encodeUnknown(type, message))).toEqual(message)
    })
  }
})

describe('what is the same has the same bytes', () => {
  test('whatever the order of fields, map keys and Struct keys', () => {
    const one = protos.encode('envoy.config.cluster.v3.Cluster', {
      name: 'a',
      connect_timeout: '1s',
      metadata: { filter_metadata: { x: { a: 1, b: 2 }, y: {} } },
    })
    const other = protos.encode('envoy.config.cluster.v3.Cluster', {
      metadata: { filter_metadata: { y: {}, x: { b: 2, a: 1 } } },
      connect_timeout: '1.000s',
      name: 'a',
    })
    expect(other).toEqual(one)
  })

  test('undefined and null are absent, and so are defaults', () => {
    const bytes = protos.encodeUnknown('envoy.config.cluster.v3.Cluster', {
      name: '',
      type: 'STATIC',
      connect_timeout: undefined,
      lb_policy: 'ROUND_ROBIN',
      metadata: null,
      filters: [],
      typed_extension_protocol_options: {},
    })
    // Only `type` is left: it is in a oneof, so its default is told from its absence.
    expect(Buffer.from(bytes)).toEqual(Buffer.from([2 << 3, 0]))
  })

  test('a field may have its camel-case name, as ProtoJSON allows', () => {
    expect(protos.encodeUnknown('envoy.config.cluster.v3.Cluster', { connectTimeout: '1s' })).toEqual(
      protos.encode('envoy.config.cluster.v3.Cluster', { connect_timeout: '1s' }),
    )
  })
})

describe('an error says where it is and what was expected', () => {
  const cluster = 'envoy.config.cluster.v3.Cluster'
  test.each([
    [cluster, { conect_timeout: '1s' }, 'conect_timeout: expected a field of envoy.config.cluster.v3.Cluster'],
    [cluster, { connect_timeout: '1' }, `connect_timeout: expected a duration in seconds, as '0.25s', got "1"`],
    [cluster, { connect_timeout: 1 }, 'connect_timeout: expected a duration'],
    [cluster, { connect_timeout: '999999999999s' }, 'connect_timeout: expected a duration of at most'],
    [cluster, { name: 1 }, 'name: expected a string, got 1'],
    [cluster, { name: '\ud800' }, 'name: expected well-formed Unicode text'],
    [cluster, { type: 'EDDS' }, 'type: expected one of STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST, got "EDDS"'],
    [cluster, { per_connection_buffer_limit_bytes: -1 }, 'per_connection_buffer_limit_bytes: expected a whole number'],
    [cluster, { ring_hash_lb_config: { minimum_ring_size: 2 ** 60 } }, 'as a string where it is beyond 2^53'],
    [
      cluster,
      { ring_hash_lb_config: { minimum_ring_size: '18446744073709551616' } },
      'ring_hash_lb_config.minimum_ring_size',
    ],
    [cluster, { type: 'EDS', cluster_type: { name: 'x' } }, 'expected only one of the cluster_discovery_type fields'],
    [cluster, { connect_timeout: '1s', connectTimeout: '2s' }, 'expected only one of the connect'],
    [cluster, { filters: {} }, 'filters: expected a list, got {}'],
    [cluster, { filters: [{}, 3] }, 'filters[1]: expected an object, got 3'],
    [
      cluster,
      { metadata: { filter_metadata: { 'a.b': { n: Number.NaN } } } },
      'metadata.filter_metadata["a.b"].n: expected a finite',
    ],
    [cluster, [], 'message: expected an object, got []'],
    ['envoy.config.core.v3.DataSource', { inline_bytes: '%' }, 'inline_bytes: expected bytes in base64'],
    [
      'envoy.config.core.v3.TypedExtensionConfig',
      { typed_config: { '@type': 'type.googleapis.com/envoy.config.Nope', x: 1 } },
      'typed_config["@type"]: expected a message that Heddle knows, or xds.type.v3.TypedStruct',
    ],
    [
      'envoy.config.core.v3.TypedExtensionConfig',
      { typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router', x: 1 } },
      'typed_config.x: expected a field of envoy.extensions.filters.http.router.v3.Router',
    ],
    [
      'envoy.config.core.v3.TypedExtensionConfig',
      { typed_config: { x: 1 } },
      'typed_config["@type"]: expected the message\'s type',
    ],
  ])('%s %j', (type, message, expected) => {
    expect(errorOf(type, message).message).toContain(expected)
  })

  test('the path is data too, and an error leaves nothing behind', () => {
    const broken = { routes: [{ match: { prefix: '/' } }, { match: { prefix: 1 } }] }
    expect(errorOf('envoy.config.route.v3.VirtualHost', broken).path).toEqual(['routes', 1, 'match', 'prefix'])
    expect(errorOf('envoy.config.route.v3.VirtualHost', broken).path).toEqual(['routes', 1, 'match', 'prefix'])
    expect(roundTrip('envoy.config.route.v3.VirtualHost', { name: 'x' })).toEqual({ name: 'x' })
  })

  test('endless nesting is refused', () => {
    let match: Record<string, unknown> = { any: true }
    for (let level = 0; level < 200; level++) match = { not_rule: match }
    expect(errorOf('envoy.config.rbac.v3.Permission', match).message).toContain('expected at most 100 levels')
  })
})

test('it knows which messages there are', () => {
  expect(protos.knows('envoy.config.cluster.v3.Cluster')).toBe(true)
  expect(protos.knows('envoy.extensions.filters.http.lua.v3.Lua')).toBe(false)
  expect(() => protos.decode('envoy.config.cluster.v3.Cluster', Buffer.from([0xff]))).toThrow(/index out of range/)
})
