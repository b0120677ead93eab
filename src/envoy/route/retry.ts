// Which failed requests are tried again. A rule's own `retry` beats a policy's; without either, only what cannot have
// reached an application is tried again, so that no request is carried out twice by surprise.
import { durationMs, type HTTPRouteRetry, type Retry } from '../../api/index.ts'
import type { HttpRule } from '../../mesh/http.ts'
import { extension, type Message } from '../../proto/types.ts'
import { positiveDuration, toDuration } from '../duration.ts'

type RetryPolicy = Message<'envoy.config.route.v3.RetryPolicy'>

/** Retries where nobody asked for any: of requests that were not sent, at another instance. Virtual hosts say it once for all routes. */
export const safeRetry = (): RetryPolicy => ({
  retry_on: 'connect-failure,refused-stream,reset-before-request',
  num_retries: 2,
  ...anotherHost(5),
})

/** For a rule: how often and when, and how long a single try may take. Undefined where its virtual host's policy will do. */
export function retryPolicy({ timeouts, retry, policy }: HttpRule): RetryPolicy | undefined {
  const perTry = timeouts?.backendRequest ?? (retry === undefined ? policy.retry?.perRetry?.timeout : undefined)
  const timeout = positiveDuration(perTry)
  const retries = retry ? ofRoute(retry) : policy.retry && ofPolicy(policy.retry)
  if (timeout === undefined) return retries
  return { ...(retries ?? safeRetry()), per_try_timeout: timeout }
}

/** HTTPRouteRetry: "implementations SHOULD retry on connection errors (disconnect, reset, timeout, TCP failure)". */
function ofRoute({ codes = [], attempts = 2, backoff }: HTTPRouteRetry): RetryPolicy {
  return {
    retry_on: [
      'connect-failure',
      'refused-stream',
      'reset',
      ...(codes.length > 0 ? ['retriable-status-codes'] : []),
    ].join(','),
    num_retries: Math.min(attempts, 4_294_967_295),
    ...anotherHost(5),
    ...(codes.length > 0 && { retriable_status_codes: codes }),
    // Envoy waits for a random time below its interval, the API wants `backoff` or more: it is so on average with twice as much
    ...(backoff !== undefined && durationMs(backoff) > 0 && { retry_back_off: backOff(2 * durationMs(backoff)) }),
  }
}

function ofPolicy({ numRetries, retryOn, perRetry, hostSelection }: Retry): RetryPolicy {
  // it must be said: nothing would mean the virtual host's policy
  if (numRetries === 0) return { num_retries: 0 }
  const codes = retryOn.triggers.includes('retriable-status-codes') ? (retryOn.httpStatusCodes ?? [503]) : []
  const { baseInterval, maxInterval } = perRetry?.backOff ?? {}
  return {
    retry_on: retryOn.triggers.join(','),
    num_retries: numRetries,
    ...(hostSelection.avoidPrevious && anotherHost(hostSelection.maxAttempts)),
    ...(codes.length > 0 && { retriable_status_codes: codes }),
    ...(baseInterval !== undefined && {
      retry_back_off: {
        base_interval: toDuration(baseInterval),
        ...(maxInterval !== undefined && { max_interval: toDuration(maxInterval) }),
      },
    }),
  }
}

const backOff = (milliseconds: number): RetryPolicy['retry_back_off'] => ({ base_interval: `${milliseconds / 1000}s` })

/** Not to an instance that failed the same request before, as long as another is found in so many draws. */
function anotherHost(attempts: number): RetryPolicy {
  return {
    retry_host_predicate: [
      extension(
        'envoy.retry_host_predicates.previous_hosts',
        'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
        {},
      ),
    ],
    host_selection_retry_max_attempts: attempts,
  }
}
