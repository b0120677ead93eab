// What becomes of requests that match: the part of an Envoy route that is about one way they can go.
import type { HttpRule } from '../../mesh/http.ts'
import type { Any, Message } from '../../proto/types.ts'
import type { HeaderChanges } from './headers.ts'
import type { HeaderMatcher } from './match.ts'

export type Route = Message<'envoy.config.route.v3.Route'>

/** Configurations of filters by their names. */
export type PerFilter = Readonly<Record<string, Any>>

export interface Decision {
  /** What the request must look like besides. */
  readonly also?: readonly HeaderMatcher[]
  readonly does: Pick<Route, 'route' | 'redirect' | 'direct_response'>
  readonly headers?: HeaderChanges
  readonly perFilter?: PerFilter
}

/** Status for requests that no usable backend takes: 500, which for gRPC is 503, that is `UNAVAILABLE` (GRPCRouteRule.backendRefs). */
export const failureStatus = (rule: HttpRule): number => (rule.kind === 'GRPCRoute' ? 503 : 500)

/** All requests of the rule fail. */
export function failure(rule: HttpRule): Decision {
  const text = `${rule.kind} ${rule.route}, rule ${rule.rule}: no backend can be used; its status says why\n`
  return { does: { direct_response: { status: failureStatus(rule), body: { inline_string: text } } } }
}
