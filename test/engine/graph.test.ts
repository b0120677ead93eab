/** The incremental engine, case by case: what is computed, who is told, what is kept. */
import { describe, expect, it } from 'vitest'
import { Graph, type Reader, type Table } from '../../src/engine/graph.ts'

interface World {
  readonly graph: Graph
  readonly table: Table<number>
  readonly errors: string[]
  /** How often a change set led to a computation since this was last asked. */
  readonly work: () => number
  /** Watches and writes down what it is told. */
  readonly watch: (
    reader: Reader<unknown>,
    key: string,
  ) => Disposable & { readonly told: unknown[]; readonly value: unknown }
}

function world(): World {
  const errors: string[] = []
  const graph = new Graph({ onError: (name, key, error) => errors.push(`${name} ${key}: ${String(error)}`) })
  let before = 0
  return {
    graph,
    table: graph.table<number>('table'),
    errors,
    work() {
      const since = graph.computations - before
      before = graph.computations
      return since
    },
    watch(reader, key) {
      const told: unknown[] = []
      const watch = graph.watch(reader, key, () => told.push(watch.value))
      return {
        told,
        get value() {
          return watch.value
        },
        [Symbol.dispose]: () => watch[Symbol.dispose](),
      }
    },
  }
}

describe('work', () => {
  it('is done lazily: nothing is computed that nobody watches or reads', () => {
    const { graph, table, work } = world()
    graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    table.set('a', 1)
    graph.commit()
    expect(work()).toBe(0)
  })

  it('stops where a result is equal', () => {
    const { graph, table, work, watch } = world()
    const sign = graph.derive('sign', (key) => Math.sign(table.get(key) ?? 0))
    const text = graph.derive('text', (key) => `sign ${sign.get(key)}`)
    table.set('a', 1)
    using held = watch(text, 'a')
    expect(work()).toBe(2)
    table.set('a', 5)
    graph.commit()
    expect(work()).toBe(1)
    expect(held.told).toEqual([])
    table.set('a', -5)
    graph.commit()
    expect(work()).toBe(2)
    expect(held.told).toEqual(['sign -1'])
  })

  it('stops where content is equal in the sense of the derivation or of the table', () => {
    const { graph, work, watch } = world()
    const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join()
    const rows = graph.table<readonly string[]>('rows', same)
    const sorted = graph.derive('sorted', (key) => [...(rows.get(key) ?? [])].toSorted(), same)
    const count = graph.derive('count', (key) => sorted.get(key).length)
    rows.set('a', ['x', 'y'])
    using _held = watch(count, 'a')
    work()
    rows.set('a', ['x', 'y'])
    graph.commit()
    expect(work()).toBe(0)
    rows.set('a', ['y', 'x'])
    graph.commit()
    expect(work()).toBe(1)
  })

  it('is in proportion to what depends on the change, not to what there is', () => {
    const { graph, table, work, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    for (let at = 0; at < 1000; at++) table.set(String(at), at)
    const all = Array.from({ length: 1000 }, (_, at) => watch(double, String(at)))
    work()
    table.set('7', -1)
    table.set('nobody', 1)
    graph.commit()
    expect(work()).toBe(1)
    expect(all.filter(({ told }) => told.length > 0)).toHaveLength(1)
  })

  it('is done once where several paths lead to one result', () => {
    const { graph, table, work, watch } = world()
    const left = graph.derive('left', (key) => (table.get(key) ?? 0) + 1)
    const right = graph.derive('right', (key) => (table.get(key) ?? 0) - 1)
    const both = graph.derive('both', (key) => left.get(key) * right.get(key))
    using held = watch(both, 'a')
    work()
    table.set('a', 3)
    graph.commit()
    expect(work()).toBe(3)
    expect(held.told).toEqual([8])
  })

  it('follows the reads of the latest computation only', () => {
    const { graph, table, work, watch } = world()
    const chosen = graph.derive('chosen', () => (table.get('which') === 1 ? table.get('a') : table.get('b')))
    table.set('which', 1)
    using held = watch(chosen, '')
    work()
    table.set('b', 10)
    graph.commit()
    expect(work()).toBe(0)
    table.set('which', 2)
    graph.commit()
    expect(held.value).toBe(10)
    work()
    table.set('a', 20)
    graph.commit()
    expect(work()).toBe(0)
  })

  it('does not compute an input that only an earlier state of another input led to', () => {
    const { graph, table, errors, watch } = world()
    const parsed = graph.derive('parsed', (key) => {
      const value = table.get(key)
      if (value === undefined) throw new Error(`no ${key}`)
      return value
    })
    const guarded = graph.derive('guarded', () => (table.get('there') === 1 ? parsed.get('a') : 0))
    table.set('there', 1)
    table.set('a', 5)
    using held = watch(guarded, '')
    table.set('there', 0)
    table.delete('a')
    graph.commit()
    expect([held.value, errors]).toEqual([0, []])
  })
})

describe('tables', () => {
  it('an absent row is a dependency', () => {
    const { graph, table, watch } = world()
    const there = graph.derive('there', (key) => table.get(key) !== undefined)
    using held = watch(there, 'a')
    table.set('a', 1)
    graph.commit()
    table.delete('a')
    graph.commit()
    expect(held.told).toEqual([true, false])
  })

  it('`all` follows every row, those that come and go included', () => {
    const { graph, table, watch } = world()
    const sum = graph.derive('sum', () => [...table.all().values()].reduce((a, b) => a + b, 0))
    using held = watch(sum, '')
    table.set('a', 1)
    table.set('b', 2)
    graph.commit()
    table.set('a', 5)
    graph.commit()
    table.delete('b')
    graph.commit()
    expect(held.told).toEqual([3, 7, 5])
  })

  it('reads of what was set and not committed yet are right', () => {
    const { graph, table } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const more = graph.derive('more', (key) => double.get(key) + 1)
    expect(more.get('a')).toBe(1)
    table.set('a', 2)
    expect(more.get('a')).toBe(5)
  })

  it('tell their size, rows and presence', () => {
    const { table } = world()
    table.set('a', 1)
    table.set('b', 2)
    expect([table.size, table.has('a'), table.has('c'), [...table.entries()]]).toEqual([
      2,
      true,
      false,
      [
        ['a', 1],
        ['b', 2],
      ],
    ])
  })
})

describe('what is kept', () => {
  it('is what is watched, and goes with the last watch', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const more = graph.derive('more', (key) => double.get(key) + 1)
    const first = watch(more, 'a')
    const second = watch(more, 'a')
    graph.commit()
    expect(graph.sizes()).toEqual({ double: 1, more: 1 })
    first[Symbol.dispose]()
    graph.commit()
    expect(graph.sizes()).toEqual({ double: 1, more: 1 })
    second[Symbol.dispose]()
    graph.commit()
    expect(graph.sizes()).toEqual({ double: 0, more: 0 })
  })

  it('reads in passing are shared until the commit and kept no longer', () => {
    const { graph, table, work } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    for (let at = 0; at < 100; at++) double.get('a')
    expect(work()).toBe(1)
    for (let at = 0; at < 100; at++) double.get(String(at))
    graph.commit()
    expect(graph.sizes()).toEqual({ double: 0 })
  })

  it('an input that is read no longer goes', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const chosen = graph.derive('chosen', () => double.get(String(table.get('which'))))
    using _held = watch(chosen, '')
    for (let at = 0; at < 50; at++) {
      table.set('which', at)
      graph.commit()
    }
    expect(graph.sizes()).toEqual({ double: 1, chosen: 1 })
  })

  it('a watch that is disposed of twice takes nothing from another', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const first = watch(double, 'a')
    using second = watch(double, 'a')
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    graph.commit()
    table.set('a', 1)
    graph.commit()
    expect(second.told).toEqual([2])
  })

  it('a watch that was the only one and is disposed of twice takes nothing from a later one', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const first = watch(double, 'a')
    first[Symbol.dispose]()
    using second = watch(double, 'a')
    first[Symbol.dispose]()
    graph.commit()
    table.set('a', 1)
    graph.commit()
    expect(second.told).toEqual([2])
  })
})

describe('errors', () => {
  const checked = ({ graph, table }: World): Reader<number> =>
    graph.derive('checked', (key) => {
      const value = table.get(key) ?? 0
      if (value < 0) throw new Error(`${value} is negative`)
      return value
    })

  it('keep the last value, are told once, and pass', () => {
    const all = world()
    const { graph, table, errors, watch } = all
    const reader = checked(all)
    table.set('a', 1)
    using held = watch(reader, 'a')
    table.set('a', -1)
    graph.commit()
    expect(held.value).toBe(1)
    expect(errors).toEqual(['checked a: Error: -1 is negative'])
    table.set('a', 2)
    graph.commit()
    expect(held.value).toBe(2)
    expect(held.told.at(-1)).toBe(2)
  })

  it('reach everybody who reads, and each of them recovers', () => {
    const all = world()
    const { graph, table, errors, watch } = all
    const reader = checked(all)
    const more = graph.derive('more', (key) => reader.get(key) + 1)
    table.set('a', 1)
    using held = watch(more, 'a')
    table.set('a', -1)
    expect(() => more.get('a')).toThrow('-1 is negative')
    graph.commit()
    expect([held.value, errors.length]).toEqual([2, 1])
    table.set('a', 7)
    graph.commit()
    expect(held.value).toBe(8)
  })

  it('recover to the value before', () => {
    const all = world()
    const { graph, table, watch } = all
    const reader = checked(all)
    const more = graph.derive('more', (key) => reader.get(key) + 1)
    table.set('a', 1)
    using held = watch(more, 'a')
    for (const value of [-1, 1]) {
      table.set('a', value)
      graph.commit()
    }
    expect([held.value, more.get('a')]).toEqual([2, 2])
  })

  it('of a first computation leave the watch without a value until it can be computed', () => {
    const all = world()
    const { graph, table, errors, watch } = all
    table.set('a', -1)
    using held = watch(checked(all), 'a')
    expect([held.value, errors.length]).toEqual([undefined, 1])
    table.set('a', 3)
    graph.commit()
    expect(held.told).toEqual([3])
  })

  it('hold back nobody else', () => {
    const all = world()
    const { graph, table, watch } = all
    const reader = checked(all)
    using bad = watch(reader, 'a')
    using good = watch(reader, 'b')
    table.set('a', -1)
    table.set('b', 5)
    graph.commit()
    expect([bad.value, good.value]).toEqual([0, 5])
  })

  it('a derivation that depends on itself says so', () => {
    const graph = new Graph()
    const one: Reader<number> = graph.derive('one', (key) => two.get(key) + 1)
    const two: Reader<number> = graph.derive('two', (key) => one.get(key) + 1)
    expect(() => one.get('a')).toThrow('one(a) depends on itself')
  })
})

describe('watchers', () => {
  it('are told after every watch of the commit shows its new value', () => {
    const { graph, table } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const seen: unknown[] = []
    using one = graph.watch(double, 'a', () => seen.push([one.value, two.value]))
    using two = graph.watch(double, 'b', () => seen.push([one.value, two.value]))
    table.set('a', 1)
    table.set('b', 2)
    graph.commit()
    expect(seen).toEqual([
      [2, 4],
      [2, 4],
    ])
  })

  it('may begin watches', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const more: { readonly told: unknown[]; readonly value: unknown }[] = []
    using _held = graph.watch(double, 'a', () => more.push(watch(double, 'b')))
    table.set('a', 1)
    table.set('b', 2)
    graph.commit()
    expect(more.map(({ value, told }) => [value, told])).toEqual([[4, []]])
    table.set('b', 3)
    graph.commit()
    expect(more[0]?.told).toEqual([6])
  })

  it('may end watches, their own and those of others, who are then told nothing', () => {
    const { graph, table } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    let told = 0
    const watches = ['a', 'b'].map((key) =>
      graph.watch(double, key, () => {
        told++
        for (const each of watches) each[Symbol.dispose]()
      }),
    )
    table.set('a', 1)
    table.set('b', 1)
    graph.commit()
    expect([told, graph.sizes()]).toEqual([1, { double: 0 }])
  })

  it('may change tables: it is settled before the commit returns', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    using a = graph.watch(double, 'a', () => table.set('b', a.value))
    using b = watch(double, 'b')
    table.set('a', 1)
    graph.commit()
    expect(b.told).toEqual([4])
  })

  it('of two watches of one cell one may end the other', () => {
    const { graph, table } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    const told: string[] = []
    using _first = graph.watch(double, 'a', () => {
      told.push('first')
      second[Symbol.dispose]()
    })
    const second = graph.watch(double, 'a', () => told.push('second'))
    table.set('a', 1)
    graph.commit()
    expect(told).toEqual(['first'])
  })

  it('one that throws keeps no other from being told', () => {
    const { graph, table, watch } = world()
    const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
    using _bad = graph.watch(double, 'a', () => {
      throw new Error('a bug of a watcher')
    })
    using good = watch(double, 'b')
    table.set('a', 1)
    table.set('b', 1)
    expect(() => graph.commit()).toThrow('a bug of a watcher')
    graph.commit()
    expect([good.value, good.told]).toEqual([2, [2]])
  })
})
