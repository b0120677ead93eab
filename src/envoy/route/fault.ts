// Faults on purpose, and the one that stands for a backend that cannot be used: its share of a rule's requests is answered
// with an error, as Gateway API wants it, while the other backends keep theirs.
import { durationMs, type FaultInjection } from '../../api/index.ts'
import type { HttpRule } from '../../mesh/http.ts'
import { any } from '../../proto/types.ts'
import { toDuration } from '../duration.ts'
import { failureStatus, type PerFilter } from './decision.ts'
import { FAULT_FILTER } from './http-filters.ts'
import { fraction } from './fraction.ts'

const HTTP_FAULT = 'envoy.extensions.filters.http.fault.v3.HTTPFault'

/** Configuration of the fault filter for a route; nothing where nothing is injected. */
export function faults(injection: FaultInjection | undefined): PerFilter {
  const { delay, abort } = injection ?? {}
  const delays = delay !== undefined && durationMs(delay.fixedDelay) > 0
  if (!delays && abort === undefined) return {}
  return {
    [FAULT_FILTER]: any(HTTP_FAULT, {
      ...(delays && {
        delay: { fixed_delay: toDuration(delay.fixedDelay), percentage: fraction(delay.percentage, 100) },
      }),
      ...(abort && {
        abort: {
          ...(abort.grpcStatus === undefined ? { http_status: abort.httpStatus } : { grpc_status: abort.grpcStatus }),
          percentage: fraction(abort.percentage, 100),
        },
      }),
    }),
  }
}

/** Every request fails, without asking any backend. */
export function alwaysFails(rule: HttpRule): PerFilter {
  return {
    [FAULT_FILTER]: any(HTTP_FAULT, {
      abort: { http_status: failureStatus(rule), percentage: { numerator: 100, denominator: 'HUNDRED' } },
    }),
  }
}
