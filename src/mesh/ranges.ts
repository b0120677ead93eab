// The ranges whose addresses take the on-demand path: what the settings say, and the addresses of Services and Workloads that lie
// outside of that, each by itself. An address that the mesh knows never bypasses it because a range was forgotten.
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader, Table } from '../engine/graph.ts'
import { canonicalAddress } from './address.ts'
import { serviceAddresses } from './lookup.ts'
import { sameJson } from './same.ts'
import { contains, meshRanges, type Settings, singleRange } from './settings.ts'

/** By the empty key; sorted. */
export function buildRanges(graph: Graph, catalog: Catalog, settings: Reader<Settings>): Reader<readonly string[]> {
  const outside: Table<true> = graph.table('mesh.outside')
  /** How many objects have an address. */
  const known = new Map<string, number>()
  const touched = new Set<string>()
  let rangesChanged = false
  const count = (addresses: readonly string[], by: 1 | -1): void => {
    for (const address of addresses) {
      const left = (known.get(address) ?? 0) + by
      if (left > 0) known.set(address, left)
      else known.delete(address)
      touched.add(address)
    }
  }
  catalog.listen('Service', (_, before, after) => {
    if (before !== undefined) count(serviceAddresses(before.spec), -1)
    if (after !== undefined) count(serviceAddresses(after.spec), 1)
  })
  catalog.listen('Workload', (_, before, after) => {
    if (before?.spec.address !== undefined) count([canonicalAddress(before.spec.address)], -1)
    if (after?.spec.address !== undefined) count([canonicalAddress(after.spec.address)], 1)
  })
  catalog.listen('Mesh', () => {
    rangesChanged = true
  })
  // in proportion to what changed: only new ranges make everything be looked at again
  catalog.listenChanges(() => {
    const ranges = meshRanges(settings.get(''))
    for (const address of rangesChanged ? new Set([...known.keys(), ...touched]) : touched) {
      if (known.has(address) && !contains(ranges, address)) outside.set(address, true)
      else outside.delete(address)
    }
    touched.clear()
    rangesChanged = false
  })
  return graph.derive(
    'mesh.ranges',
    () => {
      const single = [...outside.all().keys()].map(singleRange)
      return [...new Set([...meshRanges(settings.get('')), ...single])].toSorted()
    },
    sameJson,
  )
}
