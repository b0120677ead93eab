// What the server knows of each discovery type: where it stands in the order of sending, and how the protocol treats it.
// Types that are not listed are served as well: last, and by the general rules.
import type { TypeName } from './source.ts'

const TYPE_URL_PREFIX = 'type.googleapis.com/'

export const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret'
export const CLUSTER = 'envoy.config.cluster.v3.Cluster'
export const ENDPOINTS = 'envoy.config.endpoint.v3.ClusterLoadAssignment'
export const EXTENSION = 'envoy.config.core.v3.TypedExtensionConfig'
export const LISTENER = 'envoy.config.listener.v3.Listener'
export const SCOPED_ROUTES = 'envoy.config.route.v3.ScopedRouteConfiguration'
export const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
export const VIRTUAL_HOST = 'envoy.config.route.v3.VirtualHost'
export const RUNTIME = 'envoy.service.runtime.v3.Runtime'

/** Make before break, as the xDS protocol page asks ("Eventual consistency considerations"); secrets before what uses them. */
const ORDER: readonly TypeName[] = [
  SECRET,
  CLUSTER,
  ENDPOINTS,
  EXTENSION,
  LISTENER,
  SCOPED_ROUTES,
  ROUTES,
  VIRTUAL_HOST,
  RUNTIME,
]

export interface TypeTraits {
  /** Place in the order of sending. */
  readonly rank: number
  /** State of the world: each response holds everything, and what is missing from it is removed. */
  readonly wholeState: boolean
  /** A client that asked for a name by itself keeps it when it vanishes: Envoy asks on demand once and never again. */
  readonly keptWhileSubscribed: boolean
  /** Each new version is followed by this type's resource of the same name, unless the resource says otherwise. */
  readonly followedBy: TypeName | undefined
  /** A bounded set of words for metrics. */
  readonly label: string
}

export function traitsOf(type: TypeName): TypeTraits {
  const place = ORDER.indexOf(type)
  return {
    rank: place < 0 ? ORDER.length : place,
    wholeState: type === LISTENER || type === CLUSTER,
    keptWhileSubscribed: type === CLUSTER,
    followedBy: type === CLUSTER ? ENDPOINTS : undefined,
    label: place < 0 ? 'other' : type.slice(type.lastIndexOf('.') + 1),
  }
}

export const typeUrlOf = (type: TypeName): string => TYPE_URL_PREFIX + type

/** Undefined for a URL of some other authority. */
export const typeOfUrl = (url: string): TypeName | undefined =>
  url.startsWith(TYPE_URL_PREFIX) ? url.slice(TYPE_URL_PREFIX.length) : undefined
