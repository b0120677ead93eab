/**
 * The least control plane: delta ADS over TLS that answers every first question with nothing, so that an Envoy becomes ready.
 * For what concerns an Envoy's start and its connection, where a whole mesh would only be in the way.
 */
import { rm } from 'node:fs/promises'
import http2 from 'node:http2'
import net, { type Socket } from 'node:net'

/** A protobuf field of wire type 2. */
const field = (number: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)])

/** A gRPC message: not compressed, its length, DeltaDiscoveryResponse { type_url = 4, nonce = 5 }. */
function emptyResponse(typeUrl: string, nonce: number): Buffer {
  const message = Buffer.concat([field(4, typeUrl), field(5, String(nonce))])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

export interface SeenStream {
  readonly authorization: string
  readonly path: string
}

export class EmptyAds implements AsyncDisposable {
  /** What came, in order. */
  readonly streams: SeenStream[] = []
  readonly #server: http2.Http2SecureServer
  /** What clients connect to: hands bytes on, or, frozen, keeps the connection and moves nothing. */
  readonly #front: net.Server
  readonly #sockets = new Set<Socket>()
  #nonce = 0

  private constructor(path: string, identity: { readonly key: string; readonly cert: string }) {
    this.#server = http2.createSecureServer({ ...identity, ALPNProtocols: ['h2'] })
    this.#server.on('session', (session) => session.on('error', () => undefined))
    this.#server.on('stream', (stream, headers) => {
      this.streams.push({ authorization: String(headers['authorization']), path: String(headers[':path']) })
      stream.on('error', () => undefined)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      const answered = new Set<string>()
      stream.on('data', (chunk: Buffer) => {
        for (const [typeUrl] of chunk
          .toString('latin1')
          .matchAll(/type\.googleapis\.com\/envoy\.config\.(?:cluster|listener)\.v3\.[A-Z][a-z]+/g)) {
          if (answered.has(typeUrl)) continue
          answered.add(typeUrl)
          stream.write(emptyResponse(typeUrl, (this.#nonce += 1)))
        }
      })
    })
    this.#front = net.createServer((socket) => {
      const back = net.connect(`${path}.back`)
      for (const end of [socket, back]) {
        this.#sockets.add(end)
        end.on('error', () => undefined)
        end.on('close', () => {
          this.#sockets.delete(end)
          socket.destroy()
          back.destroy()
        })
      }
      socket.pipe(back).pipe(socket)
    })
  }

  /** Listens on a Unix socket that everybody may open. */
  static async start(path: string, identity: { readonly key: string; readonly cert: string }): Promise<EmptyAds> {
    const ads = new EmptyAds(path, identity)
    await Promise.all([rm(path, { force: true }), rm(`${path}.back`, { force: true })])
    await new Promise<void>((resolve) => ads.#server.listen(`${path}.back`, resolve))
    await new Promise<void>((resolve) => ads.#front.listen({ path, readableAll: true, writableAll: true }, resolve))
    return ads
  }

  /** Reads and writes no more on the connections there are, without closing them: as a process that hangs. */
  freeze(): void {
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  /** Ends the connections there are; new ones are taken. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect()
    await Promise.all([this.#front, this.#server].map((server) => new Promise((resolve) => server.close(resolve))))
  }
}
