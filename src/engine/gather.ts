// Gathers changes for a short moment, so that a burst is one piece of work. The first change of a burst decides when it ends at the
// latest; an urgent one brings the end nearer.

import type { Clock } from './clock.ts'

export class Gather implements Disposable {
  readonly #clock: Clock
  readonly #run: () => void
  #timer: Disposable | undefined
  #at = Infinity

  constructor(clock: Clock, run: () => void) {
    this.#clock = clock
    this.#run = run
  }

  /** Runs within so many milliseconds. */
  within(milliseconds: number): void {
    const at = this.#clock.now() + milliseconds
    if (at >= this.#at) return
    this.#timer?.[Symbol.dispose]()
    this.#at = at
    this.#timer = this.#clock.at(at, () => this.flush())
  }

  /** Runs now, if anything was gathered. */
  flush(): void {
    if (this.#at === Infinity) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    this.#at = Infinity
    this.#run()
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    this.#at = Infinity
  }
}
