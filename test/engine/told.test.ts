import { expect, it } from 'vitest'
import { Graph } from '../../src/engine/graph.ts'

it('tells the watchers of what somebody read between a change and its commit', () => {
  const graph = new Graph()
  const table = graph.table<number>('table')
  const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
  let told = 0
  const watch = graph.watch(double, 'a', () => told++)
  table.set('a', 1)
  expect(double.get('a')).toBe(2)
  graph.commit()
  expect([told, watch.value]).toEqual([1, 2])
})

it('tells the watchers of what something else that is watched depends on', () => {
  const graph = new Graph()
  const table = graph.table<number>('table')
  const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
  const more = graph.derive('more', (key) => double.get(key) + 1)
  const told: string[] = []
  using _more = graph.watch(more, 'a', () => told.push('more'))
  using _double = graph.watch(double, 'a', () => told.push('double'))
  table.set('a', 1)
  graph.commit()
  expect(told.toSorted()).toEqual(['double', 'more'])
})

it('tells nobody twice, and nobody of what came to nothing', () => {
  const graph = new Graph()
  const table = graph.table<number>('table')
  const double = graph.derive('double', (key) => (table.get(key) ?? 0) * 2)
  let told = 0
  using _watch = graph.watch(double, 'a', () => told++)
  table.set('a', 1)
  graph.commit()
  graph.commit()
  table.set('a', 2)
  table.set('a', 1)
  graph.commit()
  expect(told).toBe(1)
})
