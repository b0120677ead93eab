// The ADS server: delta and state-of-the-world over gRPC, for Envoy and for other clients of the same protocol.
import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import {
  type handleBidiStreamingCall,
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  status as Status,
} from '@grpc/grpc-js'
import type { Registry } from 'prom-client'
import type { Clock } from '../engine/clock.ts'
import { xdsMetrics } from './metrics.ts'
import type { Authenticator, ResourceSource } from './source.ts'
import type { ClientState } from './state.ts'
import { type Log, type Protocol, Stream } from './stream.ts'
import { createTurns, type Defer } from './turns.ts'

export interface XdsListen<Client> {
  /** `host:port` (port 0: a free one), `[ipv6]:port` or `unix:path`. */
  readonly address: string
  readonly credentials: ServerCredentials
  /** Who may come in here, where that is not for the server's own authenticator to say: clients that have no token to show. */
  readonly authenticator?: Authenticator<Client>
}

export interface XdsServerOptions<Client> {
  readonly source: ResourceSource<Client>
  readonly authenticator: Authenticator<Client>
  readonly listen: readonly XdsListen<Client>[]
  /** Takes the metrics `heddle_xds_…`. */
  readonly metrics: Registry
  readonly log: Log
  readonly clock: Clock
  /** Ends the server. */
  readonly signal?: AbortSignal
  /** Names that one client may ask for by itself; 100,000. A client beyond it loses its stream. */
  readonly mostNames?: number
  readonly defer?: Defer
}

export interface XdsServer<Client> extends AsyncDisposable {
  /** As in `listen`, with the ports that were really taken. */
  readonly addresses: readonly string[]
  /** Everybody who is connected, with what each has: computed at each call. */
  clients(): ClientState<Client>[]
  /** Ends the streams of these clients, as when what they showed is revoked. Says how many. */
  disconnect(which: (client: Client) => boolean): number
  /** Ends all streams and stops listening. */
  [Symbol.asyncDispose](): Promise<void>
}

const SERVICE = 'envoy.service.discovery.v3.AggregatedDiscoveryService'
const METHODS: readonly { readonly name: string; readonly protocol: Protocol }[] = [
  { name: 'DeltaAggregatedResources', protocol: 'delta' },
  { name: 'StreamAggregatedResources', protocol: 'sotw' },
]

const GRPC_OPTIONS = {
  'grpc.enable_channelz': 0,
  // a peer that went without a word is noticed, and its stream's memory freed
  'grpc.keepalive_time_ms': 15_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // a client has one ADS stream; the rest is for those that reconnect before the old one is gone
  'grpc.max_concurrent_streams': 16,
  // a node is some 60 kB; a client with 100,000 names brings a few megabytes when it reconnects
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': -1,
}

/** How long streams may take to end before their connections are cut. */
const SHUTDOWN_MS = 1_000

/** Listens; throws if an address cannot be bound. */
export async function startXdsServer<Client>(options: XdsServerOptions<Client>): Promise<XdsServer<Client>> {
  const { source, clock, log } = options
  const streams = new Set<Stream<Client>>()
  const turns = createTurns<Stream<Client>>((stream) => stream.flush(), options.defer ?? ((run) => setImmediate(run)))
  const metrics = xdsMetrics(options.metrics, () => {
    let pending = 0
    for (const stream of streams) pending += stream.pending
    return pending
  })
  const context = {
    source,
    clock,
    metrics,
    log,
    mostNames: options.mostNames ?? 100_000,
    wake: (stream: Stream<Client>) => turns.add(stream),
    closed: (stream: Stream<Client>) => {
      turns.remove(stream)
      streams.delete(stream)
    },
  }
  let closing = false
  const accept =
    (authenticator: Authenticator<Client>, protocol: Protocol): handleBidiStreamingCall<Buffer, Buffer> =>
    (call) => {
      const stream = new Stream(call, protocol, authenticator, context)
      streams.add(stream)
      if (closing) stream.end(Status.UNAVAILABLE, 'shutting down')
    }

  const servers: Server[] = []
  const addresses: string[] = []
  const close = async (): Promise<void> => {
    if (closing) return
    closing = true
    for (const stream of streams) stream.end(Status.UNAVAILABLE, 'shutting down')
    await Promise.all(servers.map((server) => shutDown(server)))
  }
  try {
    // one server an address, so that a call tells through which it came
    for (const { address, credentials, authenticator = options.authenticator } of options.listen) {
      const server = new Server(GRPC_OPTIONS)
      servers.push(server)
      for (const { name, protocol } of METHODS) {
        server.addService(definition(name), { [name]: accept(authenticator, protocol) })
      }
      addresses.push(await bind(server, address, credentials))
    }
  } catch (error) {
    await close()
    throw error
  }
  log.info({ addresses }, 'serving discovery')
  const stop = (): void => void close()
  if (options.signal?.aborted === true) stop()
  else options.signal?.addEventListener('abort', stop, { once: true })

  return {
    addresses,
    clients: () => [...streams].flatMap((stream) => stream.describe() ?? []),
    disconnect(which) {
      let count = 0
      for (const stream of streams) {
        if (stream.client === undefined || !which(stream.client)) continue
        stream.end(Status.UNAUTHENTICATED, 'not authenticated any more')
        count++
      }
      return count
    },
    async [Symbol.asyncDispose]() {
      options.signal?.removeEventListener('abort', stop)
      await close()
    },
  }
}

const same = (bytes: Buffer): Buffer => bytes

/** Messages stay bytes: they are framed and read by hand. */
function definition(name: string): ServiceDefinition {
  return {
    [name]: {
      path: `/${SERVICE}/${name}`,
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  }
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<string> {
  if (address.startsWith('unix:')) await removeStaleSocket(address.slice('unix:'.length))
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound)
      else reject(new Error(`cannot serve discovery on ${address}: ${error.message}`))
    })
  })
  return address.startsWith('unix:') ? address : address.replace(/:0$/, `:${port}`)
}

/** A process that was killed leaves its socket file behind, which nobody can listen on any more. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() !== true) return
  const alive = await new Promise<boolean>((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (!alive) await unlink(path)
}

/** A connection that never became one can keep a polite shutdown from ending; a timer of the process's own waits for that. */
async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const cut = setTimeout(() => {
      server.forceShutdown()
      resolve()
    }, SHUTDOWN_MS)
    server.tryShutdown(() => {
      clearTimeout(cut)
      resolve()
    })
  })
}
