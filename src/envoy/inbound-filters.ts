// The inbound side's filters and what they do. The listener holds them empty; their work comes with routes and extension
// discovery, so that a change of policy drains no connection.
import type { RateLimit } from '../api/index.ts'
import type { Authorization } from '../mesh/authorization.ts'
import { any, type Extension, type Message } from '../proto/types.ts'
import { localRateLimitFilters, localRateLimits } from './filters/rate-limit.ts'
import { HTTP_RBAC_ALLOW, HTTP_RBAC_DENY, httpRbac, httpRbacFilters, networkRbac } from './filters/rbac.ts'
import { ADS } from './messages.ts'

type NetworkFilter = Message<'envoy.config.listener.v3.Filter'>
type TypedExtensionConfig = Message<'envoy.config.core.v3.TypedExtensionConfig'>

const NETWORK_RBAC = 'envoy.extensions.filters.network.rbac.v3.RBAC'

/** Names under which the network filters' work is asked for. */
export const TCP_DENY = 'rbac-tcp-deny'
export const TCP_ALLOW = 'rbac-tcp-allow'

export const inboundHttpFilters = (): Extension[] => [...httpRbacFilters(), ...localRateLimitFilters()]

/** Until their work has come they let nothing pass: a listener waits for it. */
export const networkRbacFilters = (): NetworkFilter[] =>
  [TCP_DENY, TCP_ALLOW].map((name) => ({
    name,
    config_discovery: {
      config_source: { ...ADS, initial_fetch_timeout: '0s' },
      type_urls: [`type.googleapis.com/${NETWORK_RBAC}`],
    },
  }))

/** The work of one network filter, by its name. */
export function networkRbacConfig(
  name: string,
  authorization: Authorization,
  trustDomain: string,
): TypedExtensionConfig | undefined {
  const rbac = networkRbac(authorization, { trustDomain })
  const message = name === TCP_DENY ? rbac.deny : name === TCP_ALLOW ? rbac.allow : undefined
  return message && { name, typed_config: any(NETWORK_RBAC, message) }
}

export interface InboundRoutesOptions {
  readonly name: string
  readonly authorization: Authorization
  readonly trustDomain: string
  readonly rateLimit: RateLimit | undefined
}

/** Requests that came in: authorised, limited, and passed on to the application. */
export function inboundRoutes(options: InboundRoutesOptions): Message<'envoy.config.route.v3.RouteConfiguration'> {
  const { name } = options
  const rbac = httpRbac(options.authorization, { trustDomain: options.trustDomain })
  const perRoute = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute'
  return {
    name,
    virtual_hosts: [
      {
        name,
        domains: ['*'],
        routes: [{ name, match: { prefix: '/' }, route: { cluster: name, timeout: '0s' } }],
        typed_per_filter_config: {
          [HTTP_RBAC_DENY]: any(perRoute, { rbac: rbac.deny }),
          [HTTP_RBAC_ALLOW]: any(perRoute, { rbac: rbac.allow }),
          ...(options.rateLimit && localRateLimits(options.rateLimit)),
        },
      },
    ],
  }
}
