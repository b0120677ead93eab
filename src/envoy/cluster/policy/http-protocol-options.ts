// How requests use connections to instances. A port that is declared HTTP/2 gets HTTP/2; any other gets what the client of the
// proxy spoke, since nothing is known of what the server would take.
import type { Protocol } from '../../../mesh/model.ts'
import type { ConnectionPolicy } from '../../../mesh/policies.ts'
import { any, type Message } from '../../../proto/types.ts'
import { positiveDuration, toDuration } from '../../duration.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type CommonOptions = Message<'envoy.config.core.v3.HttpProtocolOptions'>
type Http2Options = Message<'envoy.config.core.v3.Http2ProtocolOptions'>

export const HTTP_PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

export function httpProtocolOptions(
  policy: Pick<ConnectionPolicy, 'timeout' | 'circuitBreaker' | 'http2'>,
  protocol: Protocol,
): Pick<Cluster, 'typed_extension_protocol_options'> {
  const common = commonOptions(policy)
  const http2 = http2Options(policy.http2)
  return {
    typed_extension_protocol_options: {
      [HTTP_PROTOCOL_OPTIONS]: any(HTTP_PROTOCOL_OPTIONS, {
        ...(Object.keys(common).length > 0 && { common_http_protocol_options: common }),
        ...(protocol === 'http2'
          ? { explicit_http_config: { http2_protocol_options: http2 } }
          : { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: http2 } }),
      }),
    },
  }
}

function commonOptions(policy: Pick<ConnectionPolicy, 'timeout' | 'circuitBreaker'>): CommonOptions {
  const idle = policy.timeout?.http?.connectionIdleTimeout
  const longest = positiveDuration(policy.timeout?.http?.maxConnectionDuration)
  const requests = policy.circuitBreaker?.maxRequestsPerConnection
  return {
    ...(idle !== undefined && { idle_timeout: toDuration(idle) }),
    ...(longest !== undefined && { max_connection_duration: longest }),
    ...(requests !== undefined && { max_requests_per_connection: requests }),
  }
}

function http2Options(http2: ConnectionPolicy['http2']): Http2Options {
  const { maxConcurrentStreams: streams, initialStreamWindowSize, initialConnectionWindowSize, keepalive } = http2 ?? {}
  const interval = positiveDuration(keepalive?.interval)
  return {
    ...(streams !== undefined && { max_concurrent_streams: streams }),
    ...(initialStreamWindowSize !== undefined && { initial_stream_window_size: initialStreamWindowSize }),
    ...(initialConnectionWindowSize !== undefined && { initial_connection_window_size: initialConnectionWindowSize }),
    ...(keepalive !== undefined &&
      interval !== undefined && {
        connection_keepalive: { interval, timeout: positiveDuration(keepalive.timeout) ?? '5s' },
      }),
  }
}
