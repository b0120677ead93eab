// Security policies that exist and cannot be read: they fail closed for whatever they may be about.
import { type KindName, systemNamespace } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Workload } from './model.ts'

/**
 * Whether an unreadable policy of this kind may be about a workload. Targets that cannot be read either are taken for all of the
 * policy's namespace, and a namespace that cannot be read for the whole mesh.
 */
export function concerns(catalog: Catalog, kind: KindName, workload: Workload): boolean {
  for (const policy of catalog.unreadable(kind).all().values()) {
    if (policy.namespace === undefined || policy.namespace === workload.namespace) return true
    const meshWide = (policy.targetRefs ?? []).some((target) => kindOf(target) === 'Mesh')
    if (policy.namespace === systemNamespace && (meshWide || policy.targetRefs === undefined)) return true
  }
  return false
}

function kindOf(target: unknown): unknown {
  return typeof target === 'object' && target !== null && 'kind' in target ? target.kind : undefined
}
