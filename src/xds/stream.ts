// One gRPC call: who is at the other end, until when it may stay, and the bytes between the call and its state machine.
import { status as Status, type ServerDuplexStream } from '@grpc/grpc-js'
import type { Clock } from '../engine/clock.ts'
import { decodeDeltaRequest, decodeStateRequest } from '../proto/frame.ts'
import { DeltaSession } from './delta.ts'
import type { XdsMetrics } from './metrics.ts'
import { type Session, SessionError, type SessionOptions } from './session.ts'
import { StateSession } from './sotw.ts'
import type { Authentication, Authenticator, ResourceSource } from './source.ts'
import type { ClientState } from './state.ts'

export type Protocol = 'delta' | 'sotw'

/** What is told of streams; a pino logger is one. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface StreamContext<Client> {
  readonly source: ResourceSource<Client>
  readonly clock: Clock
  readonly metrics: XdsMetrics
  readonly log: Log
  readonly mostNames: number
  /** `stream.flush` should run soon. */
  readonly wake: (stream: Stream<Client>) => void
  readonly closed: (stream: Stream<Client>) => void
}

/** How long a call may say nothing before it ends. */
const FIRST_REQUEST_MS = 10_000

type Call = ServerDuplexStream<Buffer, Buffer>

type State<Client> =
  | { readonly phase: 'silent' }
  | { readonly phase: 'authenticating' }
  | {
      readonly phase: 'open'
      readonly client: Client
      readonly session: Session<Client>
      readonly nodeId: string
      readonly since: number
    }
  | { readonly phase: 'closed' }

export class Stream<Client> {
  readonly protocol: Protocol
  readonly #call: Call
  readonly #context: StreamContext<Client>
  #state: State<Client> = { phase: 'silent' }
  #deadline: Disposable

  constructor(call: Call, protocol: Protocol, authenticator: Authenticator<Client>, context: StreamContext<Client>) {
    this.protocol = protocol
    this.#call = call
    this.#context = context
    this.#deadline = context.clock.at(context.clock.now() + FIRST_REQUEST_MS, () =>
      this.end(Status.DEADLINE_EXCEEDED, 'no request came'),
    )
    call.on('data', (message: Buffer) => {
      if (this.#state.phase === 'silent') void this.#begin(message, authenticator)
      else if (this.#state.phase === 'open') this.#receive(this.#state.session, message)
    })
    call.on('end', () => this.end(Status.OK, ''))
    call.on('cancelled', () => this.#close())
    call.on('error', () => this.#close())
  }

  get client(): Client | undefined {
    return this.#state.phase === 'open' ? this.#state.client : undefined
  }

  get pending(): number {
    return this.#state.phase === 'open' ? this.#state.session.pending : 0
  }

  flush(): void {
    if (this.#state.phase !== 'open') return
    const { session } = this.#state
    this.#guard(() => session.flush())
  }

  describe(): ClientState<Client> | undefined {
    if (this.#state.phase !== 'open') return undefined
    const { client, nodeId, since, session } = this.#state
    return {
      client,
      nodeId,
      protocol: this.protocol,
      peer: this.#call.getPeer(),
      connectedAt: since,
      types: session.describe(),
    }
  }

  /** Nothing more is sent or taken. */
  end(code: Status, details: string): void {
    if (this.#state.phase === 'closed') return
    this.#close()
    // grpc-js takes the status of a call from an error event
    if (code === Status.OK) this.#call.end()
    else this.#call.emit('error', { code, details })
  }

  async #begin(message: Buffer, authenticator: Authenticator<Client>): Promise<void> {
    this.#state = { phase: 'authenticating' }
    this.#call.pause()
    const nodeId = this.#nodeIdOf(message)
    if (nodeId === undefined) return
    const token = bearerToken(this.#call)
    let result: Authentication<Client>
    try {
      result = await authenticator.authenticate({
        nodeId,
        protocol: this.protocol,
        ...(token !== undefined && { token }),
      })
    } catch (error) {
      this.#context.log.warn(
        { error: messageOf(error), peer: this.#call.getPeer() },
        'a client could not be authenticated',
      )
      this.#refuse('unavailable', Status.UNAVAILABLE)
      return
    }
    if (this.phase === 'closed') return
    if (!result.ok) {
      this.#refuse(result.reason, Status.UNAUTHENTICATED)
      return
    }
    const { client, until } = result
    this.#guard(() => this.#open(client, until, nodeId, message))
  }

  /** As a method, since the state changes while something is awaited. */
  get phase(): State<Client>['phase'] {
    return this.#state.phase
  }

  #open(client: Client, until: number | undefined, nodeId: string, message: Buffer): void {
    const { source, clock, metrics, mostNames, wake } = this.#context
    this.#deadline[Symbol.dispose]()
    if (until !== undefined) {
      if (until <= clock.now()) {
        this.#refuse('expired', Status.UNAUTHENTICATED)
        return
      }
      this.#deadline = clock.at(until, () => this.end(Status.OK, ''))
    }
    source.connected(client)
    const options: SessionOptions<Client> = {
      client,
      source,
      clock,
      metrics,
      mostNames,
      wake: () => wake(this),
      write: (bytes) => this.#call.write(bytes, () => session.written()),
    }
    const session: Session<Client> = this.protocol === 'delta' ? new DeltaSession(options) : new StateSession(options)
    this.#state = { phase: 'open', client, session, nodeId, since: Math.round(clock.now()) }
    metrics.streamOpened(this.protocol)
    this.#receive(session, message)
    this.#call.resume()
  }

  #receive(session: Session<Client>, message: Buffer): void {
    this.#guard(() => session.receive(message))
  }

  /** What goes wrong for one client ends its stream and nothing else. */
  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      const peer = this.#call.getPeer()
      if (error instanceof SessionError) {
        this.#context.log.warn({ error: error.message, peer }, 'a discovery stream is ended')
        this.end(error.kind === 'malformed' ? Status.INVALID_ARGUMENT : Status.RESOURCE_EXHAUSTED, error.message)
      } else {
        this.#context.log.error({ err: error, peer }, 'a discovery stream failed')
        this.end(Status.INTERNAL, 'internal error')
      }
    }
  }

  #nodeIdOf(message: Buffer): string | undefined {
    try {
      const request = this.protocol === 'delta' ? decodeDeltaRequest(message) : decodeStateRequest(message)
      return request.node?.id ?? ''
    } catch {
      this.end(Status.INVALID_ARGUMENT, 'not a discovery request')
      return undefined
    }
  }

  #refuse(reason: string, code: Status): void {
    if (this.#state.phase === 'closed') return
    this.#context.metrics.notAuthenticated(reason)
    this.#context.log.info({ reason, peer: this.#call.getPeer() }, 'a discovery stream is refused')
    this.end(code, `not authenticated: ${reason}`)
  }

  #close(): void {
    const state = this.#state
    if (state.phase === 'closed') return
    this.#state = { phase: 'closed' }
    this.#deadline[Symbol.dispose]()
    if (state.phase === 'open') {
      state.session[Symbol.dispose]()
      this.#context.metrics.streamClosed(this.protocol)
      this.#context.source.disconnected(state.client)
    }
    this.#context.closed(this)
  }
}

function bearerToken(call: Call): string | undefined {
  const [value] = call.metadata.get('authorization')
  const match = typeof value === 'string' ? /^Bearer +(\S+)$/i.exec(value) : null
  return match?.[1]
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown')
