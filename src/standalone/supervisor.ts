/**
 * Keeps one process running: started again when it ends by itself, the sooner the longer it had run, until it is stopped.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Exit, ProcessGroup } from './processes.ts'

export interface SupervisorOptions {
  readonly start: () => Promise<ProcessGroup>
  /** Called with a sentence when the process ended, or could not be started, without having been told to. */
  readonly onExit?: (reason: string) => void
  /** Called each time it runs again. */
  readonly onStart?: (group: ProcessGroup) => void
}

/** Waits before the first and before any later restart, milliseconds. */
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 10_000
/** A process that ran this long is taken to be sound: the next wait is the first again. */
const SOUND_MS = 10_000

export const exitReason = (exit: Exit): string =>
  exit.signal === null ? `ended with status ${exit.code}` : `was ended by ${exit.signal}`

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #stopping = new AbortController()
  readonly #loop: Promise<void>
  readonly #first = Promise.withResolvers<void>()
  #group: ProcessGroup | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#first.promise.catch(() => undefined)
    this.#loop = this.#run()
  }

  /** Resolves when the process first runs; rejects, once, if it could not be started then. */
  started(): Promise<void> {
    return this.#first.promise
  }

  get pid(): number | undefined {
    return this.#group?.running === true ? this.#group.pid : undefined
  }

  kill(): void {
    this.#group?.signal('SIGKILL')
  }

  /** Ends it for good: politely, and after `graceMs` by force. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort()
    await this.#group?.stop(graceMs)
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let wait = FIRST_DELAY_MS
    while (!signal.aborted) {
      const since = performance.now()
      const reason = await this.#once(signal)
      if (reason === undefined) return
      this.#options.onExit?.(reason)
      wait = performance.now() - since > SOUND_MS ? FIRST_DELAY_MS : wait
      await delay(wait, undefined, { signal }).catch(() => undefined)
      wait = Math.min(wait * 2, MAX_DELAY_MS)
    }
  }

  /** One life of the process: why it ended, or undefined if it was told to. */
  async #once(signal: AbortSignal): Promise<string | undefined> {
    let group: ProcessGroup
    try {
      group = await this.#options.start()
    } catch (error) {
      this.#first.reject(error)
      return `could not be started: ${error instanceof Error ? error.message : String(error)}`
    }
    this.#group = group
    // told to stop while it was being started
    if (signal.aborted) group.signal('SIGKILL')
    this.#options.onStart?.(group)
    this.#first.resolve()
    const exit = await group.exited
    return signal.aborted ? undefined : exitReason(exit)
  }
}
