/** Instances of an application in this process, each of which answers as a test tells it to. */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'

export class Instance implements AsyncDisposable {
  readonly name: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #port = 0
  /** Status of the next answers; that of `/healthz` by itself. */
  status = 200
  health = 200
  /** Requests that wait for `release`, once `hold` is set. */
  hold = false
  readonly #held: (() => void)[] = []
  /** Requests that came, health checks left out. */
  requests = 0
  /** HTTP version of the last. */
  version = ''
  /** Connections that were opened, ever. */
  connections = 0

  private constructor(name: string, version: '1.1' | '2') {
    this.name = name
    this.#server =
      version === '2'
        ? http2.createServer((request, response) => this.#answer(request, response))
        : http.createServer((request, response) => this.#answer(request, response))
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(name: string, version: '1.1' | '2' = '1.1'): Promise<Instance> {
    const instance = new Instance(name, version)
    await instance.up()
    return instance
  }

  get port(): number {
    return this.#port
  }

  get open(): number {
    return this.#sockets.size
  }

  get waiting(): number {
    return this.#held.length
  }

  release(): void {
    this.hold = false
    for (const answer of this.#held.splice(0)) answer()
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Refuses connections, and closes those that are open. */
  async down(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
    await this.down()
  }

  #answer(request: http.IncomingMessage | http2.Http2ServerRequest, response: Response): void {
    if (request.url === '/healthz') {
      response.statusCode = this.health
      response.end()
      return
    }
    this.requests += 1
    this.version = request.httpVersion
    const answer = (): void => {
      response.statusCode = this.status
      response.setHeader('x-instance', this.name)
      response.end()
    }
    if (this.hold) this.#held.push(answer)
    else answer()
  }
}

type Response = http.ServerResponse | http2.Http2ServerResponse

/** Several at once, by name. */
export async function instances<N extends string>(...names: readonly N[]): Promise<Record<N, Instance>> {
  const started = await Promise.all(names.map(async (name) => [name, await Instance.start(name)] as const))
  return Object.fromEntries(started) as Record<N, Instance>
}
