// The way from the proxy to its own application, and the clusters that every proxy has.
import { any, type Message } from '../../proto/types.ts'
import { INBOUND_SOURCE, PASSTHROUGH, REFUSED } from '../names.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const NO_LIMIT = 4_294_967_295

const UNLIMITED: Cluster['circuit_breakers'] = {
  thresholds: [
    { max_connections: NO_LIMIT, max_pending_requests: NO_LIMIT, max_requests: NO_LIMIT, max_retries: NO_LIMIT },
  ],
}

export interface InboundClusterOptions {
  readonly name: string
  /** Where the application listens; absent where the kernel redirects, since connections then go on to what was dialled. */
  readonly application: { readonly address: string; readonly port: number } | undefined
  readonly ipv6: boolean
}

export function inboundCluster({ name, application, ipv6 }: InboundClusterOptions): Cluster {
  return {
    name,
    alt_stat_name: name.replace('/', '.'),
    connect_timeout: '2s',
    circuit_breakers: UNLIMITED,
    ...(application === undefined
      ? {
          type: 'ORIGINAL_DST' as const,
          lb_policy: 'CLUSTER_PROVIDED' as const,
          // how the interception tells the proxy's way to its own application from one that it must catch
          upstream_bind_config: {
            source_address: { address: INBOUND_SOURCE.ipv4, port_value: 0 },
            ...(ipv6 && { extra_source_addresses: [{ address: { address: INBOUND_SOURCE.ipv6, port_value: 0 } }] }),
          },
        }
      : {
          type: 'STATIC' as const,
          load_assignment: {
            cluster_name: name,
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: { socket_address: { address: application.address, port_value: application.port } },
                    },
                  },
                ],
              },
            ],
          },
        }),
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: any(HTTP_OPTIONS, {
        // many servers close idle connections after 5 s: the proxy must be first, or a request meets a closing connection
        common_http_protocol_options: { idle_timeout: '4s' },
        use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
      }),
    },
  }
}

/** On to whatever address was dialled. */
export const passthroughCluster = (): Cluster => ({
  name: PASSTHROUGH,
  type: 'ORIGINAL_DST',
  lb_policy: 'CLUSTER_PROVIDED',
  connect_timeout: '10s',
  circuit_breakers: UNLIMITED,
  typed_extension_protocol_options: {
    [HTTP_OPTIONS]: any(HTTP_OPTIONS, {
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
  },
})

/** Nowhere. */
export const refusedCluster = (): Cluster => ({
  name: REFUSED,
  type: 'STATIC',
  connect_timeout: '1s',
  load_assignment: { cluster_name: REFUSED },
})
