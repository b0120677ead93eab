// A client of state-of-the-world xDS without its wire: it names all that it wants in each request. Bytes in, bytes out.
// Names of resources are read by a function, since this variant has no envelope for them.
import { decodeStateAnswer, encodeStateAsk, type StateAnswer } from './discovery.ts'

export interface StatePeerOptions {
  readonly node?: Uint8Array
  readonly nameOf: (bytes: Uint8Array) => string
  /** Types whose responses hold everything. */
  readonly whole: ReadonlySet<string>
  readonly judge?: (answer: StateAnswer) => string | undefined
  readonly answers?: 'at once' | 'hold'
}

interface Interest {
  names: Set<string>
  version: string
  nonce: string
  readonly has: Map<string, Uint8Array>
}

export class StatePeer {
  log: StateAnswer[] = []
  received = 0
  readonly #interests = new Map<string, Interest>()
  readonly #options: StatePeerOptions
  readonly #held: StateAnswer[] = []
  #send: ((message: Buffer) => void) | undefined
  #node: Uint8Array | undefined

  constructor(options: StatePeerOptions) {
    this.#options = options
  }

  has(type: string): ReadonlyMap<string, Uint8Array> {
    return this.#interest(type).has
  }

  names(type: string): string[] {
    return [...this.has(type).keys()].toSorted()
  }

  open(send: (message: Buffer) => void): void {
    this.#send = send
    this.#node = this.#options.node
    this.log = []
    this.#held.length = 0
    for (const [type, interest] of this.#interests) {
      interest.nonce = ''
      this.#ask(type, interest)
    }
  }

  closed(): void {
    this.#send = undefined
  }

  /** Names everything that the client wants of a type; none means all where none was ever named. */
  want(type: string, ...names: string[]): void {
    const interest = this.#interest(type)
    interest.names = new Set(names)
    this.#ask(type, interest)
  }

  receive(message: Uint8Array): StateAnswer {
    const answer = decodeStateAnswer(message)
    this.received++
    this.log.push(answer)
    if (this.#options.answers === 'hold') this.#held.push(answer)
    else this.#answer(answer)
    return answer
  }

  answerHeld(): number {
    const answers = this.#held.splice(0)
    for (const answer of answers) this.#answer(answer)
    return answers.length
  }

  #answer(answer: StateAnswer): void {
    const interest = this.#interest(answer.type)
    interest.nonce = answer.nonce
    const error = this.#options.judge?.(answer)
    if (error === undefined) {
      interest.version = answer.version
      if (this.#options.whole.has(answer.type)) interest.has.clear()
      for (const bytes of answer.resources) interest.has.set(this.#options.nameOf(bytes), bytes)
    }
    this.#ask(answer.type, interest, error)
  }

  #interest(type: string): Interest {
    let interest = this.#interests.get(type)
    if (interest === undefined) {
      interest = { names: new Set(), version: '', nonce: '', has: new Map() }
      this.#interests.set(type, interest)
    }
    return interest
  }

  #ask(type: string, interest: Interest, error?: string): void {
    const node = this.#node
    if (this.#send === undefined) return
    this.#node = undefined
    this.#send(
      encodeStateAsk({ type, node, names: interest.names, version: interest.version, nonce: interest.nonce, error }),
    )
  }
}
