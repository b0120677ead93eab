// Index tables over the catalog: which objects of a kind have a given property, kept up as objects change. A derivation that
// reads one row of an index depends on that row alone, so a change touches only those who asked about it.
import type { Catalog } from '../catalog/catalog.ts'
import type { KindName, ObjectOf } from '../api/index.ts'
import type { Graph, Table } from '../engine/graph.ts'

const NONE: readonly string[] = []

/** Reads as a sorted list of object keys; empty where there are none. */
export interface Index {
  get(property: string): readonly string[]
}

/** Indexes a kind by the properties that `propertiesOf` finds in an object. */
export function indexBy<K extends KindName>(
  graph: Graph,
  catalog: Catalog,
  kind: K,
  name: string,
  propertiesOf: (object: ObjectOf<K>, key: string) => Iterable<string>,
): Index {
  const rows: Table<readonly string[]> = graph.table(`${kind}.${name}`, sameKeys)
  const members = new Map<string, Set<string>>()
  const touched = new Set<string>()
  catalog.listen(kind, (key, before, after) => {
    const old = new Set(before === undefined ? NONE : propertiesOf(before, key))
    const now = new Set(after === undefined ? NONE : propertiesOf(after, key))
    for (const property of old) {
      if (now.has(property)) continue
      members.get(property)?.delete(key)
      touched.add(property)
    }
    for (const property of now) {
      if (old.has(property)) continue
      const keys = members.get(property)
      if (keys === undefined) members.set(property, new Set([key]))
      else keys.add(key)
      touched.add(property)
    }
  })
  // once for each batch of changes: a row that all objects are in is not sorted once for each of them
  catalog.listenChanges(() => {
    for (const property of touched) {
      const keys = members.get(property)
      if (keys === undefined || keys.size === 0) {
        members.delete(property)
        rows.delete(property)
      } else rows.set(property, [...keys].toSorted())
    }
    touched.clear()
  })
  return { get: (property) => rows.get(property) ?? NONE }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, at) => key === b[at])
}
