// The names of what Envoy is sent. A name alone says what a resource holds, so that a proxy which reconnects with nothing but
// names gets the same again. Written and read here and nowhere else.
import { parseSocketName, socketName } from '../mesh/model.ts'

export const LISTENER = 'envoy.config.listener.v3.Listener'
export const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
export const VIRTUAL_HOST = 'envoy.config.route.v3.VirtualHost'
export const CLUSTER = 'envoy.config.cluster.v3.Cluster'
export const ENDPOINTS = 'envoy.config.endpoint.v3.ClusterLoadAssignment'
export const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret'
export const EXTENSION = 'envoy.config.core.v3.TypedExtensionConfig'

/** Internal headers: what was dialled, and the mark of the second pass. They never leave the proxy. */
export const DST_HEADER = 'x-heddle-dst'
export const PASS_HEADER = 'x-heddle-pass'

/** ALPN that a mesh client offers; a server tells mesh TLS from an application's own by it, and HTTP from TCP. */
export const ALPN_HTTP = 'heddle-http'
export const ALPN_TCP = 'heddle-tcp'

export const OUTBOUND_PORT = 15001
export const INBOUND_PORT = 15006

export const OUTBOUND = 'outbound'
export const INBOUND = 'inbound'
/** The internal listener through which the very first request to a service with HTTP policy goes once more. */
export const AGAIN = 'again'
export const EXTERNAL = 'external'
/** Passes connections on to the address that was dialled. */
export const PASSTHROUGH = 'passthrough'
/** Nowhere: an endpoint-less cluster for what is refused. */
export const REFUSED = 'refused'

export const PLACEHOLDER_HOST = `${OUTBOUND}/placeholder`
export const REFUSED_HOST = `${OUTBOUND}/refused`

/** What the name of an outbound cluster says. */
export type ClusterName =
  /** Requests to an address: its instances, or the loop that finds its virtual host. */
  | { readonly kind: 'http'; readonly address: string; readonly port: number }
  /** Connections to an address. */
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  /** TLS connections to an address, by SNI. */
  | { readonly kind: 'tls'; readonly address: string; readonly port: number; readonly sni: string }
  /** Requests that a route of an address sends to a backend; `rule` where a policy of that rule shapes it. */
  | {
      readonly kind: 'backend'
      readonly address: string
      readonly port: number
      readonly backend: string
      readonly rule: RuleName | undefined
    }
  /** A host outside, by its name. */
  | { readonly kind: 'external'; readonly host: string; readonly port: number }

export interface RuleName {
  readonly kind: string
  /** Key of the route. */
  readonly key: string
  /** The rule's name or index. */
  readonly rule: string
}

export function formatClusterName(name: ClusterName): string {
  switch (name.kind) {
    case 'http':
      return socketName(name.address, name.port)
    case 'tcp':
      return `tcp|${socketName(name.address, name.port)}`
    case 'tls':
      return `tls|${socketName(name.address, name.port)}|${name.sni}`
    case 'backend': {
      const own = name.rule === undefined ? '' : `|${name.rule.kind}/${name.rule.key}/${name.rule.rule}`
      return `${socketName(name.address, name.port)}|${name.backend}${own}`
    }
    case 'external':
      return `external|${name.host}:${name.port}`
  }
}

export function parseClusterName(name: string): ClusterName | undefined {
  const [first = '', second, third] = name.split('|')
  if (first === 'tcp' || first === 'tls') {
    const dialled = parseSocketName(second ?? '')
    if (dialled === undefined) return undefined
    return first === 'tcp' ? { kind: 'tcp', ...dialled } : { kind: 'tls', ...dialled, sni: third ?? '' }
  }
  if (first === 'external') {
    // a Host may carry a port of its own; the one that was dialled stands last and counts
    const match = /^([^:]+)(?::\d+)?:(\d+)$/.exec(second ?? '')
    return match === null
      ? undefined
      : { kind: 'external', host: (match[1] ?? '').toLowerCase(), port: Number(match[2]) }
  }
  const dialled = parseSocketName(first)
  if (dialled === undefined) return undefined
  if (second === undefined) return { kind: 'http', ...dialled }
  return { kind: 'backend', ...dialled, backend: second, rule: third === undefined ? undefined : parseRule(third) }
}

function parseRule(text: string): RuleName | undefined {
  const [kind, namespace, name, rule] = text.split('/')
  return kind === undefined || name === undefined || rule === undefined
    ? undefined
    : { kind, key: `${namespace}/${name}`, rule }
}

export const virtualHostName = (address: string, port: number): string => `${OUTBOUND}/${socketName(address, port)}`

/** The address of a virtual host's name; undefined for the placeholder and the like. */
export function parseVirtualHostName(name: string): { address: string; port: number } | undefined {
  return name.startsWith(`${OUTBOUND}/`) ? parseSocketName(name.slice(OUTBOUND.length + 1)) : undefined
}

/** Route configuration and cluster of a declared port; `inbound` is those of all others. */
export const inboundName = (port: number): string => `${INBOUND}/${port}`

export function parseInboundName(name: string): number | undefined {
  const match = /^inbound\/(\d+)$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Listener of a workload's local port for a service. */
export const upstreamName = (port: number): string => `upstream/${port}`

export function parseUpstreamName(name: string): number | undefined {
  const match = /^upstream\/(\d+)$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Where the proxy's own connections to its application come from, so that interception can tell them; IPv6 must be added to `lo`. */
export const INBOUND_SOURCE = { ipv4: '127.0.0.6', ipv6: '::6' } as const
