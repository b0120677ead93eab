// What the catalog keeps of one object: who declares it, what became of it, and which version is in force.

import { parse, type AnyObject, type Diagnostic, type Kind, type KindName, type Parsed } from '../api/index.ts'
import type { Table } from '../engine/graph.ts'
import type { Origin } from './change.ts'
import type { Identity } from './identify.ts'
import { compareText, problemsOf, type Problem } from './problems.ts'
import type { Unreadable } from './unreadable.ts'

/** What became of the latest version of an object. */
export interface Condition {
  /** True if the latest version is in force. */
  readonly accepted: boolean
  /** What is wrong with it: errors, and warnings of an accepted one. */
  readonly diagnostics: readonly Diagnostic[]
  /** True if it is bad and an earlier, good version is in force. */
  readonly lastGood: boolean
  /** When `accepted` last changed, in milliseconds since the epoch. */
  readonly since: number
}

export type Listener<T> = (key: string, before: T | undefined, after: T | undefined) => void

/** One declaration of an object. */
export interface Claim {
  readonly origin: Origin
  /** The place among the declarations of its source. */
  readonly order: number
  readonly raw: unknown
  /** The source itself could not read it. */
  readonly broken: boolean
  readonly identity: Identity
  readonly reading: Parsed
  /** What is wrong with it, once somebody has asked: finding the places costs more than all else. */
  problems?: readonly Problem[]
}

export interface Entry {
  readonly shelf: Shelf
  readonly key: string
  /** In the order in which they count. */
  claims: Claim[]
  /** What the table holds. */
  good: AnyObject | undefined
  condition: Condition | undefined
  /** What the condition was made of. */
  judged: Parsed | undefined
}

/** All of one kind. */
export interface Shelf {
  readonly name: KindName
  readonly kind: Kind
  readonly table: Table<AnyObject>
  readonly unreadable: Table<Unreadable>
  readonly entries: Map<string, Entry>
  readonly listeners: Set<Listener<AnyObject>>
  /** Those whose latest version is refused. */
  readonly rejected: Set<string>
}

/** Puts a claim where it counts: by source, then by its place there. */
export function insertClaim(claims: Claim[], claim: Claim): void {
  let at = claims.length
  for (; at > 0; at--) {
    const other = claims[at - 1]
    if (
      other === undefined ||
      (compareText(other.origin.source, claim.origin.source) || other.order - claim.order) <= 0
    )
      break
  }
  claims.splice(at, 0, claim)
}

/** What is wrong with one declaration. */
export function claimProblems(claim: Claim): readonly Problem[] {
  claim.problems ??= problemsOf(claim.identity, claim.origin, diagnosticsOf(claim.reading))
  return claim.problems
}

/** Parses, and says the namespace of an object that names none. */
export function read(kind: Kind, { namespace }: Identity, raw: unknown): Parsed {
  const parsed = parse(kind, raw)
  if (!parsed.ok || namespace === undefined || parsed.object.metadata.namespace !== undefined) return parsed
  const { object } = parsed
  return { ...parsed, object: { ...object, metadata: { ...object.metadata, namespace } } }
}

export function diagnosticsOf(reading: Parsed): readonly Diagnostic[] {
  return reading.ok ? reading.warnings : reading.errors
}
