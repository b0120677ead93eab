// Ejection of instances whose requests fail. Everything that is not asked for is switched off by name, since Envoy's defaults
// eject by success rate as well, and by a percentage that no policy mentions.
import type { PassiveHealthCheck } from '../../../api/heddle/traffic/health-check.ts'
import type { Message } from '../../../proto/types.ts'
import { positiveDuration, toDuration } from '../../duration.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

export function outlierDetection(passive: PassiveHealthCheck | undefined): Pick<Cluster, 'outlier_detection'> {
  if (passive === undefined) return {}
  const longest = positiveDuration(passive.maxEjectionTime)
  const split = passive.splitExternalLocalOriginErrors
  const serverErrors = passive.consecutive5XxErrors
  const gatewayErrors = passive.consecutiveGatewayErrors
  const localFailures = passive.consecutiveLocalOriginFailures
  return {
    outlier_detection: {
      ...(serverErrors > 0 && { consecutive_5xx: serverErrors }),
      enforcing_consecutive_5xx: enforcing(serverErrors),
      ...(gatewayErrors > 0 && { consecutive_gateway_failure: gatewayErrors }),
      enforcing_consecutive_gateway_failure: enforcing(gatewayErrors),
      ...(split && {
        split_external_local_origin_errors: true,
        ...(localFailures > 0 && { consecutive_local_origin_failure: localFailures }),
        enforcing_consecutive_local_origin_failure: enforcing(localFailures),
        enforcing_local_origin_success_rate: 0,
      }),
      enforcing_success_rate: 0,
      enforcing_failure_percentage: 0,
      interval: toDuration(passive.interval),
      base_ejection_time: toDuration(passive.baseEjectionTime),
      ...(longest !== undefined && { max_ejection_time: longest }),
      max_ejection_percent: passive.maxEjectionPercent,
      // of a few instances ten per cent is none
      always_eject_one_host: true,
      // an ejection lasts as long as it says, though a health check that asks something else succeeds
      successful_active_health_check_uneject_host: false,
    },
  }
}

/** Per cent of the ejections that happen: all, or with a count of 0 none. */
const enforcing = (count: number): number => (count > 0 ? 100 : 0)
