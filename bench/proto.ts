/**
 * What encoding costs, in µs of CPU: Heddle's way beside protobufjs' own, in one run. `node bench/proto.ts`
 */
import { readFileSync } from 'node:fs'
import protojson from 'protobufjs/ext/protojson.js'
import { readRoot } from '../src/proto/descriptors.ts'
import { encodeEndpoints, type Endpoints } from '../src/proto/endpoints.ts'
import { descriptorFile, loadProtos } from '../src/proto/encode.ts'
import { decodeDeltaRequest, encodeDeltaResponse } from '../src/proto/frame.ts'
import { any, extension, type Message } from '../src/proto/types.ts'

const descriptors = readFileSync(descriptorFile)
const protos = loadProtos(descriptors)
const root = readRoot(descriptors)

/** CPU time of one call, in µs, after a warm-up. */
const measure = (calls: number, work: () => unknown): number => {
  for (let call = 0; call < calls / 5; call++) work()
  const start = process.cpuUsage()
  for (let call = 0; call < calls; call++) work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / calls
}

const ads = { ads: {}, resource_api_version: 'V3' } as const

const cluster: Message<'envoy.config.cluster.v3.Cluster'> = {
  name: '10.96.0.11:80',
  alt_stat_name: 'cart.shop.80',
  type: 'EDS',
  connect_timeout: '1s',
  lb_policy: 'LEAST_REQUEST',
  eds_cluster_config: { eds_config: { ...ads, initial_fetch_timeout: '1s' } },
  circuit_breakers: { thresholds: [{ max_connections: 1000, max_pending_requests: 1000, max_retries: 3 }] },
  outlier_detection: { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s', max_ejection_percent: 50 },
  metadata: { filter_metadata: { heddle: { namespace: 'shop', port: 80, service: 'cart' } } },
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } },
    ),
  },
  transport_socket_matches: [
    {
      name: 'mtls',
      match: { heddle: true },
      transport_socket: extension('tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        common_tls_context: {
          alpn_protocols: ['heddle'],
          tls_certificate_sds_secret_configs: [{ name: 'svid', sds_config: ads }],
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [
                { san_type: 'URI', matcher: { exact: 'spiffe://cluster.local/ns/shop/sa/cart' } },
              ],
            },
            validation_context_sds_secret_config: { name: 'bundle', sds_config: ads },
          },
        },
      }),
    },
    {
      name: 'plaintext',
      match: {},
      transport_socket: extension('raw', 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', {}),
    },
  ],
}

const metadata = { 'envoy.transport_socket_match': { heddle: true } }

const endpoints: Endpoints = {
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

const clusterType = root.lookupType('envoy.config.cluster.v3.Cluster')
const assignmentType = root.lookupType('envoy.config.endpoint.v3.ClusterLoadAssignment')
const responseType = root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryResponse')
const requestType = root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryRequest')

const bytes = protos.encode('envoy.config.cluster.v3.Cluster', cluster)
const typeUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const response = {
  typeUrl,
  nonce: '17',
  removed: [],
  resources: [{ name: '10.96.0.11:80', version: '0123456789abcdef', bytes }],
}
const decodedAssignment = assignmentType.decode(encodeEndpoints(endpoints))
const decodedResponse = responseType.decode(encodeDeltaResponse(response))
const request = protos.encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
  type_url: typeUrl,
  resource_names_subscribe: ['10.96.0.11:80'],
  // About as large as that of a real Envoy.
  node: {
    id: 'cart-1',
    extensions: Array.from({ length: 600 }, (_, index) => ({
      name: `envoy.filters.http.filter_${index}`,
      category: 'envoy.filters.http',
      type_urls: ['envoy.extensions.filters.http.some_filter.v3.SomeFilter'],
    })),
  },
})

const rows = [
  {
    what: `Cluster, ${bytes.length} bytes`,
    heddle: measure(20_000, () => protos.encode('envoy.config.cluster.v3.Cluster', cluster)),
    protobufjs: measure(5_000, () => clusterType.encode(protojson.fromJson(clusterType, cluster)).finish()),
  },
  {
    what: 'ClusterLoadAssignment, 1,000 endpoints (protobufjs: from a decoded message)',
    heddle: measure(2_000, () => encodeEndpoints(endpoints)),
    protobufjs: measure(1_000, () => assignmentType.encode(decodedAssignment).finish()),
  },
  {
    what: 'DeltaDiscoveryResponse with that Cluster (protobufjs: from a decoded message)',
    heddle: measure(50_000, () => encodeDeltaResponse(response)),
    protobufjs: measure(50_000, () => responseType.encode(decodedResponse).finish()),
  },
  {
    what: `DeltaDiscoveryRequest, ${Math.round(request.length / 1000)} kB of node`,
    heddle: measure(5_000, () => decodeDeltaRequest(request)),
    protobufjs: measure(500, () => requestType.decode(request)),
  },
]

console.table(
  Object.fromEntries(
    rows.map(({ what, heddle, protobufjs }) => [
      what,
      {
        'heddle µs': heddle.toFixed(1),
        'protobufjs µs': protobufjs.toFixed(1),
        ratio: (protobufjs / heddle).toFixed(1),
      },
    ]),
  ),
)
