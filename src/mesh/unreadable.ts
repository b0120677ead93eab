// Security policies that exist and cannot be read: they fail closed for whatever they may be about.
import { instanceTargets } from '../api/heddle/selector.ts'
import { type KindName, systemNamespace } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Unreadable } from '../catalog/unreadable.ts'
import { selectsWorkload } from './instances.ts'
import type { Workload } from './model.ts'

/**
 * Whether an unreadable policy of this kind may be about a workload. Targets that cannot be read either are taken for all of the
 * policy's namespace (for the whole mesh in the system namespace), and a namespace that cannot be read for any.
 */
export function concerns(catalog: Catalog, kind: KindName, workload: Workload): boolean {
  return [...catalog.unreadable(kind).all().values()].some((policy) => !isDryRun(policy) && isAbout(policy, workload))
}

function isAbout({ namespace, targetRefs }: Unreadable, workload: Workload): boolean {
  const here = namespace === undefined || namespace === workload.namespace
  const meshWide = namespace === undefined || namespace === systemNamespace
  const targets = instanceTargets.safeParse(targetRefs)
  if (!targets.success) return here || meshWide
  return targets.data.some((target) =>
    target.kind === 'Mesh' ? meshWide : here && (target.kind === 'Namespace' || selectsWorkload(target, workload)),
  )
}

/** Whatever else it says, it would have refused nothing. */
function isDryRun({ spec }: Unreadable): boolean {
  return typeof spec === 'object' && spec !== null && 'dryRun' in spec && spec.dryRun === true
}
