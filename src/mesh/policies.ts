// Traffic policies in effect. A stanza is taken whole from the nearest object that sets it: route rule, route, Service port,
// Service, what the Service says of its clients' affinity, namespace, mesh; what the route itself says about timeouts, retries and persistence beats any policy.
import type { TrafficPolicy } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { systemNamespace } from '../api/index.ts'
import { byAge } from './age.ts'
import { type Lookup, targetRow } from './lookup.ts'
import { type PortRef, splitKey, type Workload } from './model.ts'
import { sameJson } from './same.ts'
import type { Settings } from './settings.ts'
import type { Services } from './services.ts'

export type Stanzas = Omit<TrafficPolicy['spec'], 'targetRefs'>
export type Stanza = keyof Stanzas

/** Stanzas about requests: they need a virtual host. */
const REQUEST = ['timeout', 'retry', 'faultInjection'] as const satisfies readonly Stanza[]
/** Stanzas about connections to instances: they shape a cluster. */
const CONNECTION = [
  'loadBalancer',
  'timeout',
  'retry',
  'circuitBreaker',
  'healthCheck',
  'tcpKeepalive',
  'http2',
] as const satisfies readonly Stanza[]

export type RequestPolicy = { readonly [S in (typeof REQUEST)[number]]?: Stanzas[S] }
export type ConnectionPolicy = { readonly [S in (typeof CONNECTION)[number]]?: Stanzas[S] }

/** What speaks of the requests of a rule, or of a port without rules. */
export interface RoutePolicy extends RequestPolicy {
  readonly loadBalancer?: Stanzas['loadBalancer']
  /** True where something here can only be done by a virtual host of its own. */
  readonly speaks: boolean
}

export interface RuleRef {
  readonly kind: string
  readonly key: string
  readonly rule: string | undefined
}

export interface Policies {
  /** For requests to a Service's port, by a rule or by none. */
  route(rule: RuleRef | undefined, service: string, port: number): RoutePolicy
  /** For connections to `backend`, reached through `frontend` (the same where nothing splits) and perhaps a rule. */
  connection(rule: RuleRef | undefined, frontend: PortRef, backend: PortRef): ConnectionPolicy
  /** For connections to one instance that was dialled by its own address. */
  instance(namespace: string): ConnectionPolicy
  /** For connections to the hosts of an ExternalService. */
  external(key: string, port: number): ConnectionPolicy
  /** A policy on the rule or its route shapes clusters, which then are the rule's own. */
  ownsClusters(rule: RuleRef): boolean
  /** The rate limit in effect on a port of an instance: of the first Service, by key, that leads there and has one. */
  rateLimit(workload: Workload, port: number): Stanzas['rateLimit']
}

/** What `sessionAffinity: ClientIP` of a Service means where no policy on it or on a route says how to balance. */
const CLIENT_AFFINITY: Stanzas = { loadBalancer: { type: 'RingHash', consistentHash: { type: 'SourceIP' } } }

export function buildPolicies(
  graph: Graph,
  catalog: Catalog,
  lookup: Lookup,
  services: Services,
  settings: Reader<Settings>,
): Policies {
  const table = catalog.table('TrafficPolicy')

  // by `row of policiesByTarget#section`: the stanzas that the policies of one target set, the older winning
  const attached = graph.derive<Stanzas>(
    'mesh.policy',
    (key) => {
      const hash = key.lastIndexOf('#')
      const row = key.slice(0, hash)
      const section = key.slice(hash + 1)
      const keys = lookup.policiesByTarget.TrafficPolicy.get(row)
      const stanzas: Record<string, unknown> = {}
      for (const policy of keys.toSorted((a, b) => byAge(table.get(a)?.metadata, a, table.get(b)?.metadata, b))) {
        const { namespace } = splitKey(policy)
        const spec = table.get(policy)?.spec
        if (spec === undefined) continue
        const { targetRefs, ...own } = spec
        const meant = targetRefs.some(
          (target) =>
            targetRow(namespace, target) === row &&
            (target.sectionName ?? '') === section &&
            (target.kind !== 'Mesh' || namespace === systemNamespace),
        )
        if (!meant) continue
        for (const [stanza, value] of Object.entries(own)) if (value !== undefined) stanzas[stanza] ??= value
      }
      return stanzas
    },
    sameJson,
  )

  const ofRule = (rule: RuleRef | undefined): string[] => {
    if (rule === undefined) return []
    const row = `${rule.kind}/${rule.key}#`
    return rule.rule === undefined ? [row] : [row + rule.rule, row]
  }
  const ofPort = ({ service, port }: PortRef): string[] => {
    const name = services.service.get(service)?.ports.find((candidate) => candidate.port === port)?.name
    const row = `Service/${service}#`
    return name === undefined || name === '' ? [row + String(port), row] : [row + name, row + String(port), row]
  }
  const affinityOf = (service: string): Stanzas =>
    services.service.get(service)?.clientAffinity === undefined ? {} : CLIENT_AFFINITY
  const around = (key: string): string[] => [`Namespace//${splitKey(key).namespace}#`, 'Mesh//default#']

  /** A chain has the keys of `attached`, and stanzas that no policy sets. */
  const pick = <S extends Stanza>(
    chain: readonly (string | Stanzas)[],
    wanted: readonly S[],
  ): { [K in S]?: Stanzas[K] } => {
    const found: { [K in S]?: Stanzas[K] } = {}
    const defaults = settings.get('').defaults
    for (const stanza of wanted) {
      for (const row of chain) {
        const value = (typeof row === 'string' ? attached.get(row) : row)[stanza]
        if (value === undefined) continue
        found[stanza] = value
        break
      }
      const fallback = found[stanza] ?? defaults[stanza]
      if (fallback !== undefined) found[stanza] = fallback
    }
    return found
  }

  return {
    route(rule, service, port) {
      const port_ = { service, port }
      const chain = [...ofRule(rule), ...ofPort(port_), affinityOf(service), ...around(service)]
      const found = pick(chain, [...REQUEST, 'loadBalancer'])
      const speaks =
        found.retry !== undefined ||
        found.faultInjection !== undefined ||
        found.timeout?.http?.requestTimeout !== undefined ||
        found.timeout?.http?.streamIdleTimeout !== undefined ||
        found.timeout?.http?.maxStreamDuration !== undefined ||
        found.loadBalancer?.consistentHash !== undefined
      return { ...found, speaks }
    },
    connection(rule, frontend, backend) {
      const same = frontend.service === backend.service && frontend.port === backend.port
      const chain = [
        ...ofRule(rule),
        ...ofPort(backend),
        ...(same ? [] : ofPort(frontend)),
        affinityOf(backend.service),
        ...(same ? [] : [affinityOf(frontend.service)]),
        ...around(backend.service),
      ]
      return pick(chain, CONNECTION)
    },
    instance(namespace) {
      return pick(around(`${namespace}/`), CONNECTION)
    },
    external(key, port) {
      const name = catalog
        .table('ExternalService')
        .get(key)
        ?.spec.ports.find((own) => own.port === port)?.name
      const row = `ExternalService/${key}#`
      return pick([...(name === undefined ? [] : [row + name]), row + String(port), row, ...around(key)], CONNECTION)
    },
    ownsClusters(rule) {
      return ofRule(rule).some((row) => CONNECTION.some((stanza) => attached.get(row)[stanza] !== undefined))
    },
    rateLimit(workload, port) {
      const { namespace } = workload
      const limited =
        settings.get('').defaults.rateLimit !== undefined ||
        [namespace, systemNamespace].some((own) => lookup.rateLimitsByNamespace.get(own).length > 0)
      if (!limited) return undefined
      for (const service of lookup.servicesByNamespace.get(namespace))
        for (const own of services.service.get(service)?.ports ?? []) {
          const leadsHere = services.endpoints
            .get(`${service}:${own.port}`)
            .some((endpoint) => endpoint.workload === workload.key && endpoint.port === port)
          const found = leadsHere
            ? pick([...ofPort({ service, port: own.port }), ...around(service)], ['rateLimit'])
            : {}
          if (found.rateLimit !== undefined) return found.rateLimit
        }
      return undefined
    },
  }
}
