/**
 * Whatever graph and whatever sequence of changes: a watch shows what recomputing everything would show, its watcher is told
 * exactly when that has changed, and nothing is kept that nobody watches.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Graph, type Reader, type Table, type Watch } from '../../src/engine/graph.ts'

const KEYS = ['a', 'b', 'c'] as const

/** One derivation: what it reads (tables, or derivations before it) and how little of that it lets through. */
interface Layer {
  readonly reads: readonly { readonly from: number; readonly shift: number }[]
  /** Results are taken modulo this, so that many changes come to nothing. */
  readonly modulus: number
  /** Reads the others only where the first result is even: what it depends on changes. */
  readonly guarded: boolean
  /** Reads a whole table too. */
  readonly all: boolean
  /** Throws for this result, and everything that reads it with it. */
  readonly fails: number
}

const layer: fc.Arbitrary<Layer> = fc.record({
  reads: fc.array(fc.record({ from: fc.nat({ max: 20 }), shift: fc.nat({ max: 2 }) }), { minLength: 1, maxLength: 4 }),
  modulus: fc.integer({ min: 1, max: 5 }),
  guarded: fc.boolean(),
  all: fc.integer({ min: 0, max: 5 }).map((dice) => dice === 0),
  fails: fc.constantFrom(-1, -1, -1, -1, 2),
})

type Step =
  | { readonly do: 'set'; readonly table: number; readonly key: number; readonly value: number }
  | { readonly do: 'delete'; readonly table: number; readonly key: number }
  | { readonly do: 'watch' | 'read'; readonly layer: number; readonly key: number }
  | { readonly do: 'unwatch'; readonly pick: number }
  | { readonly do: 'commit' }

const aKey = fc.nat({ max: KEYS.length - 1 })
const aTable = fc.nat({ max: 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('set' as const), table: aTable, key: aKey, value: fc.nat({ max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), table: aTable, key: aKey }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('watch' as const, 'watch' as const, 'read' as const),
      layer: fc.nat({ max: 20 }),
      key: aKey,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unwatch' as const), pick: fc.nat({ max: 100 }) }) },
  { weight: 3, arbitrary: fc.constant({ do: 'commit' as const }) },
)

const programs = fc.record({
  layers: fc.array(layer, { minLength: 1, maxLength: 8, size: 'max' }),
  steps: fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
})

interface Held {
  readonly layer: number
  readonly key: string
  readonly watch: Watch<number>
  /** What it should show. */
  value: number | undefined
  /** The latest computation failed, and the watch was told so. */
  failed: boolean
  told: number
}

const keyAt = (at: number): string => KEYS[at % KEYS.length] ?? 'a'

class World {
  readonly graph = new Graph({ onError: () => {} })
  readonly #tables: readonly Table<number>[]
  readonly #rows: readonly Map<string, number>[] = [new Map(), new Map()]
  readonly #layers: readonly Layer[]
  readonly #readers: Reader<number>[] = []
  readonly #held: Held[] = []
  /** Whether anything was computed since the last commit. */
  #looked = false

  constructor(layers: readonly Layer[]) {
    this.#layers = layers
    this.#tables = [this.graph.table<number>('t0'), this.graph.table<number>('t1')]
    for (const [at, own] of layers.entries())
      this.#readers.push(
        this.graph.derive(`d${at}`, (key) =>
          evaluate(own, at, key, {
            table: (table, row) => this.#tables[table]?.get(row) ?? 0,
            layer: (before, row) => this.#readers[before]?.get(row) ?? 0,
            all: () => this.#tables[0]?.all() ?? new Map(),
          }),
        ),
      )
  }

  take(step: Step): void {
    switch (step.do) {
      case 'set':
        this.#tables[step.table]?.set(keyAt(step.key), step.value)
        this.#rows[step.table]?.set(keyAt(step.key), step.value)
        return
      case 'delete':
        this.#tables[step.table]?.delete(keyAt(step.key))
        this.#rows[step.table]?.delete(keyAt(step.key))
        return
      case 'read': {
        this.#looked = true
        const at = step.layer % this.#layers.length
        const key = keyAt(step.key)
        const naive = this.#naive(at, key)
        const reader = this.#readers[at]
        if (naive === undefined) expect(() => reader?.get(key)).toThrow('fails')
        else expect(reader?.get(key)).toBe(naive)
        return
      }
      case 'watch': {
        this.#looked = true
        const [reader] = this.#readers.slice(step.layer % this.#layers.length)
        if (reader === undefined) return
        const at = step.layer % this.#layers.length
        const key = keyAt(step.key)
        const watch = this.graph.watch(reader, key, () => held.told++)
        const now = this.#naive(at, key)
        const held: Held = { layer: at, key, watch, value: now ?? watch.value, failed: now === undefined, told: 0 }
        expect(watch.value).toBe(held.value)
        this.#held.push(held)
        return
      }
      case 'unwatch':
        this.#held.splice(step.pick % Math.max(1, this.#held.length), 1)[0]?.watch[Symbol.dispose]()
        return
      case 'commit':
        this.#commit()
    }
  }

  finish(): void {
    this.#commit()
    for (const { watch } of this.#held.splice(0)) watch[Symbol.dispose]()
    this.graph.commit()
    expect(Object.values(this.graph.sizes()).filter((size) => size > 0)).toEqual([])
  }

  #commit(): void {
    this.graph.commit()
    for (const held of this.#held) {
      const now = this.#naive(held.layer, held.key)
      const changed = now !== undefined && now !== held.value
      // where it fails, the last value that anybody saw stays
      held.value = now ?? (this.#looked ? held.watch.value : held.value)
      expect(held.watch.value).toBe(held.value)
      // a failure, or a value that somebody saw before the commit, may be told of though the value is as it was again
      const passing = held.failed || now === undefined || this.#looked
      if (changed) expect(held.told).toBe(1)
      else expect(held.told).toBeLessThanOrEqual(passing ? 1 : 0)
      held.failed = now === undefined
      held.told = 0
    }
    this.#looked = false
    const before = this.graph.computations
    this.graph.commit()
    expect(this.graph.computations, 'a commit without changes computes nothing').toBe(before)
  }

  /** Everything recomputed; undefined where it fails. */
  #naive(at: number, key: string): number | undefined {
    const source: Source = {
      table: (table, row) => this.#rows[table]?.get(row) ?? 0,
      layer: (before, row) => {
        const own = this.#layers[before]
        return own === undefined ? 0 : evaluate(own, before, row, source)
      },
      all: () => this.#rows[0] ?? new Map(),
    }
    try {
      return source.layer(at, key)
    } catch {
      return undefined
    }
  }
}

interface Source {
  table(table: number, key: string): number
  layer(layer: number, key: string): number
  all(): ReadonlyMap<string, number>
}

function evaluate({ reads, modulus, guarded, all, fails }: Layer, at: number, key: string, source: Source): number {
  let sum = all ? [...source.all().values()].reduce((a, b) => a + b, 0) : 0
  for (const [index, { from, shift }] of reads.entries()) {
    if (guarded && index > 0 && sum % 2 === 1) break
    const row = keyAt(KEYS.indexOf(key as (typeof KEYS)[number]) + shift)
    const input = from % (at + 2)
    sum += input < 2 ? source.table(input, row) : source.layer(input - 2, row)
  }
  const result = sum % modulus
  if (result === fails) throw new Error('fails')
  return result
}

it('a watch shows what recomputing everything would show, and is told exactly when that changed', () => {
  expect.hasAssertions()
  fc.assert(
    fc.property(programs, ({ layers, steps }) => {
      const world = new World(layers)
      for (const each of steps) world.take(each)
      world.finish()
    }),
    { numRuns: 5000 },
  )
})
