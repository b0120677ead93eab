// One match of a rule as Envoy routes: usually one, more where Envoy needs the request told apart further.
import { type Backend, backendName, type HttpMatch, type HttpRule } from '../../mesh/http.ts'
import { keyOf, splitKey } from '../../mesh/model.ts'
import type { Any, Message } from '../../proto/types.ts'
import { toDuration } from '../duration.ts'
import { formatClusterName, REFUSED } from '../names.ts'
import { corsPolicy } from './cors.ts'
import { alwaysFails, failureStatus, faults } from './fault.ts'
import { backendFilters, type RuleFilters, ruleFilters } from './filters.ts'
import { hashPolicies } from './hash-policy.ts'
import { type HeaderChanges, headerFields, hostOf, thenChange } from './headers.ts'
import { type HeaderMatcher, type RouteMatch, routeMatch } from './match.ts'
import { mirrorPolicy } from './mirrors.ts'
import { pathChange, substitution } from './path.ts'
import { redirections } from './redirect.ts'
import { retryPolicy } from './retry.ts'
import { newSession, oldSessions, type Sessions } from './session.ts'

export type Route = Message<'envoy.config.route.v3.Route'>
type RouteAction = Message<'envoy.config.route.v3.RouteAction'>
type ClusterWeight = Message<'envoy.config.route.v3.WeightedCluster.ClusterWeight'>
type PerFilter = Readonly<Record<string, Any>>

/** Where the requests come from that a rule decides. */
export interface Dialled {
  readonly address: string
  readonly port: number
  /** Port of the Service; another than `port` where an address stands for it locally. */
  readonly servicePort: number
}

/** A backend, and what is done with requests on their way to it. */
interface Target {
  readonly backend: Backend
  readonly cluster: string
  readonly usable: boolean
  /** Of the rule and of the backend. */
  readonly headers: HeaderChanges
  readonly host: string | undefined
}

/** Who decided, for logs and `/config_dump`. */
export interface Decided {
  readonly name: string
  readonly by: { readonly route: string; readonly rule: string } | { readonly service: string }
}

export function ruleRoutes(rule: HttpRule, match: HttpMatch, decided: Decided, dialled: Dialled): Route[] {
  const filters = ruleFilters(rule.filters)
  const base: RouteMatch = routeMatch(match, rule.kind === 'GRPCRoute')
  const perFilter: PerFilter = { ...corsPolicy(filters.cors), ...faults(rule.policy.faultInjection) }
  const route = (also: HeaderMatcher | undefined, own: Route, headers: HeaderChanges, more: PerFilter = {}): Route => ({
    name: decided.name,
    match: also === undefined ? base : { ...base, headers: [...(base.headers ?? []), also] },
    ...own,
    ...perFilterField({ ...perFilter, ...more }),
    ...headerFields(headers),
    metadata: { filter_metadata: { heddle: decided.by } },
  })

  if (filters.unsupported) return [route(undefined, failure(rule), filters.headers)]
  if (filters.redirect) {
    const answers = { request: [], response: filters.headers.response }
    return redirections(filters.redirect, prefixOf(match), dialled.servicePort).map(({ redirect, also }) =>
      route(also, { redirect }, answers),
    )
  }

  const targets = rule.backends.map((backend) => target(rule, backend, filters, dialled))
  const positive = targets.filter(({ backend }) => backend.weight > 0)
  const common = routeAction(rule, match, filters, dialled)
  const direct = ({ cluster, host, headers }: Target, session: Sessions | undefined, also?: HeaderMatcher): Route =>
    route(
      also,
      { route: { cluster, ...(host !== undefined && { host_rewrite_literal: host }), ...common } },
      session ? thenChange(headers, session.headers) : headers,
      session?.perFilter,
    )

  const usable = new Map(targets.filter((each) => each.usable).map((each) => [each.cluster, each]))
  const kept = oldSessions(
    rule,
    match.path,
    [...usable.values()].map(({ backend }) => backend.name),
  ).flatMap((session) => {
    const holder = [...usable.values()].find(({ backend }) => backend.name === session.backend)
    return holder ? [direct(holder, session, session.match)] : []
  })
  const [only, ...others] = positive
  if (only === undefined || positive.every((each) => !each.usable))
    return [...kept, route(undefined, failure(rule), filters.headers)]
  if (others.length === 0) return [...kept, direct(only, newSession(rule, match.path, only.backend.name))]
  return [...kept, split(positive)]

  /** Several backends: what they have in common stands with the route, what differs with each. */
  function split(shares: readonly Target[]): Route {
    const sessions = shares.map(({ backend }) => newSession(rule, match.path, backend.name))
    const own = shares.map(({ headers }, at) => thenChange(headers, sessions[at]?.headers ?? NO_CHANGES))
    const alike = own.every((changes) => JSON.stringify(changes) === JSON.stringify(own[0]))
    const host = shares.every((share) => share.host === shares[0]?.host) ? shares[0]?.host : undefined
    const clusters = shares.map((share, at): ClusterWeight => {
      if (!share.usable)
        return { name: REFUSED, weight: share.backend.weight, typed_per_filter_config: alwaysFails(rule) }
      return {
        name: share.cluster,
        weight: share.backend.weight,
        ...(host === undefined && share.host !== undefined && { host_rewrite_literal: share.host }),
        ...(!alike && headerFields(own[at] ?? NO_CHANGES)),
        ...perFilterField(sessions[at]?.perFilter ?? {}),
      }
    })
    const action = {
      weighted_clusters: { clusters },
      ...(host !== undefined && { host_rewrite_literal: host }),
      ...common,
    }
    return route(undefined, { route: action }, alike ? (own[0] ?? NO_CHANGES) : NO_CHANGES)
  }
}

const NO_CHANGES: HeaderChanges = { request: [], response: [] }

function target(rule: HttpRule, backend: Backend, filters: RuleFilters, dialled: Dialled): Target {
  const own = backendFilters(backend.filters)
  const headers = thenChange(filters.headers, own.headers)
  return {
    backend,
    cluster: clusterOf(rule, backend.name, dialled),
    usable: backend.invalid === undefined && !own.unsupported,
    headers,
    host: hostOf(own.headers.request) ?? filters.rewrite?.hostname ?? hostOf(filters.headers.request),
  }
}

function clusterOf(rule: HttpRule, backend: string, { address, port }: Dialled): string {
  const own = rule.ownClusters ? { kind: rule.kind, key: rule.route, rule: rule.rule } : undefined
  return formatClusterName({ kind: 'backend', address, port, backend, rule: own })
}

/** What is the same whichever backend takes the request. */
function routeAction(rule: HttpRule, match: HttpMatch, filters: RuleFilters, dialled: Dialled): RouteAction {
  const { requestTimeout, streamIdleTimeout, maxStreamDuration } = rule.policy.timeout?.http ?? {}
  const timeout = rule.timeouts?.request ?? requestTimeout
  const retry = retryPolicy(rule)
  const hashes = hashPolicies(rule.policy.loadBalancer?.consistentHash)
  const mirrors = filters.mirrors.flatMap((mirror) => {
    const { namespace = splitKey(rule.route).namespace, name, port = 0 } = mirror.backendRef
    const backend = backendName(keyOf(namespace, name), port)
    // an invalid mirror is dropped (HTTPRequestMirrorFilter.backendRef)
    if (!(backend in rule.mirrors) || rule.mirrors[backend] !== undefined) return []
    return mirrorPolicy(mirror, clusterOf(rule, backend, dialled)) ?? []
  })
  return {
    ...rewrite(filters, match),
    // Envoy's default of 15 s would cut what nobody asked to be cut
    timeout: timeout === undefined ? '0s' : toDuration(timeout),
    ...(streamIdleTimeout !== undefined && { idle_timeout: toDuration(streamIdleTimeout) }),
    ...(maxStreamDuration !== undefined && {
      max_stream_duration: { max_stream_duration: toDuration(maxStreamDuration) },
    }),
    ...(retry && { retry_policy: retry }),
    ...(mirrors.length > 0 && { request_mirror_policies: mirrors }),
    ...(hashes.length > 0 && { hash_policy: hashes }),
  }
}

function rewrite(filters: RuleFilters, match: HttpMatch): RouteAction {
  const change = pathChange(filters.rewrite?.path, prefixOf(match))
  switch (change?.kind) {
    case 'full':
      return { regex_rewrite: substitution('^/.*$', change.path) }
    case 'literal':
      return { prefix_rewrite: change.prefix }
    case 'pattern':
      return { regex_rewrite: change.pattern }
    case undefined:
      return {}
  }
}

const prefixOf = ({ path }: HttpMatch): string | undefined => (path.type === 'PathPrefix' ? path.value : undefined)

const failure = (rule: HttpRule): Route => ({
  direct_response: {
    status: failureStatus(rule),
    body: {
      inline_string: `${rule.kind} ${rule.route}, rule ${rule.rule}: no backend can be used; its status says why\n`,
    },
  },
})

const perFilterField = (filters: PerFilter): { readonly typed_per_filter_config?: PerFilter } =>
  Object.keys(filters).length > 0 ? { typed_per_filter_config: filters } : {}
