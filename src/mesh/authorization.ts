// Who may reach an instance: every AuthorizationPolicy that applies to it, by action. DENY comes first; with an ALLOW policy the rest
// is refused; without one, the mesh's default decides. A policy that cannot be read denies everything it may be about.
import type { AuthorizationPolicy, AuthorizationRule } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { policiesOf } from './instances.ts'
import type { Lookup } from './lookup.ts'
import { splitKey, type Workload } from './model.ts'
import { sameJson } from './same.ts'
import type { Settings } from './settings.ts'
import { concerns } from './unreadable.ts'

export interface AuthorizationRules {
  /** Key of the policy. */
  readonly policy: string
  readonly namespace: string
  readonly rules: readonly AuthorizationRule[]
}

export interface Authorization {
  readonly deny: readonly AuthorizationRules[]
  readonly allow: readonly AuthorizationRules[]
  /** Policies that only count and log. */
  readonly dryRunDeny: readonly AuthorizationRules[]
  readonly dryRunAllow: readonly AuthorizationRules[]
  /** What happens to what no policy speaks of, where there is no ALLOW policy. */
  readonly fallback: 'Allow' | 'Deny'
  /** A policy about this instance cannot be read: nothing passes. */
  readonly unreadable: boolean
}

/** By key of the workload. */
export function buildAuthorization(
  graph: Graph,
  catalog: Catalog,
  lookup: Lookup,
  workloads: Reader<Workload | undefined>,
  settings: Reader<Settings>,
): Reader<Authorization> {
  const table = catalog.table('AuthorizationPolicy')
  return graph.derive<Authorization>(
    'mesh.authorization',
    (key) => {
      const workload = workloads.get(key)
      const fallback = settings.get('').authorization.default
      const found =
        workload === undefined ? [] : policiesOf(lookup, 'AuthorizationPolicy', (policy) => table.get(policy), workload)
      const specs = [...new Set(found.map((policy) => policy.key))].toSorted()
      const of = (action: AuthorizationPolicy['spec']['action'], dryRun: boolean): AuthorizationRules[] =>
        specs.flatMap((policy) => {
          const spec = table.get(policy)?.spec
          return spec?.action === action && spec.dryRun === dryRun
            ? [{ policy, namespace: splitKey(policy).namespace, rules: spec.rules }]
            : []
        })
      return {
        deny: of('DENY', false),
        allow: of('ALLOW', false),
        dryRunDeny: of('DENY', true),
        dryRunAllow: of('ALLOW', true),
        fallback,
        unreadable: workload !== undefined && concerns(catalog, 'AuthorizationPolicy', workload),
      }
    },
    sameJson,
  )
}
