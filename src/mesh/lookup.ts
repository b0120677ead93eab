// Every index that the model asks the catalog with, in one place.
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph } from '../engine/graph.ts'
import { canonicalAddress } from './address.ts'
import { type Index, indexBy } from './index-by.ts'
import { keyOf, splitKey } from './model.ts'

export interface Lookup {
  /** Services by virtual address. */
  readonly servicesByAddress: Index
  /** EndpointSlices by Service key. */
  readonly slicesByService: Index
  /** Workloads by address. */
  readonly workloadsByAddress: Index
  /** Workloads by `namespace|label=value`, and all of a namespace by `namespace|`. */
  readonly workloadsByLabel: Index
  /** Routes of each kind by the key of a parent Service. */
  readonly routesByParent: Readonly<Record<RouteKind, Index>>
  /** Routes of each kind by their own namespace, where it routes Services of another one for itself. */
  readonly consumerRoutes: Readonly<Record<RouteKind, Index>>
  /** Policies by what they target: `Kind/namespace/name`; for label selectors `Pod/namespace/`. */
  readonly policiesByTarget: Readonly<Record<PolicyKind, Index>>
  /** ExternalServices by namespace. */
  readonly externalsByNamespace: Index
  /** Services by namespace; all of them under `*`. */
  readonly servicesByNamespace: Index
  /** TrafficPolicies that limit rates, by namespace. */
  readonly rateLimitsByNamespace: Index
  /** ReferenceGrants by the namespace that grants. */
  readonly grantsByNamespace: Index
  /** EnvoyPatches by namespace. */
  readonly patchesByNamespace: Index
}

export const ROUTE_KINDS = ['GRPCRoute', 'HTTPRoute', 'TLSRoute', 'TCPRoute'] as const
export type RouteKind = (typeof ROUTE_KINDS)[number]
export const POLICY_KINDS = ['TrafficPolicy', 'AuthorizationPolicy', 'MeshTLS'] as const
export type PolicyKind = (typeof POLICY_KINDS)[number]

interface TargetRef {
  readonly group?: string | undefined
  readonly kind: string
  readonly name?: string | undefined
}

/** The row of `policiesByTarget` for one target of a policy in `namespace`. */
export function targetRow(namespace: string, target: TargetRef): string {
  if (target.kind === 'Mesh') return 'Mesh//default'
  if (target.kind === 'Namespace') return `Namespace//${namespace}`
  if (target.kind === 'Pod' || target.kind === 'Workload') return `Pod/${namespace}/${target.name ?? ''}`
  return `${target.kind}/${namespace}/${target.name ?? ''}`
}

export function buildLookup(graph: Graph, catalog: Catalog): Lookup {
  const namespaceOf = (key: string): string => splitKey(key).namespace
  const route = (kind: RouteKind): Index =>
    indexBy(graph, catalog, kind, 'parent', function* (object, key) {
      for (const parent of object.spec.parentRefs ?? [])
        if (parent.kind === 'Service' && (parent.group ?? '') === '')
          yield keyOf(parent.namespace ?? namespaceOf(key), parent.name)
    })
  const consumer = (kind: RouteKind): Index =>
    indexBy(graph, catalog, kind, 'consumer', (object, key) => {
      const own = namespaceOf(key)
      const elsewhere = object.spec.parentRefs.some(
        (parent) => parent.kind === 'Service' && (parent.namespace ?? own) !== own,
      )
      return elsewhere ? [own] : []
    })
  const policy = (kind: PolicyKind): Index =>
    indexBy(graph, catalog, kind, 'target', function* (object, key) {
      for (const target of object.spec.targetRefs) yield targetRow(namespaceOf(key), target)
    })
  return {
    servicesByAddress: indexBy(graph, catalog, 'Service', 'address', (service) => serviceAddresses(service.spec)),
    slicesByService: indexBy(graph, catalog, 'EndpointSlice', 'service', function* (slice, key) {
      const service = slice.metadata.labels?.['kubernetes.io/service-name']
      if (service !== undefined) yield keyOf(namespaceOf(key), service)
    }),
    workloadsByAddress: indexBy(graph, catalog, 'Workload', 'address', function* (workload) {
      if (workload.spec.address !== undefined) yield canonicalAddress(workload.spec.address)
    }),
    workloadsByLabel: indexBy(graph, catalog, 'Workload', 'label', function* (workload, key) {
      yield `${namespaceOf(key)}|`
      for (const [label, value] of Object.entries(workload.metadata.labels ?? {}))
        yield `${namespaceOf(key)}|${label}=${value}`
    }),
    routesByParent: {
      GRPCRoute: route('GRPCRoute'),
      HTTPRoute: route('HTTPRoute'),
      TLSRoute: route('TLSRoute'),
      TCPRoute: route('TCPRoute'),
    },
    consumerRoutes: {
      GRPCRoute: consumer('GRPCRoute'),
      HTTPRoute: consumer('HTTPRoute'),
      TLSRoute: consumer('TLSRoute'),
      TCPRoute: consumer('TCPRoute'),
    },
    policiesByTarget: {
      TrafficPolicy: policy('TrafficPolicy'),
      AuthorizationPolicy: policy('AuthorizationPolicy'),
      MeshTLS: policy('MeshTLS'),
    },
    externalsByNamespace: indexBy(graph, catalog, 'ExternalService', 'namespace', (_, key) => [namespaceOf(key)]),
    servicesByNamespace: indexBy(graph, catalog, 'Service', 'namespace', (_, key) => [namespaceOf(key), '*']),
    rateLimitsByNamespace: indexBy(graph, catalog, 'TrafficPolicy', 'rateLimit', (policy, key) =>
      policy.spec.rateLimit === undefined ? [] : [namespaceOf(key)],
    ),
    grantsByNamespace: indexBy(graph, catalog, 'ReferenceGrant', 'namespace', (_, key) => [namespaceOf(key)]),
    patchesByNamespace: indexBy(graph, catalog, 'EnvoyPatch', 'namespace', (_, key) => [namespaceOf(key)]),
  }
}

/** The virtual addresses of a Service; none where it is headless or a name. */
export function serviceAddresses(spec: {
  readonly clusterIP?: string | undefined
  readonly clusterIPs?: readonly string[] | undefined
}): string[] {
  const all = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP])
  return all.filter((address) => address !== '' && address !== 'None').map(canonicalAddress)
}
