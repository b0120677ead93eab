// One name at one client: why it is there, what the client holds, what is on its way, and what is still owed to it.
//
// There are tens of these for each stream, so they hold versions (strings that all streams share), never bytes.
import type { Resource, ResourceRef, TypeName, Watched } from './source.ts'
import { traitsOf, type TypeTraits, typeUrlOf } from './types.ts'

export const NOTHING: readonly ResourceRef[] = []

/** Stands for the version of a removal. */
export const GONE = ''

/** A version that a client would not take. */
export interface Refused {
  /** `GONE` for a refused removal. */
  readonly version: string
  /** The client's own words. */
  readonly message: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What a stream holds for one discovery type. */
export interface TypeState {
  readonly name: TypeName
  readonly url: string
  readonly traits: TypeTraits
  readonly entries: Map<string, Entry>
  /** Entries that the client should be sent, in the order in which they became so. */
  readonly pending: Set<Entry>
  /** Whether the protocol has a word for "this is gone". */
  readonly removable: boolean
  wildcard: boolean
  names: Watched<readonly string[]> | undefined
  /** The client has asked for something of this type on this stream. */
  asked: boolean
  /** The client has named something: an empty list no longer means everything. */
  named: boolean
  /** A first answer is owed even if there is nothing to put into it: Envoy's start waits for it. */
  greeting: boolean
  /** Responses that the client has not answered, and how many names they hold. */
  unanswered: number
  unansweredNames: number
  /** Before the type is asked for: names that must be sent then, whatever versions the client brings. */
  owed: Set<string> | undefined
}

export function createTypeState(name: TypeName, removable: (traits: TypeTraits) => boolean): TypeState {
  const traits = traitsOf(name)
  return {
    name,
    url: typeUrlOf(name),
    traits,
    entries: new Map(),
    pending: new Set(),
    removable: removable(traits),
    wildcard: false,
    names: undefined,
    asked: false,
    named: false,
    greeting: false,
    unanswered: 0,
    unansweredNames: 0,
    owed: undefined,
  }
}

export class Entry {
  readonly type: TypeState
  readonly name: string

  /** Asked for by name. */
  explicit = false
  /** Among the names that the wildcard receives. */
  listed = false
  /** Brought from an earlier stream, where the wildcard gave it: it stays until something else says whether it is used. */
  brought = false
  /** How many resources that are at the client, or should be, require this one. */
  requiredBy = 0
  watch: Watched<Resource | undefined> | undefined = undefined
  /** What the watch showed when it last told of a change, so that what is sent fits what was reckoned with. */
  content: Resource | undefined = undefined

  /** The version that the client holds; undefined if it holds none. */
  version: string | undefined = undefined
  /** The client has had it since an earlier stream. */
  inherited = false
  /** What that version requires. */
  requires: readonly ResourceRef[] = NOTHING
  /** Unanswered responses that hold this name, and the version in the latest of them (`GONE` for a removal). */
  inFlight = 0
  sentVersion = GONE
  /** How often its removal was sent: what was accepted before that is no more. */
  removals = 0
  refused: Refused | undefined = undefined
  /** What is kept at the client for the sake of this: all that its held, travelling and wanted versions require. */
  pins: readonly ResourceRef[] = NOTHING

  /** To be sent even if the client has this version: the answer to a subscription, or what follows another resource. */
  due = false
  /** Not yet at the client, and part of an answer: what it requires need only have been sent, not acknowledged. */
  first = false
  /** A version that was refused in company, to be sent in a response of its own. */
  alone: string | undefined = undefined
  /**
   * Since when this waits for what it requires, milliseconds since the epoch; 0: it does not. Kept until the client has taken
   * it, so that what waited in vain and was then refused in company does not wait anew.
   */
  waitsSince = 0

  constructor(type: TypeState, name: string) {
    this.type = type
    this.name = name
  }
}

export function isWanted(entry: Entry): boolean {
  return entry.explicit || (entry.type.wildcard && (entry.listed || entry.brought || entry.requiredBy > 0))
}

/** What the client should have under this name. */
export function available(entry: Entry): Resource | undefined {
  return isWanted(entry) ? entry.content : undefined
}

/** The version that the client has once it has read everything; undefined for none. */
export function expectedVersion(entry: Entry): string | undefined {
  if (entry.inFlight === 0) return entry.version
  return entry.sentVersion === GONE ? undefined : entry.sentVersion
}

/** Whether the client should be sent this name, be it as a resource or as removed. */
export function isPending(entry: Entry): boolean {
  const resource = available(entry)
  const expected = expectedVersion(entry)
  if (resource !== undefined) {
    return resource.version !== entry.refused?.version && (entry.due || resource.version !== expected)
  }
  const { type } = entry
  if (!type.removable) return false
  // a name that does not exist is answered at once, so that the client need not wait for it in vain
  if (entry.explicit && entry.due) return true
  if (expected === undefined || entry.refused?.version === GONE) return false
  // while something at the client needs it, it stays, even if nobody can say any more what it holds
  if (entry.requiredBy > 0) return false
  if (!isWanted(entry)) return type.wildcard // without a wildcard the client has dropped it by itself
  return !(entry.explicit && type.traits.keptWhileSubscribed)
}

/** Whether nothing about this name need be remembered. */
export function isIdle(entry: Entry): boolean {
  return (
    entry.inFlight === 0 &&
    entry.requiredBy === 0 &&
    !isWanted(entry) &&
    (entry.version === undefined || !entry.type.wildcard)
  )
}
