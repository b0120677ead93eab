// What a source tells the catalog: objects as they were written, where each stands, and what has gone.
// Raw objects are unchecked; the catalog alone decides what they are worth.

import type { Diagnostic, KindName } from '../api/index.ts'

/** A place in a source, both counted from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Where an object was declared. */
export interface Origin {
  /** The file (as it is shown to people), or the name of a watch such as `kubernetes/Service`. */
  readonly source: string
  /** The line at which the object begins, counted from 1. */
  readonly line?: number
  /**
   * The place of a field of the object, or of its nearest enclosing field that stands in the source. May parse the source
   * again, so it is for messages to people only.
   */
  at?(path: readonly (string | number)[]): Position | undefined
}

export interface Upsert {
  readonly op: 'upsert'
  /** The object as written: any JSON value. Passing the same reference again says that nothing changed. */
  readonly object: unknown
  readonly origin: Origin
}

/** An object that is there and cannot be read: it keeps its last good version, if what is readable says which object it is. */
export interface Broken {
  readonly op: 'broken'
  /** Whatever could be read of it. */
  readonly object: unknown
  readonly origin: Origin
  readonly diagnostics: readonly Diagnostic[]
}

export interface Delete {
  readonly op: 'delete'
  readonly kind: KindName
  /** `namespace/name`, or `name` for cluster-scoped kinds. */
  readonly key: string
  /** Only what this source declared; every declaration when absent. */
  readonly source?: string
}

export type Change = Upsert | Broken | Delete

/** An object that is declared, as opposed to gone. */
export type Declaration = Upsert | Broken
