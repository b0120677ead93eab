// What the proxies of a workload have used: sent ahead to the next ones, so that a roll-out pays nothing for first uses. Kept by
// namespace, service account and owner, bounded and aged; where it is stored is for the store to say.

/** Last use of each name, milliseconds since the epoch. */
export type Uses = Readonly<Record<string, number>>

export interface WarmStore {
  load(): Readonly<Record<string, Uses>>
  /** Called after changes, not more often than the owner flushes. */
  save(all: Readonly<Record<string, Uses>>): void
}

export interface WarmSetOptions {
  readonly store: WarmStore
  readonly now: () => number
  readonly limits: () => { readonly maxEntries: number; readonly maxAge: number }
}

export class WarmSet {
  readonly #options: WarmSetOptions
  readonly #uses: Map<string, Map<string, number>>
  #changed = false

  constructor(options: WarmSetOptions) {
    this.#options = options
    this.#uses = new Map(
      Object.entries(options.store.load()).map(([key, uses]) => [key, new Map(Object.entries(uses))]),
    )
  }

  /** Notes a use. The least recently used name goes where there are too many. */
  used(key: string, name: string): void {
    const { maxEntries } = this.#options.limits()
    if (maxEntries === 0) return
    let uses = this.#uses.get(key)
    if (uses === undefined) this.#uses.set(key, (uses = new Map()))
    uses.delete(name)
    uses.set(name, this.#options.now())
    while (uses.size > maxEntries) {
      const [oldest] = uses.keys()
      if (oldest === undefined) break
      uses.delete(oldest)
    }
    this.#changed = true
  }

  /** Names that proxies of this workload used lately, sorted. */
  names(key: string): readonly string[] {
    const { maxAge, maxEntries } = this.#options.limits()
    const since = this.#options.now() - maxAge
    const uses = [...(this.#uses.get(key) ?? [])].filter(([, at]) => at >= since)
    return uses
      .slice(Math.max(0, uses.length - maxEntries))
      .map(([name]) => name)
      .toSorted()
  }

  /** Stores what changed since the last time. */
  flush(): void {
    if (!this.#changed) return
    this.#changed = false
    const { maxAge } = this.#options.limits()
    const since = this.#options.now() - maxAge
    for (const [key, uses] of this.#uses) {
      for (const [name, at] of uses) if (at < since) uses.delete(name)
      if (uses.size === 0) this.#uses.delete(key)
    }
    this.#options.store.save(Object.fromEntries([...this.#uses].map(([key, uses]) => [key, Object.fromEntries(uses)])))
  }
}

/** Nothing is remembered. */
export const noStore: WarmStore = { load: () => ({}), save: () => undefined }
