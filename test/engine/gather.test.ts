/** Gathering: one piece of work for a burst, and an end to every burst. */
import { expect, it } from 'vitest'
import { Gather } from '../../src/engine/gather.ts'
import { ManualClock } from '../identity/world.ts'

function world() {
  const clock = new ManualClock(1000)
  const runs: number[] = []
  const gather = new Gather(clock, () => runs.push(clock.now() - 1000))
  return { clock, runs, gather }
}

it('runs once for a burst, counted from its first change; what comes later is another', async () => {
  const { clock, runs, gather } = world()
  for (let at = 0; at < 50; at++) {
    gather.within(25)
    await clock.advance(1)
  }
  expect(runs).toEqual([25, 50])
  await clock.advance(1000)
  expect(runs).toEqual([25, 50])
})

it('an urgent change brings the end nearer, a patient one does not put it off', async () => {
  const { clock, runs, gather } = world()
  gather.within(25)
  gather.within(5)
  gather.within(100)
  await clock.advance(1000)
  expect(runs).toEqual([5])
})

it('flush runs now and once, and nothing where nothing was gathered', async () => {
  const { clock, runs, gather } = world()
  gather.flush()
  gather.within(25)
  gather.flush()
  gather.flush()
  await clock.advance(1000)
  expect(runs).toEqual([0])
})

it('what comes while it runs is the next burst', async () => {
  const clock = new ManualClock(1000)
  let runs = 0
  const gather = new Gather(clock, () => {
    if (++runs === 1) gather.within(25)
  })
  gather.within(25)
  await clock.advance(25)
  expect(runs).toBe(1)
  await clock.advance(25)
  expect(runs).toBe(2)
})

it('disposed of, it runs no more', async () => {
  const { clock, runs, gather } = world()
  gather.within(25)
  gather[Symbol.dispose]()
  await clock.advance(1000)
  expect([runs, clock.next]).toEqual([[], undefined])
})
