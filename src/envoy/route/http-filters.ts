// The HTTP filters that outbound requests pass, switched on by what a virtual host says of a route: they stand in every
// connection manager with empty configurations, since a change of the chain itself would drain the listener.
import { extension, type Extension } from '../../proto/types.ts'

/** Names under which a route's `typed_per_filter_config` addresses the filters. */
export const CORS_FILTER = 'envoy.filters.http.cors'
export const FAULT_FILTER = 'envoy.filters.http.fault'
export const SESSION_FILTER = 'envoy.filters.http.stateful_session'

/** In order: a preflight is answered whatever else; a fault comes before an instance is looked for. */
export function requestFilters(): readonly Extension[] {
  return [
    extension(CORS_FILTER, 'envoy.extensions.filters.http.cors.v3.Cors', {}),
    extension(FAULT_FILTER, 'envoy.extensions.filters.http.fault.v3.HTTPFault', {}),
    extension(SESSION_FILTER, 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession', {}),
  ]
}
