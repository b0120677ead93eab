// What a traffic policy makes of a cluster: everything about connections to instances, and nothing about where these are or how
// they are secured. The policy has been decided on before (`src/mesh/policies.ts`); here it only becomes Envoy's words.
import type { Protocol } from '../../../mesh/model.ts'
import type { ConnectionPolicy } from '../../../mesh/policies.ts'
import type { Duration, Message } from '../../../proto/types.ts'
import { positiveDuration } from '../../duration.ts'
import { circuitBreakers } from './circuit-breakers.ts'
import { healthChecks } from './health-checks.ts'
import { httpProtocolOptions } from './http-protocol-options.ts'
import { type LoadBalancing, loadBalancing } from './load-balancing.ts'
import { outlierDetection } from './outlier-detection.ts'
import { tcpKeepalive } from './tcp-keepalive.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

export interface ConnectionContext {
  /** Whether the cluster carries requests; otherwise it carries connections. */
  readonly http: boolean
  /** What the instances speak. */
  readonly protocol: Protocol
  /** What active health checks over HTTP and gRPC ask for where the policy names no host. */
  readonly hostname: string
  /** Whether the weights of localities count: where they split traffic, or where zones are preferred by share. */
  readonly localityWeighted?: boolean
}

/** Fields of a cluster that a policy decides. They never overlap with discovery, endpoints, TLS or names. */
export type ConnectionSettings = LoadBalancing &
  Pick<
    Cluster,
    | 'connect_timeout'
    | 'circuit_breakers'
    | 'outlier_detection'
    | 'health_checks'
    | 'ignore_health_on_host_removal'
    | 'upstream_connection_options'
    | 'typed_extension_protocol_options'
  >

/** An instance in the same network answers well within this, or it is gone. */
export const CONNECT_TIMEOUT: Duration = '2s'

export function connectionSettings(policy: ConnectionPolicy, context: ConnectionContext): ConnectionSettings {
  return {
    connect_timeout: positiveDuration(policy.timeout?.tcp?.connectTimeout) ?? CONNECT_TIMEOUT,
    ...loadBalancing(policy.loadBalancer, policy.healthCheck, context.localityWeighted ?? false),
    circuit_breakers: circuitBreakers(policy.circuitBreaker, policy.retry),
    ...outlierDetection(policy.healthCheck?.passive),
    ...healthChecks(policy.healthCheck?.active, context),
    ...tcpKeepalive(policy.tcpKeepalive),
    // Envoy takes no gRPC health check for a cluster that does not say HTTP/2, whatever it carries besides
    ...(context.http
      ? httpProtocolOptions(policy, context.protocol)
      : policy.healthCheck?.active?.type === 'GRPC' && httpProtocolOptions(policy, 'http2')),
  }
}
