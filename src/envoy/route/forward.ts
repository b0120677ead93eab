// Requests on their way to backends: one, several by weight, the one that has the request's session, or none that is of use.
import { type Backend, backendName, type HttpMatch, type HttpRule } from '../../mesh/http.ts'
import { keyOf, splitKey } from '../../mesh/model.ts'
import type { Message } from '../../proto/types.ts'
import { toDuration } from '../duration.ts'
import { formatClusterName, REFUSED } from '../names.ts'
import { type Decision, failure } from './decision.ts'
import { alwaysFails } from './fault.ts'
import { backendFilters, type RuleFilters } from './filters.ts'
import { hashPolicies } from './hash-policy.ts'
import { type HeaderChanges, headerFields, hostOf, NO_CHANGES, thenChange } from './headers.ts'
import { mirrorPolicy } from './mirrors.ts'
import { pathChange, prefixOf, substitution } from './path.ts'
import { retryPolicy } from './retry.ts'
import { newSession, oldSessions, type Sessions } from './session.ts'

type RouteAction = Message<'envoy.config.route.v3.RouteAction'>
type ClusterWeight = Message<'envoy.config.route.v3.WeightedCluster.ClusterWeight'>

/** Where the requests were sent that a rule decides about. */
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
  /** Of the rule, then of the backend. */
  readonly headers: HeaderChanges
  readonly host: string | undefined
}

export function forward(rule: HttpRule, match: HttpMatch, filters: RuleFilters, dialled: Dialled): Decision[] {
  const targets = rule.backends.map((backend) => target(rule, backend, filters, dialled))
  const action = routeAction(rule, match, filters, dialled)
  const usable = new Map(targets.filter((each) => each.usable).map((each) => [each.backend.name, each]))
  const kept = oldSessions(rule, match.path, [...usable.keys()]).flatMap((session): Decision[] => {
    const holder = usable.get(session.backend)
    return holder ? [{ also: [session.match], ...toOne(holder, session, action) }] : []
  })
  const shares = targets.filter(({ backend }) => backend.weight > 0)
  const begin = ({ backend }: Target): Sessions | undefined => newSession(rule, match.path, backend.name)
  const [only, ...others] = shares
  if (only === undefined || shares.every((share) => !share.usable)) return [...kept, failure(rule)]
  return [...kept, others.length === 0 ? toOne(only, begin(only), action) : toSeveral(rule, shares, begin, action)]
}

function toOne({ cluster, host, headers }: Target, session: Sessions | undefined, action: RouteAction): Decision {
  return {
    does: { route: { cluster, ...hostRewrite(host), ...action } },
    headers: thenChange(headers, session?.headers ?? NO_CHANGES),
    ...(session && { perFilter: session.perFilter }),
  }
}

/** What the backends have in common stands with the route, what differs with each. */
function toSeveral(
  rule: HttpRule,
  shares: readonly Target[],
  begin: (share: Target) => Sessions | undefined,
  action: RouteAction,
): Decision {
  const all = shares.map((share) => {
    const session = begin(share)
    return { share, session, headers: thenChange(share.headers, session?.headers ?? NO_CHANGES) }
  })
  const headers = common(all.map((each) => each.headers))
  const host = common(all.map((each) => each.share.host))
  const clusters = all.map(({ share, session, headers: own }): ClusterWeight => {
    const weight = share.backend.weight
    if (!share.usable) return { name: REFUSED, weight, typed_per_filter_config: alwaysFails(rule) }
    return {
      name: share.cluster,
      weight,
      ...(host === undefined && hostRewrite(share.host)),
      ...(headers === undefined && headerFields(own)),
      ...(session && { typed_per_filter_config: session.perFilter }),
    }
  })
  return {
    does: { route: { weighted_clusters: { clusters }, ...hostRewrite(host), ...action } },
    ...(headers && { headers }),
  }
}

const hostRewrite = (host: string | undefined): RouteAction =>
  host === undefined ? {} : { host_rewrite_literal: host }

/** The value, if all are the same. */
function common<T>(values: readonly T[]): T | undefined {
  const first = JSON.stringify(values[0])
  return values.every((value) => JSON.stringify(value) === first) ? values[0] : undefined
}

function target(rule: HttpRule, backend: Backend, filters: RuleFilters, dialled: Dialled): Target {
  const own = backendFilters(backend.filters)
  return {
    backend,
    cluster: clusterOf(rule, backend.name, dialled),
    usable: backend.invalid === undefined && !own.unsupported,
    headers: thenChange(filters.headers, own.headers),
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
  const hashes = hashPolicies([rule.policy.loadBalancer, ...rule.backends].map((each) => each?.consistentHash))
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
