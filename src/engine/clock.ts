// Time as certificates and timers see it: the wall clock. Passed in everywhere, like chance.
//
// A timer of the runtime counts monotonic time: it stands still while a laptop sleeps and knows nothing of a corrected
// clock. A certificate expires all the same, so `at` looks at the wall clock again every half minute.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs once, as soon as `now()` has reached `time`; never from inside the call. Disposing cancels it. */
  at(time: number, run: () => void): Disposable
}

/** `size` random bytes, good enough for keys. */
export type Random = (size: number) => Uint8Array

const LONGEST_NAP = 30_000

/** The machine's own clock. Its timers keep no process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    at: (time, run) => {
      let timer: NodeJS.Timeout
      const sleep = (): void => {
        timer = setTimeout(wake, Math.min(Math.max(time - Date.now(), 0), LONGEST_NAP))
        timer.unref()
      }
      const wake = (): void => {
        if (Date.now() >= time) run()
        else sleep()
      }
      sleep()
      return { [Symbol.dispose]: () => clearTimeout(timer) }
    },
  }
}
