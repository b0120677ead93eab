// A set that mostly holds one: there is one for each cell of the graph, and a Set of one takes 200 bytes.

/** Undefined where it is empty. */
export type Few<T extends object> = T | Set<T> | undefined

const NONE: readonly never[] = []

export function each<T extends object>(few: Few<T>): Iterable<T> {
  if (few === undefined) return NONE
  return few instanceof Set ? few : [few]
}

/** With an item, which may be there already; a Set is changed and given back. */
export function adding<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few === undefined || few === item) return item
  return few instanceof Set ? few.add(item) : new Set([few, item])
}

/** Without an item, which need not be there; a Set is changed and given back, until it is empty. */
export function removing<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few === item) return undefined
  if (!(few instanceof Set)) return few
  few.delete(item)
  return few.size === 0 ? undefined : few
}
