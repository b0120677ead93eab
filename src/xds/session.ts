// One stream's state machine, as far as both protocol variants share it: what is sent when, what was answered, what was refused.
//
// Nothing is queued. What is pending is looked up at the moment of sending, and only so much is written as the stream has room
// for, so a client that reads slowly or never answers costs its entries and at most one burst.
import type { Clock } from '../engine/clock.ts'
import { available, type Entry, expectedVersion, GONE, isWanted, NOTHING, type TypeState } from './entry.ts'
import type { XdsMetrics } from './metrics.ts'
import { followers, goesAt, plan } from './order.ts'
import type { Resource, ResourceRef, ResourceSource } from './source.ts'
import { summarise, type TypeSummary } from './state.ts'
import { Subscriptions } from './subscriptions.ts'
import type { TypeTraits } from './types.ts'

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

/** What one response says of one name. */
export interface Item {
  readonly entry: Entry
  /** Undefined for a removal. */
  readonly resource: Resource | undefined
}

/** What an unanswered response said of one name; without the resource, whose bytes may be old by the time of the answer. */
interface Sent {
  readonly entry: Entry
  /** `GONE` for a removal. */
  readonly version: string
  readonly requires: readonly ResourceRef[]
  /** What the client had, for the case that it refuses. */
  readonly before: string | undefined
  readonly removals: number
}

export type Flight = readonly Sent[]

/** A burst stops when this much waits to be written; the rest follows when it has left. */
const ROOM_BYTES = 64 * 1024

/** The longest that the answer waits that nobody has a name. */
const LONGEST_ANSWER_WAIT_MS = 250

/** Far beyond any name that Heddle or Envoy makes. */
const LONGEST_NAME = 4_096

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
      openedAt: options.clock.now(),
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
      if (type.greeting && type.pending.size === 0 && type.unanswered === 0 && this.hasRoom) {
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

  /** After a request: most are answers, which change nothing. */
  protected wake(): void {
    let busy = this.subscriptions.unsettled
    for (const type of this.subscriptions.types.values()) busy ||= type.greeting || type.pending.size > 0
    if (busy) this.#options.wake()
  }

  protected nextNonce(): string {
    return (++this.#nonce).toString(36)
  }

  /** Whether an entry need not wait for what it requires, be it that it has waited long enough. */
  protected mayGo(entry: Entry): boolean {
    const now = this.#options.clock.now()
    const until = this.#answersLater(entry)
      ? (entry.waitsSince === 0 ? now : entry.waitsSince) + LONGEST_ANSWER_WAIT_MS
      : goesAt(entry, this.subscriptions, now)
    if (until <= now) return true
    if (entry.waitsSince === 0) entry.waitsSince = now
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

  #answersLater(entry: Entry): boolean {
    const { source, client } = this.#options
    if (!entry.due || available(entry) !== undefined) return false
    return source.answersLater?.(client, entry.type.name, entry.name) ?? false
  }

  /** Writes a response and notes what it means for its entries. */
  protected respond(type: TypeState, items: readonly Item[], message: Buffer): Flight {
    type.greeting = false
    type.unanswered++
    type.unansweredNames += items.length
    const flight = items.map(({ entry, resource }): Sent => {
      const before = entry.version
      if (resource === undefined) {
        entry.brought = false
        entry.version = undefined
        entry.removals++
      } else if (resource.version !== expectedVersion(entry)) this.#follow(entry, resource)
      entry.inFlight++
      entry.sentVersion = resource?.version ?? GONE
      entry.due = false
      entry.first = false
      type.pending.delete(entry)
      const requires = resource?.requires ?? NOTHING
      return { entry, version: entry.sentVersion, requires, before, removals: entry.removals }
    })
    this.#writing.push({ size: message.length, since: this.#changedAt })
    this.#writingBytes += message.length
    this.#options.metrics.pushed(type.traits.label, message.length)
    this.#options.write(message)
    return flight
  }

  /** The client took a response. */
  protected accept(type: TypeState, flight: Flight): void {
    type.unanswered--
    type.unansweredNames -= flight.length
    for (const { entry, version, requires, removals } of flight) {
      entry.inFlight--
      // by far the commonest: it has what it should have, and nothing follows from that
      if (available(entry)?.version !== version || entry.due || entry.pins.length > 0) this.subscriptions.touch(entry)
      else entry.waitsSince = 0
      // what it took before it is told that it is gone
      if (removals !== entry.removals) continue
      if (version === GONE) {
        this.subscriptions.holds(entry, undefined, NOTHING)
        if (entry.refused?.version === GONE) entry.refused = undefined
      } else if (isWanted(entry) || type.wildcard) {
        const told = entry.version === version && entry.refused === undefined
        this.subscriptions.holds(entry, version, requires)
        entry.refused = undefined
        entry.alone = undefined
        if (!told) this.#options.source.accepted(this.#options.client, type.name, entry.name, version)
      }
    }
  }

  /**
   * The client refused a response, and nothing tells which of these it meant: only a single one is known to be bad, the others
   * are to be tried in smaller company.
   */
  protected refuse(type: TypeState, flight: Flight, suspects: Flight, message: string): void {
    type.unanswered--
    type.unansweredNames -= flight.length
    this.#options.metrics.refused(type.traits.label)
    for (const { entry, version, before, removals } of flight) {
      entry.inFlight--
      if (version === GONE && removals === entry.removals) entry.version = before
      this.subscriptions.touch(entry)
    }
    const [only] = suspects
    if (only !== undefined && suspects.length === 1) this.#blame(only, message)
    else {
      for (const { entry, version } of suspects) {
        if (entry.inFlight > 0) continue // something newer is on its way
        entry.alone = version
        // some may be answers, which are owed whatever the client has
        entry.due = true
      }
    }
  }

  #blame({ entry, version }: Sent, message: string): void {
    const { client, clock, source } = this.#options
    this.subscriptions.outdated.delete(entry)
    entry.refused = { version, message, at: Math.round(clock.now()) }
    entry.alone = undefined
    if (version === GONE) return
    source.refused(client, { type: entry.type.name, name: entry.name, version, message })
  }

  /** What a client names is kept for as long as its stream, so it is bounded. */
  protected checkBounds(names: readonly string[], brought: number): void {
    const { mostNames } = this.#options
    if (brought > mostNames || this.subscriptions.explicitCount + names.length > mostNames) {
      throw new SessionError('too-much', `more than ${mostNames} names on one stream`)
    }
    if (names.some((name) => name.length > LONGEST_NAME)) {
      throw new SessionError('too-much', `a name of more than ${LONGEST_NAME} characters`)
    }
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
