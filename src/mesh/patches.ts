// The EnvoyPatches in effect for a workload's proxy. They count only in namespaces that the Mesh lists, and those of a namespace
// only for its own workloads; mesh-wide ones come from the system namespace.
import { type EnvoyPatch, type ResourcePatch, systemNamespace } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { byAge } from './age.ts'
import { selectsWorkload } from './instances.ts'
import type { Lookup } from './lookup.ts'
import { splitKey, type Workload } from './model.ts'
import { sameJson } from './same.ts'
import type { Settings } from './settings.ts'

/** One EnvoyPatch, as far as it is about a workload. */
export interface PatchInEffect {
  /** Key of the EnvoyPatch. */
  readonly object: string
  readonly patches: readonly ResourcePatch[]
}

/** By key of the workload, in the order in which they are applied: by priority, then the older first. */
export function buildPatches(
  graph: Graph,
  catalog: Catalog,
  lookup: Lookup,
  workloads: Reader<Workload | undefined>,
  settings: Reader<Settings>,
): Reader<readonly PatchInEffect[]> {
  const table = catalog.table('EnvoyPatch')
  return graph.derive<readonly PatchInEffect[]>(
    'mesh.patches',
    (key) => {
      const workload = workloads.get(key)
      if (workload === undefined) return []
      const { allowedNamespaces } = settings.get('').envoyPatch
      return [...new Set([workload.namespace, systemNamespace])]
        .filter((namespace) => allowedNamespaces.includes('*') || allowedNamespaces.includes(namespace))
        .flatMap((namespace) => lookup.patchesByNamespace.get(namespace))
        .flatMap((object) => {
          const found = table.get(object)
          return found !== undefined && isAbout(found, splitKey(object).namespace, workload) ? [{ object, found }] : []
        })
        .toSorted(
          (a, b) =>
            a.found.spec.priority - b.found.spec.priority ||
            byAge(a.found.metadata, a.object, b.found.metadata, b.object),
        )
        .map(({ object, found }) => ({ object, patches: found.spec.patches }))
    },
    sameJson,
  )
}

function isAbout({ spec }: EnvoyPatch, namespace: string, workload: Workload): boolean {
  return spec.targetRefs.some((target) => {
    if (target.kind === 'Mesh') return namespace === systemNamespace
    if (namespace !== workload.namespace) return false
    return target.kind === 'Namespace' || selectsWorkload(target, workload)
  })
}
