// The loop around the reader: a round when an event says so, when something is yet to settle, and once in a while anyway.

import { FolderReader, defaultTiming, type FolderOptions } from './folder-reader.ts'
import { Hints } from './hints.ts'

export interface FolderWatch {
  /** Resolved when everything is in the catalog for the first time; rejected if that failed or was aborted. */
  readonly loaded: Promise<void>
  /** Resolved when all that stands in the folders at the time of the call is in the catalog, or held back. */
  settled(): Promise<void>
}

/** Reads once what stands in the folders now. Rejects if `admit` throws. */
export async function loadFolders(options: FolderOptions): Promise<void> {
  const loaded = options.catalog.expect()
  const reader = new FolderReader(options)
  await reader.round(false, 'all')
  if (reader.complete) loaded()
}

/** Keeps the catalog in line with the folders until the signal says stop. */
export function watchFolders(options: FolderOptions & { readonly signal: AbortSignal }): FolderWatch {
  const watch = new Watch(options)
  return { loaded: watch.loaded, settled: () => watch.settled() }
}

class Watch {
  readonly loaded: Promise<void>
  readonly #options: FolderOptions & { readonly signal: AbortSignal }
  #wake = Promise.withResolvers<void>()
  #waiting: PromiseWithResolvers<void>[] = []
  /** What events told of since the last round. */
  #changed: Set<string> | 'all' = 'all'

  constructor(options: FolderOptions & { readonly signal: AbortSignal }) {
    this.#options = options
    const loaded = Promise.withResolvers<void>()
    this.loaded = loaded.promise
    this.loaded.catch(() => undefined)
    void this.#run(loaded)
  }

  settled(): Promise<void> {
    const { signal } = this.#options
    if (signal.aborted) return Promise.reject(abortError(signal))
    const waiting = Promise.withResolvers<void>()
    this.#waiting.push(waiting)
    this.#hint(undefined)
    return waiting.promise
  }

  /** Something changed at a path, or anywhere. */
  #hint(path: string | undefined): void {
    if (path === undefined || this.#changed === 'all') this.#changed = 'all'
    else this.#changed.add(path)
    this.#wake.resolve()
  }

  /** Until a time, or until `wake` is resolved. */
  async #sleep(until: number, wake?: Promise<void>): Promise<void> {
    const over = Promise.withResolvers<void>()
    using timer = this.#options.clock.at(until, () => over.resolve())
    void timer
    await (wake === undefined ? over.promise : Promise.race([over.promise, wake]))
  }

  async #run(loaded: PromiseWithResolvers<void>): Promise<void> {
    const { catalog, clock, log, signal, timing } = this.#options
    const { rescan, settle } = { ...defaultTiming, ...timing }
    const expected = catalog.expect()
    const reader = new FolderReader(this.#options)
    const stop = (): void => this.#wake.resolve()
    signal.addEventListener('abort', stop)
    let deaf = false
    const unavailable = (folder: string, error: unknown): void => {
      if (!deaf) log?.warn({ folder, error }, `no events from the file system; looking every ${rescan} ms instead`)
      deaf = true
    }
    using hints = new Hints((path) => this.#hint(path), unavailable)
    let nextScan = 0
    for (let first = true; !signal.aborted;) {
      this.#wake = Promise.withResolvers()
      const waiting = this.#waiting.splice(0)
      const changed = first || clock.now() >= nextScan ? 'all' : this.#changed
      this.#changed = new Set()
      let due: number | undefined
      try {
        due = await reader.round(!first, changed)
        if (first && reader.complete) {
          first = false
          expected()
          loaded.resolve()
        }
      } catch (error) {
        log?.error({ error }, 'reading the folders failed; what was read before stays in force')
        if (first) loaded.reject(error)
      }
      if (hints.watch(reader.watch)) this.#changed = 'all'
      if (this.#changed === 'all') due ??= clock.now() + settle
      if (due === undefined) for (const one of waiting) one.resolve()
      else this.#waiting.push(...waiting)
      // looking at everything takes at most a twentieth of the time, however many files there are
      if (changed === 'all') nextScan = clock.now() + Math.max(rescan, 20 * reader.scanTime)
      await this.#sleep(Math.min(due ?? Infinity, nextScan), this.#wake.promise)
      // a burst of events is one round
      await this.#sleep(clock.now() + 5)
    }
    signal.removeEventListener('abort', stop)
    const reason = abortError(signal)
    loaded.reject(reason)
    for (const one of this.#waiting) one.reject(reason)
  }
}

function abortError({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('stopped', { cause: reason })
}
