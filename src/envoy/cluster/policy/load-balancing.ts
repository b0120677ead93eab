// How an instance is chosen. The hash that RingHash and Maglev need is computed by the route; zones become priorities and weights
// of endpoints (`locality.ts`).
import type { HealthCheck } from '../../../api/heddle/traffic/health-check.ts'
import type { ConsistentHash, LoadBalancer } from '../../../api/heddle/traffic/load-balancer.ts'
import { durationMs } from '../../../api/duration.ts'
import type { Message } from '../../../proto/types.ts'
import { toDuration } from '../../duration.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type SlowStart = NonNullable<NonNullable<Cluster['round_robin_lb_config']>['slow_start_config']>

export type LoadBalancing = Pick<
  Cluster,
  | 'lb_policy'
  | 'round_robin_lb_config'
  | 'least_request_lb_config'
  | 'ring_hash_lb_config'
  | 'maglev_lb_config'
  | 'common_lb_config'
>

export function loadBalancing(
  loadBalancer: LoadBalancer | undefined,
  health: HealthCheck | undefined,
  localityWeighted: boolean,
): LoadBalancing {
  const panic = health?.panicThreshold
  const weighted = localityWeighted || loadBalancer?.zoneAware?.preferLocal !== undefined
  const common = {
    ...(panic !== undefined && { healthy_panic_threshold: { value: panic } }),
    ...(weighted && { locality_weighted_lb_config: {} }),
    // Envoy gathers changes of health for a second, in which requests go on to instances that it knows to be broken
    ...((health?.active ?? health?.passive) !== undefined && { update_merge_window: '0.1s' as const }),
  }
  return { ...algorithm(loadBalancer), ...(Object.keys(common).length > 0 && { common_lb_config: common }) }
}

function algorithm(loadBalancer: LoadBalancer | undefined): LoadBalancing {
  const slowStart = slowStartConfig(loadBalancer?.slowStart)
  switch (loadBalancer?.type) {
    case undefined:
    case 'LeastRequest': {
      const choices = loadBalancer?.leastRequest?.choiceCount
      const config = {
        ...(choices !== undefined && { choice_count: choices }),
        ...(slowStart && { slow_start_config: slowStart }),
      }
      return { lb_policy: 'LEAST_REQUEST', ...(Object.keys(config).length > 0 && { least_request_lb_config: config }) }
    }
    case 'RoundRobin':
      return { lb_policy: 'ROUND_ROBIN', ...(slowStart && { round_robin_lb_config: { slow_start_config: slowStart } }) }
    case 'Random':
      return { lb_policy: 'RANDOM' }
    case 'RingHash':
      return { lb_policy: 'RING_HASH', ...ringSizes(loadBalancer.consistentHash) }
    case 'Maglev': {
      const size = loadBalancer.consistentHash?.tableSize
      return { lb_policy: 'MAGLEV', ...(size !== undefined && { maglev_lb_config: { table_size: size } }) }
    }
  }
}

/** Envoy's own bounds of a ring: 1024 entries at least, 8 Mi at most. One bound alone must not cross the other's default. */
function ringSizes(hash: ConsistentHash | undefined): LoadBalancing {
  const maximum = hash?.maximumRingSize
  const minimum = hash?.minimumRingSize ?? (maximum !== undefined && maximum < 1024 ? maximum : undefined)
  if (minimum === undefined && maximum === undefined) return {}
  return {
    ring_hash_lb_config: {
      ...(minimum !== undefined && { minimum_ring_size: minimum }),
      ...(maximum !== undefined && { maximum_ring_size: maximum }),
    },
  }
}

function slowStartConfig(slowStart: LoadBalancer['slowStart']): SlowStart | undefined {
  if (slowStart === undefined || durationMs(slowStart.window) === 0) return undefined
  return {
    slow_start_window: toDuration(slowStart.window),
    // a runtime key is required; nobody sets it
    ...(slowStart.aggression !== 1 && {
      aggression: { default_value: slowStart.aggression, runtime_key: 'heddle.slow_start_aggression' },
    }),
    min_weight_percent: { value: slowStart.minWeightPercent },
  }
}
