// Everything that a workload's Envoy would be sent if it used all that it can see, as it was authored: what `heddle render` prints and
// what golden files hold. Nothing runs; identities stand in for themselves.
import { collectorClusters } from './envoy/collectors.ts'
import type { Core } from './core.ts'
import {
  AGAIN,
  CLUSTER,
  ENDPOINTS,
  EXTENSION,
  EXTERNAL,
  INBOUND,
  inboundName,
  LISTENER,
  OUTBOUND,
  PASSTHROUGH,
  PLACEHOLDER_HOST,
  REFUSED,
  ROUTES,
  upstreamName,
  VIRTUAL_HOST,
} from './envoy/names.ts'
import { TCP_ALLOW, TCP_DENY } from './envoy/inbound-filters.ts'
import type { View } from './envoy/view.ts'
import { visibleClusters, visibleVirtualHosts } from './envoy/visible.ts'

/** By type, in the order in which Envoy needs them; names are sorted within a type. */
export interface Rendered {
  readonly clusters: readonly unknown[]
  readonly endpoints: readonly unknown[]
  readonly listeners: readonly unknown[]
  readonly routes: readonly unknown[]
  readonly virtual_hosts: readonly unknown[]
  readonly extensions: readonly unknown[]
}

export interface RenderOptions {
  /** Only resources whose name this accepts. */
  readonly only?: (type: string, name: string) => boolean
  /** What the application dials besides Services: `address:port`, as of an instance, `address:port sni`; or the name of a cluster. */
  readonly destinations?: readonly string[]
}

export function render(core: Core, view: View, options: RenderOptions = {}): Rendered {
  const { mesh, resources } = core
  const workload = mesh.services.workload.get(view.workload)
  const redirected = view.interception === 'Redirect'
  const rendered = new Map<string, Map<string, unknown>>()
  const waiting: { readonly type: string; readonly name: string }[] = []
  const want = (type: string, names: readonly string[]): void => {
    for (const name of names) waiting.push({ type, name })
  }
  const ports = (workload?.ports ?? []).map(({ port }) => inboundName(port))
  want(LISTENER, [...(redirected ? [OUTBOUND] : []), ...(view.stateOfTheWorld ? [] : [AGAIN]), INBOUND])
  want(
    LISTENER,
    (workload?.upstreams ?? []).map(({ localPort }) => upstreamName(localPort)),
  )
  want(ROUTES, [OUTBOUND, EXTERNAL, ...(redirected ? [INBOUND] : []), ...ports])
  want(EXTENSION, [TCP_DENY, TCP_ALLOW])
  want(CLUSTER, [PASSTHROUGH, REFUSED, ...(redirected ? [INBOUND] : []), ...ports])
  want(
    CLUSTER,
    collectorClusters(mesh.settings.get('')).flatMap(({ name }) => name ?? []),
  )
  want(CLUSTER, visibleClusters(mesh, view.namespace, view.stateOfTheWorld))
  want(CLUSTER, (options.destinations ?? []).flatMap(namesOf))
  if (!view.stateOfTheWorld) want(VIRTUAL_HOST, [PLACEHOLDER_HOST, ...visibleVirtualHosts(mesh, view.namespace)])
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { type, name } = next
    const known = rendered.get(type) ?? new Map<string, unknown>()
    rendered.set(type, known)
    if (known.has(name)) continue
    const authored = resources.authored(type, name, view)
    known.set(name, authored?.message)
    for (const needed of authored?.requires ?? []) waiting.push(needed)
    if (type === CLUSTER && isEds(authored?.message)) want(ENDPOINTS, [name])
  }
  const of = (type: string): unknown[] =>
    [...(rendered.get(type) ?? [])]
      .filter(([name, message]) => message !== undefined && (options.only?.(type, name) ?? true))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, message]) => message)
  return {
    clusters: of(CLUSTER),
    endpoints: of(ENDPOINTS),
    listeners: of(LISTENER),
    routes: of(ROUTES),
    virtual_hosts: of(VIRTUAL_HOST),
    extensions: of(EXTENSION),
  }
}

function namesOf(destination: string): string[] {
  if (destination.includes('|')) return [destination]
  const [socket = '', sni] = destination.split(' ')
  return sni === undefined ? [socket, `tcp|${socket}`] : [`tls|${socket}|${sni}`]
}

function isEds(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'EDS'
}
