// The incremental engine: tables of inputs, derivations over them, and watches on derivations.
//
// A change of an input marks what was computed from it as suspect and recomputes nothing. `commit` brings only what is
// watched up to date, in proportion to what changed: a suspect whose own inputs turn out equal is not computed again, and
// a result that is equal to the old one stops there (early cut-off). Dependencies are the reads that a computation really
// made, so a derivation is a pure function of its key and of what it reads, and recomputing everything gives the same.

import { adding, each, type Few, removing } from './few.ts'

/** A readable cell: a row of a table or one key of a derivation. */
export interface Reader<V> {
  readonly name: string
  /** The current value; read inside a derivation it becomes a dependency of it. */
  get(key: string): V
}

/** Inputs by key. An absent key reads as undefined and is a dependency too. */
export interface Table<V> extends Reader<V | undefined> {
  set(key: string, value: V): void
  delete(key: string): void
  /** All rows. Inside a derivation any change of the table is then a change of its input: for small tables. */
  all(): ReadonlyMap<string, V>
  /** Untracked: for walking over everything, never from inside a derivation. */
  entries(): IterableIterator<[string, V]>
  has(key: string): boolean
  readonly size: number
}

export interface Watch<V> extends Disposable {
  /** The value as of the last commit, or of now if there was none since the watch began. */
  readonly value: V
}

export type Equal<V> = (a: V, b: V) => boolean

const CLEAN = 0 // up to date
const CHECK = 1 // something further up changed; the direct inputs may yet turn out equal
const STALE = 2 // a direct input changed

interface Node {
  readonly owner: Owner
  readonly key: string
  state: typeof CLEAN | typeof CHECK | typeof STALE
  value: unknown
  /** A bug that the computation threw; thrown again at each reader. */
  error: unknown
  failed: boolean
  inputs: readonly Node[]
  dependents: Few<Node>
  watchers: Set<NodeWatch<unknown>> | undefined
}

interface Owner {
  readonly name: string
  readonly equal: Equal<unknown>
  readonly nodes: Map<string, Node>
  /** Absent for tables, whose rows are set from outside. */
  readonly compute?: (key: string) => unknown
}

/** There are as many of these as subscriptions, so they are small. */
class NodeWatch<V> implements Watch<V> {
  readonly changed: () => void
  readonly #node: Node
  readonly #ended: (node: Node) => void

  constructor(node: Node, changed: () => void, ended: (node: Node) => void) {
    this.#node = node
    this.changed = changed
    this.#ended = ended
  }

  get value(): V {
    return this.#node.value as V
  }

  [Symbol.dispose](): void {
    const node = this.#node
    if (node.watchers?.delete(this) !== true || node.watchers.size > 0) return
    node.watchers = undefined
    this.#ended(node)
  }
}

/** A change that watchers are to be told of. */
interface Untold {
  /** Whether the node had failed before. */
  readonly failedBefore: boolean
  /** Those who saw the value before: a watch that began later shows the new one already. */
  readonly watchers: Set<NodeWatch<unknown>>
}

export interface GraphOptions {
  /** Told of what a watched derivation threw; the watch keeps its last value. */
  readonly onError?: (name: string, key: string, error: unknown) => void
}

export class Graph {
  readonly #onError: NonNullable<GraphOptions['onError']>
  /** The inputs read so far by the computation that runs now. */
  #reads: Set<Node> | undefined
  readonly #computing = new Set<Node>()
  /** Watched nodes that are suspect. */
  #suspects = new Set<Node>()
  /** Watched nodes that have changed, be it because somebody read them. */
  readonly #untold = new Map<Node, Untold>()
  /** Nodes that nothing depends on; disposed of at the end of a commit, so that a burst of reads shares its work. */
  readonly #orphans = new Set<Node>()
  #computations = 0

  constructor(options: GraphOptions = {}) {
    this.#onError =
      options.onError ??
      ((_name, _key, error) => {
        throw error
      })
  }

  /** How often anything was computed since the start: what tests and metrics hold work in proportion with. */
  get computations(): number {
    return this.#computations
  }

  table<V>(name: string, equal: Equal<V> = Object.is): Table<V> {
    const rows = new Map<string, V>()
    const owner: Owner = { name, equal: optional(equal), nodes: new Map() }
    const whole: Owner = { name: `${name}.all`, equal: Object.is, nodes: new Map() }
    let revision = 0
    const change = (key: string, value: V | undefined): void => {
      const all = whole.nodes.get('')
      if (all !== undefined) {
        all.value = ++revision
        this.#spread(all)
      }
      const node = owner.nodes.get(key)
      if (node === undefined || owner.equal(node.value, value)) return
      node.value = value
      this.#spread(node)
    }
    return {
      name,
      get: (key) => {
        const node = owner.nodes.get(key)
        if (node !== undefined) this.#reads?.add(node)
        else if (this.#reads !== undefined) this.#reads.add(this.#create(owner, key, CLEAN, rows.get(key)))
        return rows.get(key)
      },
      all: () => {
        if (this.#reads !== undefined) this.#reads.add(whole.nodes.get('') ?? this.#create(whole, '', CLEAN, revision))
        return rows
      },
      set: (key, value) => {
        rows.set(key, value)
        change(key, value)
      },
      delete: (key) => {
        if (rows.delete(key)) change(key, undefined)
      },
      entries: () => rows.entries(),
      has: (key) => rows.has(key),
      get size() {
        return rows.size
      },
    }
  }

  /** A pure function of its key and of what it reads from this graph. */
  derive<V>(name: string, compute: (key: string) => V, equal: Equal<V> = Object.is): Reader<V> {
    const owner: Owner = { name, equal: equal as Equal<unknown>, nodes: new Map(), compute }
    this.#owners.set(name, owner)
    return {
      name,
      get: (key) => {
        const node = owner.nodes.get(key) ?? this.#create(owner, key, STALE, undefined)
        if (this.#computing.has(node)) throw new Error(`${name}(${key}) depends on itself`)
        this.#reads?.add(node)
        this.#refresh(node)
        if (node.failed) throw node.error
        return node.value as V
      },
    }
  }

  readonly #owners = new Map<string, Owner>()

  /** Keeps one cell alive and tells, at most once a commit and only when the value really changed. */
  watch<V>(reader: Reader<V>, key: string, changed: () => void): Watch<V> {
    const owner = this.#owners.get(reader.name)
    if (owner === undefined) throw new Error(`${reader.name} is not a derivation of this graph`)
    const node = owner.nodes.get(key) ?? this.#create(owner, key, STALE, undefined)
    this.#untracked(() => this.#refresh(node))
    if (node.failed) this.#onError(owner.name, key, node.error)
    node.watchers ??= new Set()
    const watch = new NodeWatch<V>(node, changed, this.#unwatched)
    node.watchers.add(watch)
    return watch
  }

  readonly #unwatched = (node: Node): void => this.#orphaned(node)

  /**
   * Brings everything that is watched up to date and tells the watchers of what changed. A watcher that throws keeps no other from
   * being told; the first failure is thrown at the end.
   */
  commit(): void {
    const failures: unknown[] = []
    const guarded = (tell: () => void): void => {
      try {
        tell()
      } catch (failure) {
        failures.push(failure)
      }
    }
    while (this.#suspects.size > 0 || this.#untold.size > 0) {
      const suspects = this.#suspects
      this.#suspects = new Set()
      for (const node of suspects) if (node.watchers !== undefined) this.#refresh(node)
      const told = [...this.#untold]
      this.#untold.clear()
      for (const [node, { failedBefore, watchers }] of told) {
        if (node.failed) guarded(() => this.#onError(node.owner.name, node.key, node.error))
        if (node.failed && failedBefore) continue
        // one that was told before may have ended another's watch
        for (const watch of watchers) if (node.watchers?.has(watch) === true) guarded(watch.changed)
      }
    }
    this.#sweep()
    if (failures.length > 0) throw failures[0]
  }

  /** How many cells are held, by derivation: bounded by what is watched. */
  sizes(): Record<string, number> {
    return Object.fromEntries([...this.#owners].map(([name, owner]) => [name, owner.nodes.size]))
  }

  #create(owner: Owner, key: string, state: Node['state'], value: unknown): Node {
    const node: Node = {
      owner,
      key,
      state,
      value,
      error: undefined,
      failed: false,
      inputs: [],
      dependents: undefined,
      watchers: undefined,
    }
    owner.nodes.set(key, node)
    this.#orphans.add(node)
    return node
  }

  /** Marks everything downstream of a changed node. */
  #spread(node: Node): void {
    for (const dependent of each(node.dependents)) this.#suspect(dependent, STALE)
  }

  #suspect(node: Node, state: typeof CHECK | typeof STALE): void {
    const before = node.state
    if (before < state) node.state = state
    if (before !== CLEAN) return
    if (node.watchers !== undefined) this.#suspects.add(node)
    for (const dependent of each(node.dependents)) this.#suspect(dependent, CHECK)
  }

  /** Brings one node up to date; says whether its value changed. */
  #refresh(node: Node): boolean {
    if (node.state === CLEAN) return false
    if (node.state === CHECK) {
      // in the order of the reads: an input further on may only exist because of an earlier one
      for (const input of node.inputs) {
        this.#untracked(() => this.#refresh(input))
        if ((node.state as number) === STALE) break
      }
      if (node.state === CHECK) {
        node.state = CLEAN
        return false
      }
    }
    return this.#compute(node)
  }

  #compute(node: Node): boolean {
    const { compute, equal } = node.owner
    if (compute === undefined) throw new Error(`${node.owner.name} has no computation`)
    const outer = this.#reads
    const reads = new Set<Node>()
    this.#reads = reads
    this.#computing.add(node)
    this.#computations++
    let value: unknown
    let error: unknown
    let failed = false
    const failedBefore = node.failed
    try {
      value = compute(node.key)
    } catch (thrown) {
      error = thrown
      failed = true
    } finally {
      this.#reads = outer
      this.#computing.delete(node)
    }
    this.#link(node, reads)
    node.state = CLEAN
    if (failed) {
      // the last good value stays for whoever watches
      node.error = error
      node.failed = true
    } else {
      const same = !node.failed && node.value !== undefined && equal(node.value, value)
      node.error = undefined
      node.failed = false
      if (same || (node.value === undefined && value === undefined)) return false
      node.value = value
    }
    for (const dependent of each(node.dependents)) dependent.state = STALE
    if (node.watchers !== undefined) {
      const untold = this.#untold.get(node)
      if (untold === undefined) this.#untold.set(node, { failedBefore, watchers: new Set(node.watchers) })
      else for (const watch of node.watchers) untold.watchers.add(watch)
    }
    return true
  }

  #link(node: Node, reads: ReadonlySet<Node>): void {
    for (const input of node.inputs) {
      if (reads.has(input)) continue
      const before = input.dependents
      input.dependents = removing(before, node)
      if (before !== undefined) this.#orphaned(input)
    }
    for (const input of reads) {
      input.dependents = adding(input.dependents, node)
      this.#orphans.delete(input)
    }
    node.inputs = [...reads]
  }

  #untracked<R>(run: () => R): R {
    const outer = this.#reads
    this.#reads = undefined
    try {
      return run()
    } finally {
      this.#reads = outer
    }
  }

  #orphaned(node: Node): void {
    if (node.dependents === undefined && node.watchers === undefined) this.#orphans.add(node)
  }

  #sweep(): void {
    for (const node of this.#orphans) {
      this.#orphans.delete(node)
      if (node.dependents !== undefined || node.watchers !== undefined) continue
      node.owner.nodes.delete(node.key)
      for (const input of node.inputs) {
        const before = input.dependents
        input.dependents = removing(before, node)
        if (before !== undefined) this.#orphaned(input)
      }
    }
  }
}

function optional<V>(equal: Equal<V>): Equal<unknown> {
  return (a, b) => (a === undefined || b === undefined ? a === b : equal(a as V, b as V))
}
