// The objects as they are now: validated, indexed by kind and key, with a feed of changes.
//
// Sources declare raw objects, each under its own name. A key's first declaration (in the order of sources, then within one)
// is the one that counts; the others get a diagnostic. A good object goes to its kind's table if its content really changed.
// A bad one leaves the last good version there and gets a condition; nothing else is touched. Objects are never changed in
// place: treat what a table holds as immutable.

import type { Logger } from 'pino'
import { kinds, type AnyObject, type KindName, type ObjectOf, type Parsed } from '../api/index.ts'
import type { Graph, Table } from '../engine/graph.ts'
import type { Change, Declaration, Origin } from './change.ts'
import {
  claimProblems,
  diagnosticsOf,
  insertClaim,
  read,
  type Claim,
  type Condition,
  type Entry,
  type Listener,
  type Shelf,
} from './entry.ts'
import { sameContent } from './content.ts'
import { identify, type Identity } from './identify.ts'
import type { CatalogMetrics } from './metrics.ts'
import { compareProblems, duplicate, problemsOf, unidentified, type Problem } from './problems.ts'
import { placeKey, unreadable, type Unreadable } from './unreadable.ts'

export type { Condition, Listener } from './entry.ts'

export interface CatalogOptions {
  readonly graph: Graph
  /** Milliseconds since the epoch. */
  readonly clock: { now(): number }
  readonly log?: Logger
  readonly metrics?: CatalogMetrics
}

/** What a source declared that is no object of a known kind and name. */
interface Stray {
  readonly raw: unknown
  readonly problems: readonly Problem[]
  readonly shelf: Shelf | undefined
  readonly key: string
}

export class Catalog {
  readonly #options: CatalogOptions
  readonly #shelves = new Map<KindName, Shelf>()
  readonly #bySource = new Map<string, Set<Entry>>()
  readonly #strays = new Map<string, Map<string, Stray>>()
  readonly #loading = new Set<symbol>()
  #expected = false
  readonly #whenReady = Promise.withResolvers<void>()
  /** Whether a table has changed since the listeners were told. */
  #changed = false
  readonly #changeListeners = new Set<() => void>()
  readonly #conditionListeners = new Set<(kind: KindName, key: string, condition: Condition | undefined) => void>()

  constructor(options: CatalogOptions) {
    this.#options = options
    for (const name of Object.keys(kinds) as KindName[]) {
      this.#shelves.set(name, {
        name,
        kind: kinds[name],
        table: options.graph.table<AnyObject>(`catalog/${name}`),
        unreadable: options.graph.table<Unreadable>(`catalog/${name}/unreadable`),
        entries: new Map(),
        listeners: new Set(),
        rejected: new Set(),
      })
    }
  }

  /** The good objects of a kind, by `namespace/name` or `name`. Read only: rows are written by the catalog alone. */
  table<K extends KindName>(kind: K): Table<ObjectOf<K>> {
    return this.#shelf(kind).table as Table<ObjectOf<K>>
  }

  /**
   * The objects of a kind that exist but of which no version could ever be read, by key. One whose name cannot be read has
   * a key made of its place.
   */
  unreadable(kind: KindName): Table<Unreadable> {
    return this.#shelf(kind).unreadable
  }

  /** Told of each change of a table, during `apply`, after the row has changed and before anything is recomputed from it. */
  listen<K extends KindName>(kind: K, listener: Listener<ObjectOf<K>>): Disposable {
    const { listeners } = this.#shelf(kind)
    const own: Listener<AnyObject> = (key, before, after) =>
      listener(key, before as ObjectOf<K> | undefined, after as ObjectOf<K> | undefined)
    listeners.add(own)
    return { [Symbol.dispose]: () => void listeners.delete(own) }
  }

  /** Told once after each `apply` or `replaceAll` that changed a table, `unreadable` ones too: the moment to commit the graph, or to plan to. */
  listenChanges(listener: () => void): Disposable {
    this.#changeListeners.add(listener)
    return { [Symbol.dispose]: () => void this.#changeListeners.delete(listener) }
  }

  /** Told of each new condition, undefined when the object has gone. */
  listenConditions(listener: (kind: KindName, key: string, condition: Condition | undefined) => void): Disposable {
    this.#conditionListeners.add(listener)
    return { [Symbol.dispose]: () => void this.#conditionListeners.delete(listener) }
  }

  /** Announces a source whose first complete load the catalog is to wait for. Call the answer when that load is in. */
  expect(): () => void {
    const loading = Symbol()
    this.#expected = true
    this.#loading.add(loading)
    return () => {
      this.#loading.delete(loading)
      if (this.ready) this.#whenReady.resolve()
    }
  }

  /** True after the first complete load of every source that was announced. Serve nothing before. */
  get ready(): boolean {
    return this.#expected && this.#loading.size === 0
  }

  whenReady(): Promise<void> {
    return this.#whenReady.promise
  }

  /** Changes in the order in which they happened: a later one of the same source and key replaces an earlier one. */
  apply(changes: readonly Change[]): void {
    const touched = new Set<Entry>()
    for (const change of changes) {
      if (change.op === 'delete') {
        const entry = this.#shelf(change.kind).entries.get(change.key)
        if (entry !== undefined) this.#withdraw(entry, touched, change.source)
      } else {
        this.#declare(change, change.origin.line ?? 0, touched, true)
      }
    }
    this.#settle(touched)
  }

  /** All that one source declares now: what it declared before and does no longer is removed. Repeated keys are duplicates. */
  replaceAll(source: string, declarations: readonly Declaration[]): void {
    this.replaceSources([[source, declarations]])
  }

  /** `replaceAll` of several sources at once, so that what moves from one to another is never away. */
  replaceSources(sources: Iterable<readonly [source: string, declarations: readonly Declaration[]]>): void {
    const touched = new Set<Entry>()
    const all = [...sources]
    const before = new Map<unknown, Claim>()
    for (const [source] of all) {
      for (const entry of this.#bySource.get(source) ?? []) {
        for (const claim of entry.claims) if (!claim.broken) before.set(claim.raw, claim)
        this.#withdraw(entry, touched, source)
      }
      this.#clearStrays(source)
    }
    for (const [, declarations] of all) {
      for (const [order, declaration] of declarations.entries())
        this.#declare(declaration, order, touched, false, before)
    }
    this.#settle(touched)
  }

  /** How many objects are in force. */
  get size(): number {
    return [...this.#shelves.values()].reduce((sum, { table }) => sum + table.size, 0)
  }

  conditions(kind: KindName, key: string): Condition | undefined {
    return this.#shelf(kind).entries.get(key)?.condition
  }

  /** Where the declaration that counts stands. */
  origin(kind: KindName, key: string): Origin | undefined {
    return this.#shelf(kind).entries.get(key)?.claims[0]?.origin
  }

  /** All that is wrong with what the sources declare, by source and line. */
  problems(): Problem[] {
    const problems: Problem[] = []
    for (const strays of this.#strays.values()) for (const stray of strays.values()) problems.push(...stray.problems)
    for (const shelf of this.#shelves.values()) {
      for (const entry of shelf.entries.values()) {
        for (const [index, claim] of entry.claims.entries()) {
          problems.push(...claimProblems(claim))
          const first = entry.claims[0]
          if (index > 0 && first !== undefined) problems.push(duplicate(claim.identity, first.origin, claim.origin))
        }
      }
    }
    return problems.toSorted(compareProblems)
  }

  #shelf(kind: KindName): Shelf {
    const shelf = this.#shelves.get(kind)
    if (shelf === undefined) throw new Error(`${kind} is no kind that Heddle reads`)
    return shelf
  }

  #declare(
    declaration: Declaration,
    order: number,
    touched: Set<Entry>,
    replace: boolean,
    before?: ReadonlyMap<unknown, Claim>,
  ): void {
    const { object: raw, origin } = declaration
    const identity = identify(raw)
    const shelf = identity.kind === undefined ? undefined : this.#shelf(identity.kind.kind as KindName)
    if (shelf === undefined || identity.key === undefined) {
      this.#stray(declaration, order, identity, shelf)
      return
    }
    let entry = shelf.entries.get(identity.key)
    if (entry === undefined) {
      entry = { shelf, key: identity.key, claims: [], good: undefined, condition: undefined, judged: undefined }
      shelf.entries.set(identity.key, entry)
    }
    if (replace) entry.claims = entry.claims.filter((claim) => claim.origin.source !== origin.source)
    const broken = declaration.op === 'broken'
    const reading: Parsed =
      declaration.op === 'broken'
        ? { ok: false, errors: declaration.diagnostics }
        : (before?.get(raw)?.reading ?? read(shelf.kind, identity, raw))
    insertClaim(entry.claims, { origin, order, raw, broken, identity, reading })
    const own = this.#bySource.get(origin.source)
    if (own === undefined) this.#bySource.set(origin.source, new Set([entry]))
    else own.add(entry)
    touched.add(entry)
  }

  #withdraw(entry: Entry, touched: Set<Entry>, source: string | undefined): void {
    const isGone = (claim: Claim): boolean => source === undefined || claim.origin.source === source
    const gone = entry.claims.filter(isGone)
    if (gone.length === 0) return
    entry.claims = entry.claims.filter((claim) => !isGone(claim))
    for (const claim of gone) {
      const own = this.#bySource.get(claim.origin.source)
      own?.delete(entry)
      if (own?.size === 0) this.#bySource.delete(claim.origin.source)
    }
    touched.add(entry)
  }

  #stray(declaration: Declaration, order: number, identity: Identity, shelf: Shelf | undefined): void {
    const { object: raw, origin } = declaration
    const given = declaration.op === 'broken' ? problemsOf(identity, origin, declaration.diagnostics) : []
    const key = `${placeKey(identity, origin)}#${order}`
    let strays = this.#strays.get(origin.source)
    if (strays === undefined) this.#strays.set(origin.source, (strays = new Map()))
    strays.set(key, { raw, shelf, key, problems: given.length > 0 ? given : unidentified(raw, identity, origin) })
    if (shelf !== undefined) this.#unread(shelf, key, unreadable(shelf.name, identity, raw, origin))
  }

  /** Sets or removes the row of an object that cannot be read. */
  #unread(shelf: Shelf, key: string, row: Unreadable | undefined): void {
    const before = shelf.unreadable.get(key)
    if (row === undefined ? before === undefined : before !== undefined && sameContent(before, row)) return
    this.#changed = true
    if (row === undefined) shelf.unreadable.delete(key)
    else shelf.unreadable.set(key, row)
  }

  #clearStrays(source: string): void {
    for (const { shelf, key } of this.#strays.get(source)?.values() ?? []) {
      if (shelf !== undefined) this.#unread(shelf, key, undefined)
    }
    this.#strays.delete(source)
  }

  /** Brings table, condition and listeners of each entry in line with its claims. */
  #settle(touched: ReadonlySet<Entry>): void {
    const failures: unknown[] = []
    const guarded = (tell: () => void): void => {
      try {
        tell()
      } catch (failure) {
        failures.push(failure)
      }
    }
    for (const entry of touched) {
      const { shelf, key } = entry
      const [first] = entry.claims
      const before = entry.good
      if (first === undefined) {
        shelf.entries.delete(key)
        shelf.rejected.delete(key)
        this.#unread(shelf, key, undefined)
        entry.good = undefined
      } else {
        if (first.reading.ok && (before === undefined || !sameContent(before, first.reading.object))) {
          entry.good = first.reading.object
        }
        if (first.reading.ok) shelf.rejected.delete(key)
        else shelf.rejected.add(key)
        const row =
          entry.good === undefined ? unreadable(shelf.name, first.identity, first.raw, first.origin) : undefined
        this.#unread(shelf, key, row)
      }
      if (entry.good !== before) {
        this.#changed = true
        if (entry.good === undefined) shelf.table.delete(key)
        else shelf.table.set(key, entry.good)
        for (const listener of shelf.listeners) guarded(() => listener(key, before, entry.good))
      }
      this.#judge(entry, guarded)
      this.#options.metrics?.count(shelf.name, shelf.table.size, shelf.rejected.size)
    }
    if (this.#changed) for (const listener of this.#changeListeners) guarded(listener)
    this.#changed = false
    if (failures.length > 0) throw new AggregateError(failures, 'listeners of the catalog failed')
  }

  /** Gives the entry its condition and tells of it, unless it is as it was. */
  #judge(entry: Entry, guarded: (tell: () => void) => void): void {
    const { condition, shelf, key } = entry
    const [first] = entry.claims
    let next: Condition | undefined
    if (first !== undefined) {
      const accepted = first.reading.ok
      const lastGood = !accepted && entry.good !== undefined
      if (entry.judged === first.reading && condition?.lastGood === lastGood) return
      const since = condition?.accepted === accepted ? condition.since : this.#options.clock.now()
      next = { accepted, diagnostics: diagnosticsOf(first.reading), lastGood, since }
      entry.judged = first.reading
      entry.condition = next
      const [problem] = accepted ? [] : claimProblems(first)
      if (problem !== undefined) {
        this.#options.log?.warn(
          { source: problem.source, line: problem.line, column: problem.column, lastGood },
          problem.text,
        )
      }
    }
    for (const listener of this.#conditionListeners) guarded(() => listener(shelf.name, key, next))
  }
}
