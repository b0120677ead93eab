// Limits of a client towards a destination. What is not set is without limit: Envoy's own default of 1024 would make a proxy refuse
// what the application alone would not have. Retries are the exception, since they multiply in a storm: a budget bounds them.
import type { CircuitBreaker } from '../../../api/heddle/traffic/circuit-breaker.ts'
import type { Retry } from '../../../api/heddle/traffic/retry.ts'
import type { Message } from '../../../proto/types.ts'

type Thresholds = Message<'envoy.config.cluster.v3.CircuitBreakers.Thresholds'>

const NO_LIMIT = 4_294_967_295
const BUDGET = { percent: 20, minRetryConcurrency: 10 }

/** For requests of default priority; no route gives another. */
export function circuitBreakers(
  limits: CircuitBreaker | undefined,
  retry: Retry | undefined,
): Message<'envoy.config.cluster.v3.CircuitBreakers'> {
  return {
    thresholds: [
      {
        max_connections: limits?.maxConnections ?? NO_LIMIT,
        max_pending_requests: limits?.maxPendingRequests ?? NO_LIMIT,
        max_requests: limits?.maxParallelRequests ?? NO_LIMIT,
        ...retries(limits?.maxParallelRetries, retry?.budget),
      },
    ],
  }
}

/** Envoy ignores `max_retries` where there is a budget, so there is one of the two. */
function retries(limit: number | undefined, budget: Retry['budget']): Thresholds {
  if (budget === undefined && limit !== undefined) return { max_retries: limit }
  const { percent, minRetryConcurrency } = budget ?? BUDGET
  return { retry_budget: { budget_percent: { value: percent }, min_retry_concurrency: minRetryConcurrency } }
}
