// The HTTP filters that outbound requests pass, switched on by what a virtual host says of a route: they stand in every
// connection manager with empty configurations, since a change of the chain itself would drain the listener.
import { extension, type Extension } from '../../proto/types.ts'

/** Names under which a route's `typed_per_filter_config` addresses the filters. */
export const CORS_FILTER = 'envoy.filters.http.cors'
export const FAULT_FILTER = 'envoy.filters.http.fault'
export const SESSION_FILTER = 'envoy.filters.http.stateful_session'

/**
 * In order: a preflight is answered whatever else; a fault comes before an instance is looked for.
 *
 * What asks for clusters on demand stands before what may hold a request: it looks at what was known of the cluster when the route was
 * chosen. If the cluster has come since, Envoy answers only the first that asks on each worker and leaves the others to wait for ever.
 */
export function requestFilters(onDemand: readonly Extension[] = []): readonly Extension[] {
  return [
    extension(CORS_FILTER, 'envoy.extensions.filters.http.cors.v3.Cors', {}),
    ...onDemand,
    extension(FAULT_FILTER, 'envoy.extensions.filters.http.fault.v3.HTTPFault', {}),
    extension(SESSION_FILTER, 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession', {}),
  ]
}
