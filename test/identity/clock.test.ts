import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/engine/clock.ts'

describe('the system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('runs what is due, once, and never from inside the call', async () => {
    const clock = systemClock()
    const ran: string[] = []
    clock.at(clock.now() + 1000, () => ran.push('in a second'))
    clock.at(clock.now() - 1000, () => ran.push('at once'))
    clock.at(clock.now() + 40 * 86_400_000, () => ran.push('in forty days'))
    expect(ran).toEqual([])
    await vi.advanceTimersByTimeAsync(0)
    expect(ran).toEqual(['at once'])
    await vi.advanceTimersByTimeAsync(999)
    expect(ran).toEqual(['at once'])
    await vi.advanceTimersByTimeAsync(1)
    expect(ran).toEqual(['at once', 'in a second'])
    await vi.advanceTimersByTimeAsync(40 * 86_400_000)
    expect(ran).toEqual(['at once', 'in a second', 'in forty days'])
  })

  it('notices within half a minute that the machine has slept', async () => {
    const clock = systemClock()
    let ran = 0
    clock.at(clock.now() + 3_600_000, () => ran++)
    // a day passes on the wall clock, none for timers
    vi.setSystemTime(Date.now() + 86_400_000)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(ran).toBe(1)
  })

  it('waits on when the wall clock is set back', async () => {
    const clock = systemClock()
    let ran = 0
    clock.at(clock.now() + 10_000, () => ran++)
    vi.setSystemTime(Date.now() - 60_000)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(ran).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(ran).toBe(1)
  })

  it('forgets what is disposed of', async () => {
    const clock = systemClock()
    let ran = 0
    clock.at(clock.now() + 60_000, () => ran++)[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(ran).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })
})
