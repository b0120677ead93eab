// One stream's state machine, as far as both protocol variants share it: what is sent when, what was answered, what was refused.
//
// Nothing is queued. What is pending is looked up at the moment of sending, and only so much is written as the stream has room
// for, so a client that reads slowly or never answers costs its entries and at most one burst.
import { available, type Entry, expectedVersion, GONE, isWanted, NOTHING, type TypeState } from './entry.ts'
import type { XdsMetrics } from './metrics.ts'
import { followers, plan, waitOf } from './order.ts'
import type { Resource, ResourceRef, ResourceSource } from './source.ts'
import { summarise, type TypeSummary } from './state.ts'
import { Subscriptions } from './subscriptions.ts'
import type { TypeTraits } from './types.ts'

/** Time as the server sees it; the same shape as elsewhere in Heddle. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs once, as soon as `now()` has reached `time`; never from inside the call. Disposing cancels it. */
  at(time: number, run: () => void): Disposable
}

export interface SessionOptions<Client> {
  readonly client: Client
  readonly source: ResourceSource<Client>
  readonly clock: Clock
  readonly metrics: XdsMetrics
  /** Takes one message; `written` is to be called for each, in order, when it has left. */
  readonly write: (message: Buffer) => void
  /** `flush` should run soon. */
  readonly wake: () => void
  /** Names that a client may ask for by itself before its stream ends. */
  readonly mostNames: number
}

/** A client that broke the protocol or went beyond a bound: its stream ends. */
export class SessionError extends Error {
  readonly kind: 'malformed' | 'too-much'

  constructor(kind: SessionError['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

/** What one response said of one name. */
export interface Item {
  readonly entry: Entry
  /** `GONE` for a removal. */
  readonly version: string
  readonly requires: readonly ResourceRef[]
}

/** A burst stops when this much waits to be written; the rest follows when it has left. */
const ROOM_BYTES = 64 * 1024

export abstract class Session<Client> implements Disposable {
  protected readonly subscriptions: Subscriptions<Client>
  readonly #options: SessionOptions<Client>
  readonly #writing: { readonly size: number; readonly since: number }[] = []
  #writingBytes = 0
  #nonce = 0
  /** The first change of the source that is not written yet; 0: there is none. */
  #changedAt = 0
  #wait: { readonly until: number; readonly timer: Disposable } | undefined
  #closed = false

  protected constructor(options: SessionOptions<Client>, removable: (traits: TypeTraits) => boolean) {
    this.#options = options
    this.subscriptions = new Subscriptions({
      source: options.source,
      client: options.client,
      removable,
      changed: () => {
        if (this.#changedAt === 0) this.#changedAt = options.clock.now()
        options.wake()
      },
    })
  }

  /** Takes a request. Throws a `SessionError`, after which the stream is to be ended. */
  abstract receive(message: Uint8Array): void

  /** Sends what it can of these entries of one type, which are in order; says whether it sent anything. */
  protected abstract send(type: TypeState, entries: readonly Entry[]): boolean

  /** Sends an answer with nothing in it. */
  protected abstract greet(type: TypeState): void

  /** Sends everything that is pending and may go now. */
  flush(): void {
    if (this.#closed) return
    this.subscriptions.settle()
    for (let sent = true; sent && this.hasRoom;) {
      sent = false
      for (const batch of plan(this.subscriptions)) {
        if (!this.hasRoom) break
        if (this.send(batch.type, batch.entries)) sent = true
      }
      this.subscriptions.settle()
    }
    let pending = 0
    for (const type of this.subscriptions.types.values()) {
      pending += type.pending.size
      if (type.greeting && type.pending.size === 0 && this.hasRoom) {
        type.greeting = false
        this.greet(type)
      }
    }
    // what waits for the client to acknowledge something is not late for lack of speed
    if (pending === 0 || this.hasRoom) this.#changedAt = 0
  }

  /** The oldest message that was being written has left. */
  written(): void {
    const message = this.#writing.shift()
    if (message === undefined || this.#closed) return
    this.#writingBytes -= message.size
    if (message.since !== 0) this.#options.metrics.delayed(this.#options.clock.now() - message.since)
    if (this.pending > 0) this.#options.wake()
  }

  /** Resources that wait to be sent. */
  get pending(): number {
    let pending = 0
    for (const type of this.subscriptions.types.values()) pending += type.pending.size
    return pending
  }

  describe(): readonly TypeSummary[] {
    return [...this.subscriptions.types.values()].map(summarise)
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    this.#wait?.timer[Symbol.dispose]()
    this.subscriptions[Symbol.dispose]()
  }

  protected get hasRoom(): boolean {
    return this.#writingBytes < ROOM_BYTES
  }

  protected wake(): void {
    this.#options.wake()
  }

  protected nextNonce(): string {
    return (++this.#nonce).toString(36)
  }

  /** Whether an entry need not wait for what it requires, be it that it has waited long enough. */
  protected mayGo(entry: Entry): boolean {
    const wait = waitOf(entry, this.subscriptions)
    if (wait === 0) return true
    const now = this.#options.clock.now()
    if (entry.waitsSince === 0) entry.waitsSince = now
    const until = entry.waitsSince + wait
    if (now >= until) return true
    if (this.#wait === undefined || this.#wait.until > until) {
      this.#wait?.timer[Symbol.dispose]()
      const timer = this.#options.clock.at(until, () => {
        this.#wait = undefined
        this.#options.wake()
      })
      this.#wait = { until, timer }
    }
    return false
  }

  /** Writes a response and notes what it means for its entries. */
  protected respond(type: TypeState, items: readonly Item[], message: Buffer): void {
    type.greeting = false
    type.unanswered++
    for (const { entry, version } of items) {
      const expected = expectedVersion(entry)
      const resource = available(entry)
      if (version === GONE) entry.brought = false
      else if (resource !== undefined && version !== expected) this.#follow(entry, resource)
      entry.inFlight++
      entry.sentVersion = version
      entry.due = false
      entry.first = false
      entry.waitsSince = 0
      type.pending.delete(entry)
    }
    this.#writing.push({ size: message.length, since: this.#changedAt })
    this.#writingBytes += message.length
    this.#options.metrics.pushed(type.traits.label, message.length)
    this.#options.write(message)
  }

  /** The client took a response. */
  protected accept(type: TypeState, items: readonly Item[]): void {
    type.unanswered--
    for (const item of items) {
      const { entry, version } = item
      entry.inFlight--
      this.subscriptions.outdated.delete(entry)
      this.subscriptions.touch(entry)
      if (version === GONE) {
        entry.version = undefined
        entry.requires = NOTHING
        if (entry.refused?.version === GONE) entry.refused = undefined
      } else if (isWanted(entry) || type.wildcard) {
        const told = entry.version === version && entry.refused === undefined
        entry.version = version
        entry.requires = item.requires
        entry.refused = undefined
        entry.alone = undefined
        if (!told) this.#options.source.accepted(this.#options.client, type.name, entry.name, version)
      }
    }
    this.wake()
  }

  /** The client refused a response, and nothing tells which of these it meant: only a single one is known to be bad. */
  protected refuse(type: TypeState, items: readonly Item[], suspects: readonly Item[], message: string): void {
    type.unanswered--
    this.#options.metrics.refused(type.traits.label)
    for (const { entry } of items) {
      entry.inFlight--
      this.subscriptions.touch(entry)
    }
    const [only] = suspects
    if (only !== undefined && suspects.length === 1) {
      const { entry, version } = only
      this.subscriptions.outdated.delete(entry)
      entry.refused = { version, message, at: Math.round(this.#options.clock.now()) }
      if (version !== GONE) {
        this.#options.source.refused(this.#options.client, { type: type.name, name: entry.name, version, message })
      }
    }
    this.wake()
  }

  protected checkBounds(): void {
    if (this.subscriptions.explicitCount <= this.#options.mostNames) return
    throw new SessionError('too-much', `more than ${this.#options.mostNames} names are subscribed to on one stream`)
  }

  /** Marks what the client waits for once more. */
  #follow(entry: Entry, resource: Resource): void {
    for (const ref of followers(entry, resource)) {
      const type = this.subscriptions.type(ref.type)
      if (!type.asked) {
        type.owed ??= new Set()
        type.owed.add(ref.name)
        continue
      }
      const follower = type.entries.get(ref.name)
      if (follower?.explicit !== true) continue
      follower.due = true
      this.subscriptions.touch(follower)
    }
  }
}
