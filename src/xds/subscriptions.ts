// What one stream is subscribed to and why, what that requires in turn, and which entries are to be sent because of it.
//
// Changes only mark entries; `settle` looks at what was marked, so a burst of changes costs one look at each entry.
import {
  available,
  createTypeState,
  Entry,
  expectedVersion,
  isIdle,
  isPending,
  isWanted,
  NOTHING,
  type TypeState,
} from './entry.ts'
import type { ResourceRef, ResourceSource, TypeName } from './source.ts'
import type { TypeTraits } from './types.ts'

export interface SubscriptionsOptions<Client> {
  readonly source: ResourceSource<Client>
  readonly client: Client
  /** When the stream began, milliseconds since the epoch. */
  readonly openedAt: number
  /** Whether a client of this protocol variant can be told that a resource of such a type is gone. */
  readonly removable: (traits: TypeTraits) => boolean
  /** Something of the source has changed; `settle` should run soon. */
  readonly changed: () => void
}

export class Subscriptions<Client> implements Disposable {
  readonly types = new Map<TypeName, TypeState>()
  readonly openedAt: number
  /**
   * Held since an earlier stream in a version that is not the present one, so that nobody knows what it requires; until it is
   * replaced or refused.
   */
  readonly outdated = new Set<Entry>()
  /** Names that the client asked for by itself, of all types. */
  explicitCount = 0
  readonly #source: ResourceSource<Client>
  readonly #client: Client
  readonly #removable: (traits: TypeTraits) => boolean
  readonly #changed: () => void
  readonly #touched = new Set<Entry>()
  readonly #relisted = new Set<TypeState>()

  constructor(options: SubscriptionsOptions<Client>) {
    this.openedAt = options.openedAt
    this.#source = options.source
    this.#client = options.client
    this.#removable = options.removable
    this.#changed = options.changed
  }

  type(name: TypeName): TypeState {
    let type = this.types.get(name)
    if (type === undefined) {
      type = createTypeState(name, this.#removable)
      this.types.set(name, type)
    }
    return type
  }

  find(ref: ResourceRef): Entry | undefined {
    return this.types.get(ref.type)?.entries.get(ref.name)
  }

  /** The client asks for a name. `has`: it told that it has the version that it holds here, so no answer is due. */
  subscribe(type: TypeState, name: string, has: boolean): void {
    const entry = this.#entry(type, name)
    const again = entry.explicit
    if (!again) {
      entry.explicit = true
      entry.brought = false
      this.explicitCount++
    }
    if (!has) {
      entry.due = true
      entry.first = expectedVersion(entry) === undefined
      // who asks anew may take it now, and waits in any case
      entry.refused = undefined
    }
    this.#attend(entry)
    this.touch(entry)
    if (!again) this.#source.asked(this.#client, type.name, name, entry.content !== undefined)
  }

  unsubscribe(type: TypeState, name: string): void {
    const entry = type.entries.get(name)
    if (entry === undefined || !entry.explicit) return
    entry.explicit = false
    this.explicitCount--
    // a client with a wildcard cannot know whether the wildcard gives it the name too, and waits to be told
    entry.due = type.wildcard && isWanted(entry)
    this.touch(entry)
    this.#source.released(this.#client, type.name, name)
  }

  setWildcard(type: TypeState, wildcard: boolean): void {
    if (type.wildcard === wildcard) return
    type.wildcard = wildcard
    if (wildcard) {
      type.names = this.#source.watchNames(this.#client, type.name, () => {
        this.#relisted.add(type)
        this.#changed()
      })
      this.#relist(type, true)
    } else {
      type.names?.[Symbol.dispose]()
      type.names = undefined
      for (const entry of type.entries.values()) {
        entry.listed = false
        entry.brought = false
      }
    }
    // what other resources require of this type is wanted from now on, or no longer
    for (const entry of type.entries.values()) this.touch(entry)
  }

  /** A client that comes back tells what it has. To be told before anything else of this type. */
  bring(type: TypeState, versions: ReadonlyMap<string, string>): void {
    if (versions.size === 0) return
    for (const [name, version] of versions) {
      const entry = this.#entry(type, name)
      entry.version = version
      entry.inherited = true
      entry.brought = true
      this.touch(entry)
    }
    for (const { entries } of this.types.values()) for (const entry of entries.values()) this.#explain(entry)
  }

  /** The client has taken a version, or dropped the name. */
  holds(entry: Entry, version: string | undefined, requires: readonly ResourceRef[]): void {
    entry.version = version
    entry.requires = requires
    entry.inherited = false
    this.outdated.delete(entry)
    this.#explain(entry)
  }

  touch(entry: Entry): void {
    this.#touched.add(entry)
  }

  /** Whether `settle` has anything to do. */
  get unsettled(): boolean {
    return this.#touched.size > 0 || this.#relisted.size > 0
  }

  /** Brings watches, requirements and what is to be sent in line with everything that was marked. */
  settle(): void {
    if (!this.unsettled) return
    for (const type of this.#relisted) this.#relist(type, false)
    this.#relisted.clear()
    // looking at one may mark others, which a Set visits too
    for (const entry of this.#touched) {
      this.#touched.delete(entry)
      this.#attend(entry)
      this.#pin(entry)
      const { type } = entry
      if (isPending(entry)) {
        type.pending.add(entry)
        continue
      }
      type.pending.delete(entry)
      entry.waitsSince = 0
      if (isIdle(entry)) type.entries.delete(entry.name)
    }
  }

  [Symbol.dispose](): void {
    for (const type of this.types.values()) {
      type.names?.[Symbol.dispose]()
      for (const entry of type.entries.values()) entry.watch?.[Symbol.dispose]()
    }
    this.types.clear()
    this.outdated.clear()
    this.#touched.clear()
    this.#relisted.clear()
  }

  #entry(type: TypeState, name: string): Entry {
    let entry = type.entries.get(name)
    if (entry === undefined) {
      entry = new Entry(type, name)
      type.entries.set(name, entry)
    }
    return entry
  }

  #relist(type: TypeState, first: boolean): void {
    if (type.names === undefined) return
    const names = new Set(type.names.value)
    for (const entry of type.entries.values()) {
      if (!entry.listed || names.has(entry.name)) continue
      entry.listed = false
      this.touch(entry)
    }
    for (const name of names) {
      const entry = this.#entry(type, name)
      if (entry.listed) continue
      entry.listed = true
      entry.brought = false
      if (first && expectedVersion(entry) === undefined) entry.first = true
      this.touch(entry)
    }
  }

  /** Watches what is wanted and nothing else, and takes note of what it is now. */
  #attend(entry: Entry): void {
    const wanted = isWanted(entry)
    if (wanted === (entry.watch !== undefined)) {
      entry.content = entry.watch?.value
      return
    }
    if (!wanted) {
      entry.watch?.[Symbol.dispose]()
      entry.watch = undefined
      entry.content = undefined
      this.outdated.delete(entry)
      entry.due = false
      entry.first = false
      entry.alone = undefined
      if (!entry.type.wildcard) {
        // the client drops by itself what it gave up
        entry.version = undefined
        entry.requires = NOTHING
        entry.refused = undefined
      }
      return
    }
    entry.watch = this.#source.watch(this.#client, entry.type.name, entry.name, () => {
      this.touch(entry)
      this.#changed()
    })
    entry.content = entry.watch.value
    const resource = entry.content
    if (resource === undefined || entry.version === undefined) return
    // only now is it known what a version requires that the client brought
    if (resource.version === entry.version) {
      entry.requires = resource.requires
      this.#explain(entry)
    } else this.outdated.add(entry)
  }

  /** What the client's version of this requires is there for that reason, and goes with it. */
  #explain(entry: Entry): void {
    for (const ref of entry.requires) {
      const required = this.find(ref)
      if (required !== undefined) required.brought = false
    }
  }

  #pin(entry: Entry): void {
    const resource = available(entry)
    const next = resource === undefined || resource.version === entry.refused?.version ? NOTHING : resource.requires
    // while something is on its way, nobody knows which version the client goes by
    const pins = union(entry.inFlight > 0 ? entry.pins : entry.requires, next)
    const before = entry.pins
    if (entry.first) for (const ref of next) this.#hurry(ref)
    if (pins === before) return
    entry.pins = pins
    for (const ref of without(pins, before)) {
      const required = this.#entry(this.type(ref.type), ref.name)
      required.requiredBy++
      if (entry.first && expectedVersion(required) === undefined) required.first = true
      this.touch(required)
    }
    for (const ref of without(before, pins)) {
      const required = this.find(ref)
      if (required === undefined) continue
      required.requiredBy--
      this.touch(required)
    }
  }

  /** What an answer requires is part of the answer. */
  #hurry(ref: ResourceRef): void {
    const required = this.find(ref)
    if (required === undefined || required.first || expectedVersion(required) !== undefined) return
    required.first = true
    this.touch(required)
  }
}

const keyOf = (ref: ResourceRef): string => `${ref.type} ${ref.name}`

/** `a` itself where `b` adds nothing. */
function union(a: readonly ResourceRef[], b: readonly ResourceRef[]): readonly ResourceRef[] {
  if (a === b || b.length === 0) return a
  if (a.length === 0) return b
  const added = without(b, a)
  return added.length === 0 ? a : [...a, ...added]
}

function without(a: readonly ResourceRef[], b: readonly ResourceRef[]): readonly ResourceRef[] {
  if (a.length === 0 || b.length === 0) return a
  const known = new Set(b.map(keyOf))
  return a.filter((ref) => !known.has(keyOf(ref)))
}
