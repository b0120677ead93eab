import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { any, extension, type Message } from '../../src/proto/types.ts'
import { testProtos } from './protos.ts'

/**
 * Another implementation as the judge: Python's protobuf with the descriptors that nobody pruned reads the same ProtoJSON.
 * It gets the message's type, the ProtoJSON and our bytes; it prints what it would have written and how it reads ours.
 * It does not sort maps inside an Any, so there they have one key.
 */
const judge = `
import base64, importlib, json, sys
from google.protobuf import descriptor_pool, json_format, message_factory
for case in json.load(sys.stdin):
    for module in case["modules"]:
        importlib.import_module(module)
    cls = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(case["type"]))
    theirs = json_format.ParseDict(case["message"], cls())
    ours = cls.FromString(base64.b64decode(case["bytes"]))
    print(json.dumps({"equal": ours == theirs, "bytes": theirs.SerializeToString(deterministic=True).hex()}))
`

const python = new URL('../../.tools/protos/bin/python', import.meta.url).pathname

const protos = testProtos()

const cluster: Message<'envoy.config.cluster.v3.Cluster'> = {
  name: 'a',
  type: 'EDS',
  connect_timeout: '0.000000001s',
  per_connection_buffer_limit_bytes: 0,
  ring_hash_lb_config: { minimum_ring_size: '9007199254740993' },
  metadata: { filter_metadata: { b: { y: [null, { z: -0.5 }, 'ü'], x: true }, a: {} } },
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      {
        common_http_protocol_options: { idle_timeout: '-1.5s' },
        explicit_http_config: { http_protocol_options: {} },
        http_filters: [extension('codec', 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec', {})],
      },
    ),
  },
}

const listener: Message<'envoy.config.listener.v3.Listener'> = {
  name: 'outbound',
  address: { socket_address: { address: '0.0.0.0', port_value: 15001 } },
  use_original_dst: true,
  filter_chains: [
    {
      filters: [
        extension('rbac', 'envoy.extensions.filters.network.rbac.v3.RBAC', {
          stat_prefix: 'x',
          rules: {
            action: 'DENY',
            policies: { b: { permissions: [{ any: true }], principals: [{ any: false }] } },
          },
        }),
        extension('state', 'envoy.extensions.filters.network.set_filter_state.v3.Config', {
          on_new_connection: [
            {
              object_key: 'envoy.tcp_proxy.cluster',
              format_string: { text_format_source: { inline_bytes: 'AP8=' }, omit_empty_values: true },
              shared_with_upstream: 'ONCE',
            },
          ],
        }),
      ],
    },
  ],
}

const cases = [
  { type: 'envoy.config.cluster.v3.Cluster', message: cluster },
  { type: 'envoy.config.listener.v3.Listener', message: listener },
] as const

test("Python's protobuf writes the same bytes, with all of Envoy's API", () => {
  const input = cases.map(({ type, message }) => ({
    type,
    message,
    bytes: Buffer.from(protos.encodeUnknown(type, message)).toString('base64'),
    modules: [
      'envoy.config.cluster.v3.cluster_pb2',
      'envoy.config.listener.v3.listener_pb2',
      'envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2',
      'envoy.extensions.filters.network.rbac.v3.rbac_pb2',
      'envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2',
      'envoy.extensions.upstreams.http.v3.http_protocol_options_pb2',
    ],
  }))
  const lines = execFileSync(python, ['-c', judge], { input: JSON.stringify(input), encoding: 'utf8' })
    .trim()
    .split('\n')
  const verdicts: unknown[] = lines.map((line) => JSON.parse(line))
  expect(verdicts).toEqual(
    cases.map(({ type, message }) => ({
      equal: true,
      bytes: Buffer.from(protos.encodeUnknown(type, message)).toString('hex'),
    })),
  )
})
