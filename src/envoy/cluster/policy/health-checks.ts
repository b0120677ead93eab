// Active health checks. They go over the same transport as requests do: Envoy chooses the transport socket of a check by the
// endpoint's metadata, as for any connection, unless `transport_socket_match_criteria` says otherwise. So an instance that speaks
// mesh TLS is asked over mesh TLS, ALPN included, and one without in plaintext, and nothing about it is written here.
import type { ActiveHealthCheck } from '../../../api/heddle/traffic/health-check.ts'
import type { Protocol } from '../../../mesh/model.ts'
import type { Message } from '../../../proto/types.ts'
import { positiveDuration, toDuration } from '../../duration.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type HealthCheck = Message<'envoy.config.core.v3.HealthCheck'>
type Payload = Message<'envoy.config.core.v3.HealthCheck.Payload'>
type ExpectedPayload = NonNullable<NonNullable<ActiveHealthCheck['tcp']>['send']>

export function healthChecks(
  active: ActiveHealthCheck | undefined,
  context: { readonly protocol: Protocol; readonly hostname: string },
): Pick<Cluster, 'health_checks' | 'ignore_health_on_host_removal'> {
  if (active === undefined) return {}
  const jitter = positiveDuration(active.initialJitter)
  return {
    health_checks: [
      {
        timeout: toDuration(active.timeout),
        interval: toDuration(active.interval),
        // Envoy asks an idle cluster once a minute. The first check comes before the first request, and so the second a minute later
        no_traffic_interval: toDuration(active.interval),
        ...(jitter !== undefined && { initial_jitter: jitter }),
        // clients that learn of an instance at the same moment do not ask it at the same moment for ever
        interval_jitter_percent: 10,
        unhealthy_threshold: active.unhealthyThreshold,
        healthy_threshold: active.healthyThreshold,
        ...checker(active, context),
      },
    ],
    // an instance that discovery has removed is gone, however healthy: by default Envoy keeps it until a check fails
    ignore_health_on_host_removal: true,
  }
}

function checker(
  active: ActiveHealthCheck,
  { protocol, hostname }: { readonly protocol: Protocol; readonly hostname: string },
): HealthCheck {
  switch (active.type) {
    case 'HTTP': {
      const { path = '/', method = 'GET', expectedStatuses = [200], expectedResponse } = active.http ?? {}
      return {
        http_health_check: {
          host: active.http?.hostname ?? hostname,
          path,
          ...(method !== 'GET' && { method }),
          expected_statuses: ranges(expectedStatuses),
          // any other status counts towards the threshold; by default it takes the instance out at once
          retriable_statuses: [{ start: 100, end: 600 }],
          ...(expectedResponse !== undefined && { receive: [payload(expectedResponse)] }),
          ...(protocol === 'http2' && { codec_client_type: 'HTTP2' as const }),
        },
      }
    }
    case 'TCP': {
      const { send, receive } = active.tcp ?? {}
      return {
        tcp_health_check: {
          ...(send !== undefined && { send: payload(send) }),
          ...(receive !== undefined && { receive: [payload(receive)] }),
        },
      }
    }
    case 'GRPC': {
      const service = active.grpc?.service ?? ''
      return { grpc_health_check: { ...(service !== '' && { service_name: service }), authority: hostname } }
    }
  }
}

/** Statuses as half-open ranges, neighbours joined. */
function ranges(statuses: readonly number[]): { start: number; end: number }[] {
  const joined: { start: number; end: number }[] = []
  for (const status of statuses.toSorted((a, b) => a - b)) {
    const last = joined.at(-1)
    if (last !== undefined && last.end === status) last.end = status + 1
    else joined.push({ start: status, end: status + 1 })
  }
  return joined
}

/** Envoy takes payloads in hexadecimal. */
function payload({ type, text = '', binary = '' }: ExpectedPayload): Payload {
  const bytes = type === 'Text' ? Buffer.from(text, 'utf8') : Buffer.from(binary, 'base64')
  return { text: bytes.toString('hex') }
}
