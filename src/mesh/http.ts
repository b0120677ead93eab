// HTTP routing of a Service's port: the rules of its HTTPRoutes or GRPCRoutes in the order in which they are tried, each with its
// backends resolved and the policies that apply to it. Names stay Gateway API's.
import type {
  ConsistentHash,
  GRPCRoute,
  GRPCRouteFilter,
  GRPCRouteMatch,
  HTTPRoute,
  HTTPRouteFilter,
  HTTPRouteMatch,
  HTTPRouteRetry,
  HTTPRouteTimeouts,
  SessionPersistence,
} from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import type { Frontends } from './frontend.ts'
import { keyOf, type PortRef, splitKey } from './model.ts'
import type { Policies, RoutePolicy, RuleRef } from './policies.ts'
import { sameJson } from './same.ts'
import type { Services } from './services.ts'

export interface HttpMatch {
  readonly path: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string }
  readonly method: string | undefined
  readonly headers: readonly {
    readonly type: 'Exact' | 'RegularExpression'
    readonly name: string
    readonly value: string
  }[]
  readonly queryParams: readonly {
    readonly type: 'Exact' | 'RegularExpression'
    readonly name: string
    readonly value: string
  }[]
}

export type HttpFilter = HTTPRouteFilter | GRPCRouteFilter

/** Where a share of a rule's requests goes. */
export interface Backend {
  /** `name.namespace:port`, as it stands in cluster names and statistics. */
  readonly name: string
  readonly weight: number
  /** Why it cannot be used; undefined for a good one. */
  readonly invalid: string | undefined
  readonly filters: readonly HttpFilter[]
  /** What its instances are chosen by, where that is a hash: the route computes it. */
  readonly consistentHash?: ConsistentHash
}

export interface HttpRule {
  readonly kind: 'HTTPRoute' | 'GRPCRoute'
  /** Key of the route. */
  readonly route: string
  /** Name of the rule, or its index in the route. */
  readonly rule: string
  readonly filters: readonly HttpFilter[]
  readonly backends: readonly Backend[]
  /** Backends of mirror filters, by `name.namespace:port`. */
  readonly mirrors: Readonly<Record<string, string | undefined>>
  readonly timeouts: HTTPRouteTimeouts | undefined
  readonly retry: HTTPRouteRetry | undefined
  readonly sessionPersistence: SessionPersistence | undefined
  readonly policy: RoutePolicy
  /** A policy attached to the rule or its route says how its connections behave: its clusters are its own. */
  readonly ownClusters: boolean
}

/** One match of one rule; the list of all of them is tried from the first to the last. */
export interface HttpEntry {
  readonly match: HttpMatch
  /** Its place in the rule, which says for people which match it is. */
  readonly index: number
  readonly rule: HttpRule
}

/** The HTTP policy of a Service's port; undefined where requests simply go to its instances. */
export interface HttpFrontend {
  readonly service: string
  readonly port: number
  /** False where no route is attached: then `entries` is one match for everything, to the Service itself. */
  readonly routed: boolean
  readonly entries: readonly HttpEntry[]
}

const ANY: HttpMatch = { path: { type: 'PathPrefix', value: '/' }, method: undefined, headers: [], queryParams: [] }

/** By `service key:port|client namespace`, as `Frontends.attached`. */
export function buildHttp(
  graph: Graph,
  catalog: Catalog,
  services: Services,
  frontends: Frontends,
  policies: Policies,
): Reader<HttpFrontend | undefined> {
  const httpRoutes = catalog.table('HTTPRoute')
  const grpcRoutes = catalog.table('GRPCRoute')
  const tcpRoutes = catalog.table('TCPRoute')

  const backend = (ref: BackendRef, namespace: string): { name: string; invalid: string | undefined } => {
    const key = keyOf(ref.namespace ?? namespace, ref.name)
    const name = backendName(key, ref.port ?? 0)
    if (ref.group !== '' || ref.kind !== 'Service')
      return { name, invalid: `${ref.kind} is not a kind of backend; expected a Service` }
    const service = services.service.get(key)
    if (service === undefined) return { name, invalid: `Service ${key} does not exist` }
    if (!service.ports.some((port) => port.port === ref.port))
      return { name, invalid: `Service ${key} has no port ${ref.port}` }
    return { name, invalid: undefined }
  }

  const hashOf = (rule: RuleRef | undefined, frontend: PortRef, name: string): Pick<Backend, 'consistentHash'> => {
    const port = parseBackendName(name)
    const hash = port && policies.connection(rule, frontend, port).loadBalancer?.consistentHash
    return hash === undefined ? {} : { consistentHash: hash }
  }

  const ruleOf = (
    kind: HttpRule['kind'],
    route: string,
    id: string,
    rule: HTTPRoute['spec']['rules'][number] | GRPCRoute['spec']['rules'][number],
    service: string,
    port: number,
  ): HttpRule => {
    const { namespace } = splitKey(route)
    const ref: RuleRef = { kind, key: route, rule: rule.name }
    const mirrors: Record<string, string | undefined> = {}
    for (const { requestMirror } of rule.filters) {
      if (requestMirror === undefined) continue
      const { name, invalid } = backend(requestMirror.backendRef, namespace)
      mirrors[name] = invalid
    }
    return {
      kind,
      route,
      rule: id,
      filters: rule.filters,
      backends: rule.backendRefs.map((to) => {
        const resolved = backend(to, namespace)
        const hash = hashOf(ref, { service, port }, resolved.name)
        return { ...resolved, weight: to.weight, filters: to.filters ?? [], ...hash }
      }),
      mirrors,
      timeouts: 'timeouts' in rule ? rule.timeouts : undefined,
      retry: 'retry' in rule ? rule.retry : undefined,
      sessionPersistence: rule.sessionPersistence,
      policy: policies.route(ref, service, port),
      ownClusters: policies.ownsClusters(ref),
    }
  }

  return graph.derive<HttpFrontend | undefined>(
    'mesh.http',
    (key) => {
      const bar = key.lastIndexOf('|')
      const colon = key.lastIndexOf(':', bar)
      const service = key.slice(0, colon)
      const port = Number(key.slice(colon + 1, bar))
      const attached = frontends.attached.get(key)
      if (attached?.kind === 'HTTPRoute') {
        const entries: HttpEntry[] = []
        for (const route of attached.keys)
          for (const { id, rule } of identified(httpRoutes.get(route)?.spec.rules ?? [])) {
            const resolved = ruleOf('HTTPRoute', route, id, rule, service, port)
            for (const [at, match] of rule.matches.entries())
              entries.push({ match: httpMatch(match), index: at, rule: resolved })
          }
        return { service, port, routed: true, entries: entries.toSorted(byHttpPrecedence) }
      }
      if (attached?.kind === 'GRPCRoute') {
        const entries: (HttpEntry & { rank: readonly number[] })[] = []
        for (const route of attached.keys)
          for (const { id, rule } of identified(grpcRoutes.get(route)?.spec.rules ?? [])) {
            const resolved = ruleOf('GRPCRoute', route, id, rule, service, port)
            const matches = rule.matches.length > 0 ? rule.matches : [{ headers: [] }]
            for (const [at, match] of matches.entries())
              entries.push({ match: grpcMatch(match), index: at, rule: resolved, rank: grpcRank(match) })
          }
        return {
          service,
          port,
          routed: true,
          entries: entries
            .toSorted((a, b) => byRank(a.rank, b.rank))
            .map(({ match, index, rule }) => ({ match, index, rule })),
        }
      }
      // TCP and TLS routes take connections, not requests; the Service's own policies may still speak of requests
      const policy = policies.route(undefined, service, port)
      if (!policy.speaks) return undefined
      const [connections = ''] = attached?.kind === 'TCPRoute' ? attached.keys : []
      const split = tcpRoutes.get(connections)?.spec.rules[0]?.backendRefs
      const itself: Backend = { name: backendName(service, port), weight: 1, invalid: undefined, filters: [] }
      const rule: HttpRule = {
        kind: 'HTTPRoute',
        route: service,
        rule: '',
        filters: [],
        backends: split?.map((ref) => {
          const resolved = backend(ref, splitKey(connections).namespace)
          return {
            ...resolved,
            weight: ref.weight,
            filters: [],
            ...hashOf(undefined, { service, port }, resolved.name),
          }
        }) ?? [itself],
        mirrors: {},
        timeouts: undefined,
        retry: undefined,
        sessionPersistence: undefined,
        policy,
        ownClusters: false,
      }
      return { service, port, routed: false, entries: [{ match: ANY, index: 0, rule }] }
    },
    sameJson,
  )
}

/** Rules by their names, or by their indexes; where a name looks like another's index, that index is written apart from all names. */
function identified<R extends { readonly name?: string | undefined }>(
  rules: readonly R[],
): readonly { readonly id: string; readonly rule: R }[] {
  const names = new Set(rules.map(({ name }) => name))
  return rules.map((rule, index) => {
    const position = names.has(String(index)) ? `[${index}]` : String(index)
    return { id: rule.name ?? position, rule }
  })
}

interface BackendRef {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string | undefined
  readonly port?: number | undefined
}

/** `name.namespace:port`: what a backend is called in cluster names and statistics. */
export function backendName(service: string, port: number): string {
  const { namespace, name } = splitKey(service)
  return `${name}.${namespace}:${port}`
}

/** The reverse of `backendName`: the key of the Service and its port. */
export function parseBackendName(name: string): { service: string; port: number } | undefined {
  const match = /^([^.|]+)\.([^.:|]+):(\d+)$/.exec(name)
  return match === null ? undefined : { service: keyOf(match[2] ?? '', match[1] ?? ''), port: Number(match[3]) }
}

function httpMatch(match: HTTPRouteMatch): HttpMatch {
  return {
    path: match.path,
    method: match.method,
    headers: firstOfEach(match.headers),
    queryParams: firstOfEach(match.queryParams),
  }
}

/** Equal names: the first counts, the others are ignored (HTTPHeaderMatch.name, HTTPQueryParamMatch.name). */
function firstOfEach<T extends { readonly name: string }>(list: readonly T[]): readonly T[] {
  const seen = new Set<string>()
  return list.filter(({ name }) => !seen.has(name.toLowerCase()) && seen.add(name.toLowerCase()))
}

/** A gRPC call is a POST to `/package.Service/Method` (gRPC over HTTP/2, "Requests"). */
function grpcMatch(match: GRPCRouteMatch | { headers: [] }): HttpMatch {
  const wanted = 'method' in match ? match.method : undefined
  const { service, method } = wanted ?? {}
  const path = ((): HttpMatch['path'] => {
    if (wanted === undefined) return ANY.path
    if (wanted.type === 'RegularExpression')
      return {
        type: 'RegularExpression',
        value: `/${service === undefined ? '[^/]+' : `(?:${service})`}/${method === undefined ? '[^/]+' : `(?:${method})`}`,
      }
    if (service !== undefined && method !== undefined) return { type: 'Exact', value: `/${service}/${method}` }
    if (service !== undefined) return { type: 'PathPrefix', value: `/${service}/` }
    return { type: 'RegularExpression', value: `/[^/]+/${method ?? '[^/]+'}` }
  })()
  return { path, method: undefined, headers: firstOfEach(match.headers), queryParams: [] }
}

/** HTTPRouteRule: exact path, longest prefix, method, most headers, most query parameters; then the older route, then the order. */
function byHttpPrecedence(a: HttpEntry, b: HttpEntry): number {
  return byRank(httpRank(a.match), httpRank(b.match))
}

const PATH_RANK = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const

function httpRank(match: HttpMatch): readonly number[] {
  return [
    PATH_RANK[match.path.type],
    -match.path.value.length,
    match.method === undefined ? 1 : 0,
    -match.headers.length,
    -match.queryParams.length,
  ]
}

/**
 * GRPCRouteRule: most characters of a matching service, then of a matching method, then most headers. Of a regular expression it is not
 * known how many characters it matches: it comes after a name and before none.
 */
function grpcRank(match: GRPCRouteMatch | { headers: [] }): readonly number[] {
  const { type, service, method } = ('method' in match ? match.method : undefined) ?? {}
  const rank = (name: string | undefined): readonly number[] =>
    name === undefined ? [2, 0] : [type === 'RegularExpression' ? 1 : 0, -name.length]
  return [...rank(service), ...rank(method), -match.headers.length]
}

function byRank(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const difference = value - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
