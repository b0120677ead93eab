// Who wins where two objects say different things: the older, then the first by name (Gateway API, "Conflicts" in its API concepts).
interface Aged {
  readonly creationTimestamp?: string | undefined
}

/** Orders two objects by age, then by key. An object without a time (a file) counts as older than one with. */
export function byAge(a: Aged | undefined, aKey: string, b: Aged | undefined, bKey: string): number {
  const aTime = a?.creationTimestamp ?? ''
  const bTime = b?.creationTimestamp ?? ''
  if (aTime !== bTime) return aTime < bTime ? -1 : 1
  return aKey < bKey ? -1 : aKey > bKey ? 1 : 0
}
