// In which order a stream is sent what is pending, and what has to wait for the client to acknowledge something else first.
//
// Make before break: what is required goes first, by need and then by type; removals go last. A first answer goes in one burst.
// An update of what the client already uses waits until what it newly requires was taken, for routes are not warmed.
import { available, type Entry, expectedVersion, isWanted, type TypeState } from './entry.ts'
import type { Resource, ResourceRef } from './source.ts'
import type { Subscriptions } from './subscriptions.ts'

/** The longest that anything waits for what it requires: a client that never answers must not be stuck for ever. */
const LONGEST_WAIT_MS = 5_000

/** In this time a client that comes back has asked for all its types, so that it is known what is in use. */
const RETURN_MS = 1_000

/** Entries of one type that may go out together. */
export interface Batch {
  readonly type: TypeState
  readonly entries: Entry[]
}

type Requirements = Pick<Subscriptions<unknown>, 'find' | 'types' | 'outdated' | 'openedAt'>

/** When this entry may go at the latest, milliseconds since the epoch; 0: at once, for it waits for nothing. */
export function goesAt(entry: Entry, requirements: Requirements, now: number): number {
  const resource = available(entry)
  const latest = (entry.waitsSince === 0 ? now : entry.waitsSince) + LONGEST_WAIT_MS
  if (resource === undefined) {
    // what a client brought may be required by what it has of types that it has not asked for yet, or has in old versions
    if (!entry.inherited) return 0
    return requirements.outdated.size > 0 ? latest : requirements.openedAt + RETURN_MS
  }
  // an answer, or a version that the client was sent already and is due to get again
  const answer = entry.first || resource.version === expectedVersion(entry)
  for (const ref of resource.requires) {
    if (!isMet(ref, entry, answer, requirements)) return latest
  }
  return 0
}

function isMet(ref: ResourceRef, of: Entry, answer: boolean, requirements: Requirements): boolean {
  const type = requirements.types.get(ref.type)
  // a client that comes back asks for one type after the other
  if (type === undefined || !type.asked) return answer || of.version === undefined
  const required = type.entries.get(ref.name)
  // what cannot be sent, does not exist, or was refused holds nothing back
  if (required === undefined || required === of || !isWanted(required)) return true
  const resource = required.content
  if (resource === undefined || resource.version === required.refused?.version) return true
  return required.version !== undefined || (answer && expectedVersion(required) !== undefined)
}

/** What follows each new version of this entry. */
export function followers(entry: Entry, resource: Resource): readonly ResourceRef[] {
  if (resource.followedBy !== undefined) return resource.followedBy
  const type = entry.type.traits.followedBy
  return type === undefined ? [] : [{ type, name: entry.name }]
}

const NO_BATCHES: readonly Batch[] = []

/** All that is pending, in order. Whether an entry is ready is for the moment of sending to say. */
export function plan(requirements: Requirements): readonly Batch[] {
  const types: TypeState[] = []
  let simple = true
  for (const type of requirements.types.values()) {
    if (type.pending.size === 0) continue
    types.push(type)
    for (const entry of type.pending) {
      if (available(entry)?.requires.length !== 0) simple = false
    }
  }
  const [only] = types
  if (only === undefined) return NO_BATCHES
  // by far the commonest: new endpoints
  if (simple && types.length === 1) return [{ type: only, entries: [...only.pending] }]
  return sorted(types, requirements)
}

function sorted(types: TypeState[], requirements: Requirements): readonly Batch[] {
  const steps = new Steps(requirements)
  const batches = new Map<number, Batch>()
  const removed = new Map<TypeState, Entry[]>()
  types.sort((a, b) => a.traits.rank - b.traits.rank)
  for (const [place, type] of types.entries()) {
    for (const entry of type.pending) {
      // removals, and answers that nobody has a name which had to wait for what goes before them
      if (available(entry) === undefined && (expectedVersion(entry) !== undefined || entry.waitsSince !== 0)) {
        const entries = removed.get(type)
        if (entries === undefined) removed.set(type, [entry])
        else entries.push(entry)
        continue
      }
      const key = steps.of(entry) * types.length + place
      const batch = batches.get(key)
      if (batch === undefined) batches.set(key, { type, entries: [entry] })
      else batch.entries.push(entry)
    }
  }
  const order = [...batches.keys()].toSorted((a, b) => a - b)
  // removals last, and what requires before what it requires
  const removals = [...removed].map(([type, entries]): Batch => ({ type, entries })).toReversed()
  return [...order.flatMap((key) => batches.get(key) ?? []), ...removals]
}

/** How many times the sequence of types must be gone through before an entry may go. */
class Steps {
  readonly #requirements: Requirements
  readonly #known = new Map<Entry, number>()

  constructor(requirements: Requirements) {
    this.#requirements = requirements
    for (const type of requirements.types.values()) {
      if (type.traits.followedBy === undefined) continue
      for (const entry of type.pending) this.#precede(entry)
    }
  }

  of(entry: Entry): number {
    const known = this.#known.get(entry)
    if (known !== undefined) return known
    const requires = available(entry)?.requires
    if (requires === undefined || requires.length === 0) return 0
    this.#known.set(entry, 0) // ends a circle
    let step = 0
    for (const ref of requires) {
      const required = this.#requirements.find(ref)
      if (required === undefined || !required.type.pending.has(required)) continue
      const later = required.type !== entry.type && required.type.traits.rank >= entry.type.traits.rank ? 1 : 0
      step = Math.max(step, this.of(required) + later)
    }
    this.#known.set(entry, step)
    return step
  }

  /** What follows a resource goes in the same step or later. */
  #precede(entry: Entry): void {
    const resource = available(entry)
    if (resource === undefined) return
    const step = this.of(entry)
    if (step === 0) return
    for (const ref of followers(entry, resource)) {
      const follower = this.#requirements.find(ref)
      if (follower !== undefined) this.#known.set(follower, Math.max(step, this.#known.get(follower) ?? 0))
    }
  }
}
