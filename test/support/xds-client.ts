// A discovery client over real gRPC: a peer (delta or state of the world) on a connection of its own, and waiting for conditions.
// Many fit one process.
import { Client, type ClientDuplexStream, ChannelCredentials, Metadata, type StatusObject } from '@grpc/grpc-js'
import { DeltaPeer, type PeerOptions } from './delta-peer.ts'
import { StatePeer, type StatePeerOptions } from './state-peer.ts'

export interface ConnectionOptions {
  /** `host:port` or `unix:path`. */
  readonly address: string
  readonly credentials?: ChannelCredentials
  readonly token?: string
  readonly channel?: Record<string, string | number>
  /** How long `until` waits before it tells what it was waiting for. */
  readonly patience?: number
}

interface Peer {
  open(send: (message: Buffer) => void): void
  closed(): void
  receive(message: Uint8Array): unknown
}

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService'
const RUNTIME = 'envoy.service.runtime.v3.Runtime'

export class XdsClient<P extends Peer> implements Disposable {
  readonly peer: P
  /** How the last stream ended; undefined while it goes on. */
  ended: StatusObject | undefined
  readonly #path: string
  readonly #options: ConnectionOptions
  readonly #client: Client
  readonly #waiting = new Set<() => void>()
  #call: ClientDuplexStream<Buffer, Buffer> | undefined

  constructor(peer: P, method: string, options: ConnectionOptions) {
    this.peer = peer
    this.#path = `${SERVICE}/${method}`
    this.#options = options
    this.#client = new Client(options.address, options.credentials ?? ChannelCredentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
      ...options.channel,
    })
  }

  /** Opens a stream; what the peer is interested in is asked for at once. */
  connect(): this {
    const metadata = new Metadata()
    if (this.#options.token !== undefined) metadata.set('authorization', `Bearer ${this.#options.token}`)
    const same = (bytes: Buffer): Buffer => bytes
    const call = this.#client.makeBidiStreamRequest(this.#path, same, same, metadata, {})
    this.#call = call
    this.ended = undefined
    call.on('data', (message: Buffer) => {
      if (this.#call !== call) return
      this.peer.receive(message)
      this.#look()
    })
    call.on('error', () => {})
    call.on('status', (status) => {
      if (this.#call !== call) return
      this.ended = status
      this.peer.closed()
      this.#look()
    })
    this.peer.open((message) => call.write(message))
    return this
  }

  /** Ends the stream and opens another. */
  reconnect(): this {
    this.drop()
    return this.connect()
  }

  /** Ends the stream. */
  drop(): void {
    const call = this.#call
    this.#call = undefined
    call?.cancel()
    this.peer.closed()
  }

  /** Stops reading: what comes stays in the buffers on the way. */
  pause(): void {
    this.#call?.pause()
  }

  resume(): void {
    this.#call?.resume()
  }

  /** Resolves as soon as the condition holds, looking whenever something came. */
  until(condition: () => boolean, what = condition.toString()): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!condition()) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(new Error(`waited in vain for: ${what}`))
      }, this.#options.patience ?? 20_000)
      this.#waiting.add(look)
    })
  }

  [Symbol.dispose](): void {
    this.drop()
    this.#client.close()
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

export class DeltaClient extends XdsClient<DeltaPeer> {
  #barriers = 0

  constructor(options: ConnectionOptions & PeerOptions) {
    super(new DeltaPeer(options), 'DeltaAggregatedResources', options)
  }

  /** Resolves when everything that the server had to send before now has come: it answers what is asked in order. */
  async barrier(): Promise<void> {
    const name = `barrier-${++this.#barriers}`
    this.peer.subscribe(RUNTIME, name)
    await this.until(
      () => this.peer.log.some((answer) => answer.type === RUNTIME && answer.removed.includes(name)),
      name,
    )
    this.peer.unsubscribe(RUNTIME, name)
    this.peer.log = this.peer.log.filter((answer) => answer.type !== RUNTIME)
  }
}

export class StateClient extends XdsClient<StatePeer> {
  constructor(options: ConnectionOptions & StatePeerOptions) {
    super(new StatePeer(options), 'StreamAggregatedResources', options)
  }
}
