// Whose turn it is: streams that have something to send are served a few at a time, so that a change that concerns all of them
// does not keep the process from everything else.

/** Runs its argument soon, never from inside the call: `setImmediate`. */
export type Defer = (run: () => void) => void

/** Some 2 ms of work. */
const PER_TURN = 32

/** Gives each that was added one turn, in order; one that is added again before its turn has one turn. */
export function createTurns<T>(take: (one: T) => void, defer: Defer): { add(one: T): void; remove(one: T): void } {
  const waiting = new Set<T>()
  let scheduled = false
  const run = (): void => {
    scheduled = false
    let left = PER_TURN
    for (const one of waiting) {
      if (left-- === 0) break
      waiting.delete(one)
      take(one)
    }
    if (waiting.size > 0) schedule()
  }
  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    defer(run)
  }
  return {
    add(one) {
      waiting.add(one)
      schedule()
    },
    remove: (one) => waiting.delete(one),
  }
}
