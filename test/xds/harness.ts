// A session and a peer without a wire between them: messages move when a test says so, time moves when a test says so.
import { Registry } from 'prom-client'
import { DeltaSession } from '../../src/xds/delta.ts'
import { xdsMetrics } from '../../src/xds/metrics.ts'
import type { Clock } from '../../src/engine/clock.ts'
import type { Session, SessionOptions } from '../../src/xds/session.ts'
import { StateSession } from '../../src/xds/sotw.ts'
import { DeltaPeer, type PeerOptions } from '../support/delta-peer.ts'
import { StatePeer } from '../support/state-peer.ts'
import { CLUSTER, LISTENER } from '../../src/xds/types.ts'
import { GraphSource, nameOf } from './graph-source.ts'

export class ManualClock implements Clock {
  #now = 1_700_000_000_000
  readonly #timers = new Map<object, { readonly time: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): Disposable {
    const key = {}
    this.#timers.set(key, { time, run })
    return { [Symbol.dispose]: () => void this.#timers.delete(key) }
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds
    for (const [key, { time, run }] of this.#timers) {
      if (time <= this.#now && this.#timers.delete(key)) run()
    }
  }

  get timers(): number {
    return this.#timers.size
  }
}

interface Peer {
  open(send: (message: Buffer) => void): void
  closed(): void
  receive(message: Uint8Array): unknown
}

abstract class Harness<P extends Peer> {
  readonly source: GraphSource
  readonly clock = new ManualClock()
  readonly peer: P
  readonly registry = new Registry()
  session: Session<string>
  /** Whether what the server writes leaves at once; otherwise when `drain` is called. */
  flowing = true
  /** Bytes that were written and have not left. */
  backlog = 0
  woken = false
  /** Sees what the server writes, at that moment. */
  watching: (message: Buffer) => void = () => {}
  readonly #toServer: Buffer[] = []
  readonly #toPeer: Buffer[] = []
  readonly #metrics = xdsMetrics(this.registry, () => this.session.pending)
  readonly #create: (options: SessionOptions<string>) => Session<string>

  constructor(peer: P, create: (options: SessionOptions<string>) => Session<string>, source = new GraphSource()) {
    this.peer = peer
    this.source = source
    this.#create = create
    this.session = this.#begin()
  }

  /** Moves everything that can move until nothing does. */
  pump(): this {
    while (this.step()) {
      // until it is quiet
    }
    return this
  }

  /** Moves one thing; says whether there was one. The flags say what may not move now. */
  step(options: { readonly hear?: boolean; readonly speak?: boolean } = {}): boolean {
    const request = options.hear === false ? undefined : this.#toServer.shift()
    if (request !== undefined) {
      this.session.receive(request)
      return true
    }
    if (this.woken) {
      this.woken = false
      this.session.flush()
      return true
    }
    const answer = options.speak === false || !this.flowing ? undefined : this.#toPeer.shift()
    if (answer === undefined) return false
    this.#leave(answer)
    this.peer.receive(answer)
    return true
  }

  /** One message leaves, whether or not anybody reads. */
  drain(): void {
    const answer = this.#toPeer.shift()
    if (answer === undefined) return
    this.#leave(answer)
    this.peer.receive(answer)
  }

  commit(): this {
    this.source.commit()
    return this
  }

  /** The stream breaks, what is on its way is lost, and the client opens another. */
  reconnect(): this {
    this.peer.closed()
    this.session[Symbol.dispose]()
    this.#toServer.length = 0
    this.#toPeer.length = 0
    this.backlog = 0
    this.session = this.#begin()
    return this
  }

  #begin(): Session<string> {
    this.woken = false
    const session = this.#create({
      client: 'client',
      source: this.source,
      clock: this.clock,
      metrics: this.#metrics,
      mostNames: 1_000,
      wake: () => (this.woken = true),
      write: (message) => {
        this.backlog += message.length
        this.watching(message)
        this.#toPeer.push(message)
      },
    })
    this.peer.open((message) => this.#toServer.push(message))
    return session
  }

  #leave(message: Buffer): void {
    this.backlog -= message.length
    this.session.written()
  }
}

export class DeltaHarness extends Harness<DeltaPeer> {
  constructor(options: PeerOptions = {}, source = new GraphSource()) {
    super(new DeltaPeer(options), (session) => new DeltaSession(session), source)
  }

  /** What came since the last look, in order: `+CDS a b -c`. */
  sent(): string[] {
    const seen = this.peer.log.map(({ type, resources, removed }) => {
      const words = [...resources.map(({ name }) => `+${name}`), ...removed.map((name) => `-${name}`)]
      return [type.slice(type.lastIndexOf('.') + 1), ...words].join(' ')
    })
    this.peer.log = []
    return seen
  }
}

export interface StateHarnessOptions {
  readonly judge?: (names: readonly string[], texts: readonly string[]) => string | undefined
  readonly answers?: 'at once' | 'hold'
}

export class StateHarness extends Harness<StatePeer> {
  constructor(options: StateHarnessOptions = {}, source = new GraphSource()) {
    const { judge } = options
    const peer = new StatePeer({
      nameOf,
      whole: new Set([CLUSTER, LISTENER]),
      answers: options.answers ?? 'at once',
      ...(judge !== undefined && {
        judge: ({ resources }) =>
          judge(
            resources.map(nameOf),
            resources.map((bytes) => Buffer.from(bytes).toString()),
          ),
      }),
    })
    super(peer, (session) => new StateSession(session), source)
  }

  /** What came since the last look, in order: `Cluster a b`. */
  sent(): string[] {
    const seen = this.peer.log.map(({ type, resources }) =>
      [type.slice(type.lastIndexOf('.') + 1), ...resources.map(nameOf)].join(' '),
    )
    this.peer.log = []
    return seen
  }
}
