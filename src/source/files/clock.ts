// Time, as this source needs it.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs once, as soon as `now()` has reached `time`; never from inside the call. Disposing cancels it. */
  at(time: number, run: () => void): Disposable
}
