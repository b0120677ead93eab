// A client of incremental xDS without its wire: what it has, what it asks for, and how it answers, as Envoy would. Bytes in, bytes out.
import { decodeDeltaAnswer, type DeltaAnswer, encodeDeltaAsk, type ReceivedResource } from './discovery.ts'

export interface PeerOptions {
  /** Serialised Node, sent with the first request of a stream. */
  readonly node?: Uint8Array
  /** Words of refusal for a response; undefined accepts it. */
  readonly judge?: (answer: DeltaAnswer) => string | undefined
  /** Whether responses are answered at all, or `hold`: when `answerHeld` is called. */
  readonly answers?: 'at once' | 'never' | 'hold'
  /** What the client asks for because of a resource that it was given: endpoints of a cluster. */
  readonly follow?: (type: string, resource: ReceivedResource) => readonly { type: string; name: string }[]
  /** Keep what came in `log`; a bench does not. */
  readonly keepLog?: boolean
}

interface Held {
  readonly version: string
  readonly bytes: Uint8Array
}

interface Interest {
  wildcard: boolean
  readonly names: Set<string>
  readonly has: Map<string, Held>
}

export class DeltaPeer {
  /** Every response of the stream that is open, in order. */
  log: DeltaAnswer[] = []
  received = 0
  bytes = 0
  readonly #interests = new Map<string, Interest>()
  readonly #options: PeerOptions
  readonly #held: DeltaAnswer[] = []
  #send: ((message: Buffer) => void) | undefined
  #node: Uint8Array | undefined

  constructor(options: PeerOptions = {}) {
    this.#options = options
  }

  /** What the client has of a type, by name. */
  has(type: string): ReadonlyMap<string, Held> {
    return this.#interest(type).has
  }

  versions(type: string): Record<string, string> {
    return Object.fromEntries([...this.has(type)].map(([name, { version }]) => [name, version]))
  }

  names(type: string): string[] {
    return [...this.has(type).keys()].toSorted()
  }

  isSubscribed(type: string, name: string): boolean {
    return this.#interest(type).names.has(name)
  }

  get interests(): ReadonlyMap<string, { readonly wildcard: boolean; readonly names: ReadonlySet<string> }> {
    return this.#interests
  }

  /** A stream begins: the client asks again for all that it is interested in, and tells what it has. */
  open(send: (message: Buffer) => void): void {
    this.#send = send
    this.#node = this.#options.node
    this.log = []
    this.#held.length = 0
    for (const [type, { wildcard, names, has }] of this.#interests) {
      if (!wildcard && names.size === 0) continue
      const legacy = wildcard && names.size === 0
      const subscribe = wildcard && !legacy ? ['*', ...names] : names
      this.#ask({ type, subscribe, has: [...has].map(([name, { version }]) => [name, version] as const) })
    }
  }

  closed(): void {
    this.#send = undefined
  }

  wildcard(type: string): void {
    const interest = this.#interest(type)
    const fresh = !interest.wildcard && interest.names.size === 0
    interest.wildcard = true
    this.#ask({ type, subscribe: fresh ? [] : ['*'] })
  }

  noWildcard(type: string): void {
    const interest = this.#interest(type)
    interest.wildcard = false
    for (const name of interest.has.keys()) if (!interest.names.has(name)) interest.has.delete(name)
    this.#ask({ type, unsubscribe: ['*'] })
  }

  subscribe(type: string, ...names: string[]): void {
    for (const name of names) this.#interest(type).names.add(name)
    this.#ask({ type, subscribe: names })
  }

  unsubscribe(type: string, ...names: string[]): void {
    const interest = this.#interest(type)
    for (const name of names) {
      interest.names.delete(name)
      if (!interest.wildcard) interest.has.delete(name)
    }
    this.#ask({ type, unsubscribe: names })
  }

  receive(message: Uint8Array): DeltaAnswer {
    const answer = decodeDeltaAnswer(message)
    this.received++
    this.bytes += message.length
    if (this.#options.keepLog !== false) this.log.push(answer)
    if (this.#options.answers === 'hold') this.#held.push(answer)
    else if (this.#options.answers !== 'never') this.#answer(answer)
    else this.#apply(answer)
    return answer
  }

  /** Answers what is held, the oldest first; says how many there were. */
  answerHeld(most = Number.POSITIVE_INFINITY, before: (answer: DeltaAnswer) => void = () => {}): number {
    const answers = this.#held.splice(0, most)
    for (const answer of answers) {
      before(answer)
      this.#answer(answer)
    }
    return answers.length
  }

  /** Responses that are held. */
  get unanswered(): number {
    return this.#held.length
  }

  #answer(answer: DeltaAnswer): void {
    const error = this.#options.judge?.(answer)
    if (error === undefined) this.#apply(answer)
    this.#ask({ type: answer.type, nonce: answer.nonce, error })
  }

  #apply(answer: DeltaAnswer): void {
    const interest = this.#interest(answer.type)
    for (const { name, version, bytes } of answer.resources) {
      // what nobody subscribed to is dropped
      if (interest.wildcard || interest.names.has(name)) interest.has.set(name, { version, bytes })
    }
    for (const name of answer.removed) interest.has.delete(name)
    if (this.#options.follow === undefined) return
    const wanted = answer.resources.flatMap((resource) => this.#options.follow?.(answer.type, resource) ?? [])
    for (const type of new Set(wanted.map((ref) => ref.type))) {
      const names = wanted
        .filter((ref) => ref.type === type && !this.isSubscribed(type, ref.name))
        .map((ref) => ref.name)
      if (names.length > 0) this.subscribe(type, ...names)
    }
  }

  #interest(type: string): Interest {
    let interest = this.#interests.get(type)
    if (interest === undefined) {
      interest = { wildcard: false, names: new Set(), has: new Map() }
      this.#interests.set(type, interest)
    }
    return interest
  }

  #ask(ask: Omit<Parameters<typeof encodeDeltaAsk>[0], 'node'>): void {
    const node = this.#node
    if (this.#send === undefined) return
    this.#node = undefined
    this.#send(encodeDeltaAsk({ ...ask, node }))
  }
}
