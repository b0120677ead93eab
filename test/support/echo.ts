/**
 * The application of the traffic tests: says back what arrived, and who it is. Started as `node echo.ts KIND:PORT…`, where
 * KIND is http (HTTP/1.1, HTTP/2 with prior knowledge and WebSocket on one port), grpc, tcp (the client speaks first), banner
 * (the server does), eof (answers when the client has closed its half) or tls (TLS with HTTP inside; self-signed, or with the
 * key and certificate in TLS_KEY and TLS_CERT). HOST and INSTANCE are its address and name.
 *
 * Each HTTP or gRPC request and each TCP connection is also printed as one line of JSON, so that a test sees what reached
 * which instance even where no answer tells (mirrored requests, for one).
 *
 * A request asks for an answer other than 200 by `x-echo-…` headers (metadata in gRPC): `status`, `delay` (milliseconds),
 * `size` (bytes of body), `fail` (`KEY:N`: this instance fails the first N requests that carry KEY), `only` (the others apply
 * to the instance of this name alone), `reset` (closes the connection without an answer), `set` (a response header, `NAME=VALUE`).
 */
import { createHash } from 'node:crypto'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import grpc from '@grpc/grpc-js'
import { echoService } from './grpc-echo.ts'
import { selfSigned } from './self-signed.ts'

/** What one HTTP request looked like on arrival. */
export interface Echo {
  readonly instance: string
  readonly protocol: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bodyLength: number
  /** The first 1000 characters of it. */
  readonly body: string
  /** Address that the connection came from. */
  readonly peer: string
  /** Port that it came to. */
  readonly port: number
  /** Subject alternative names of the certificate that the client presented to a tls port. */
  readonly certificate?: string
}

/** A line that the application prints. */
export type Received =
  | ({ readonly kind: 'http' } & Echo)
  | {
      readonly kind: 'grpc'
      readonly instance: string
      readonly method: string
      readonly metadata: Record<string, string>
    }
  | { readonly kind: 'tcp'; readonly instance: string; readonly port: number; readonly peer: string }
  /** All ports are open; the first line. */
  | { readonly kind: 'ready' }

const instance = process.env['INSTANCE'] ?? process.env['WORKLOAD_NAME'] ?? 'echo'
const host = process.env['HOST'] ?? '127.0.0.1'
const failures = new Map<string, number>()
const print = (received: Received) => process.stdout.write(`${JSON.stringify(received)}\n`)

interface Wish {
  readonly status: number
  readonly delay: number
  readonly size: number
  readonly reset: boolean
  readonly set: string | undefined
}

function wishOf(header: (name: string) => string | undefined): Wish {
  const only = header('x-echo-only')
  const plain = { status: Number(process.env['ECHO_STATUS'] ?? 200), delay: 0, size: 0, reset: false, set: undefined }
  if (only !== undefined && only !== instance) return plain
  const [key = '', times = '0'] = (header('x-echo-fail') ?? '').split(':')
  const failed = failures.get(key) ?? 0
  const fails = key !== '' && failed < Number(times)
  if (fails) failures.set(key, failed + 1)
  const status = header('x-echo-status')
  return {
    status: fails ? Number(status ?? 503) : key === '' && status !== undefined ? Number(status) : plain.status,
    delay: Number(header('x-echo-delay') ?? 0),
    size: Number(header('x-echo-size') ?? 0),
    reset: header('x-echo-reset') !== undefined && (key === '' || fails),
    set: header('x-echo-set'),
  }
}

type Request = http.IncomingMessage | http2.Http2ServerRequest
type Response = http.ServerResponse | http2.Http2ServerResponse

function certificateOf(socket: net.Socket): Pick<Echo, 'certificate'> {
  const names = socket instanceof tls.TLSSocket ? socket.getPeerCertificate()?.subjectaltname : undefined
  return names === undefined ? {} : { certificate: names }
}

async function answer(request: Request, response: Response): Promise<void> {
  let body = ''
  let bodyLength = 0
  for await (const chunk of request) {
    const bytes = chunk as Buffer
    bodyLength += bytes.length
    if (body.length < 1000) body += bytes.toString('latin1').slice(0, 1000 - body.length)
  }
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.startsWith(':')))
  const echo: Echo = {
    instance,
    protocol: `HTTP/${request.httpVersion}`,
    method: request.method ?? '',
    path: request.url ?? '',
    headers: { host: request.headers.host ?? request.headers[':authority']?.toString(), ...headers },
    bodyLength,
    body,
    peer: request.socket.remoteAddress ?? '',
    port: request.socket.localPort ?? 0,
    ...certificateOf(request.socket),
  }
  print({ kind: 'http', ...echo })
  const wish = wishOf((name) => request.headers[name]?.toString())
  if (wish.delay > 0) await delay(wish.delay)
  if (wish.reset) return void request.socket.destroy()
  const text = wish.size > 0 ? 'x'.repeat(wish.size) : `${JSON.stringify(echo, null, 2)}\n`
  response.statusCode = wish.status
  response.setHeader('content-type', wish.size > 0 ? 'text/plain' : 'application/json')
  response.setHeader('x-instance', instance)
  const [name, value] = wish.set?.split('=') ?? []
  if (name !== undefined && value !== undefined) response.setHeader(name, value)
  response.end(text)
}

/** Echoes unfragmented text and binary messages under 64 kB, answers close. */
function webSocket(request: http.IncomingMessage, socket: import('node:stream').Duplex): void {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11` // RFC 6455, 1.3
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-instance: ${instance}\r\n` +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  let pending = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 2) {
      const short = pending.readUInt8(1) & 127
      const start = short === 126 ? 4 : 2
      if (pending.length < start) return
      const length = short === 126 ? pending.readUInt16BE(2) : short
      const end = start + 4 + length
      if (pending.length < end) return
      const opcode = pending.readUInt8(0) & 15
      const mask = pending.subarray(start, start + 4)
      const payload = pending.subarray(start + 4, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0))
      const size = length < 126 ? [length] : [126, length >> 8, length & 255]
      socket.write(Buffer.concat([Buffer.from([128 | opcode, ...size]), payload]))
      pending = pending.subarray(end)
      if (opcode === 8) socket.end()
    }
  })
}

/** HTTP/1.1 and HTTP/2 on one port, told apart by the first byte of HTTP/2's preface. */
function sniffing(): (socket: net.Socket) => void {
  const one = http.createServer((request, response) => void answer(request, response).catch(() => response.destroy()))
  one.keepAliveTimeout = 60_000
  one.on('upgrade', webSocket)
  const two = http2.createServer(
    (request, response) => void answer(request, response).catch(() => response.stream?.close()),
  )
  return (socket) => {
    socket.on('error', () => undefined)
    // HTTP/2 takes over the connection with what lies in its buffer, if it is not flowing
    socket.once('readable', () => {
      const first: Buffer | null = socket.read()
      if (first === null) return
      socket.unshift(first)
      ;(first.toString('latin1', 0, 4) === 'PRI ' ? two : one).emit('connection', socket)
    })
  }
}

const metadataOf = (metadata: grpc.Metadata): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata.getMap()).map(([name, value]) => [name, value.toString()]))

const trailers = (status: number): grpc.Metadata => {
  const metadata = new grpc.Metadata()
  metadata.set('x-instance', instance)
  metadata.set('x-trailer', `status ${status}`)
  return metadata
}

const CODES = new Map<number, grpc.status>(
  Object.values(grpc.status).flatMap((status) => (typeof status === 'string' ? [] : [[status, status]])),
)

/** `x-echo-status` is a gRPC status code here; unasked-for means OK, and what fails without one is unavailable. */
function statusOf(wished: number): grpc.status {
  return CODES.get(wished) ?? (wished === 200 ? grpc.status.OK : grpc.status.UNAVAILABLE)
}

const unary: grpc.handleUnaryCall<unknown, unknown> = (call, callback) => {
  const metadata = metadataOf(call.metadata)
  print({ kind: 'grpc', instance, method: call.getPath(), metadata })
  const wish = wishOf((name) => metadata[name])
  const code = statusOf(wish.status)
  setTimeout(() => {
    if (code !== grpc.status.OK) callback({ code, details: `as asked: ${code}`, metadata: trailers(code) })
    else callback(null, { instance, metadata, message: call.request }, trailers(0))
  }, wish.delay)
}
const stream: grpc.handleBidiStreamingCall<unknown, unknown> = (call) => {
  print({ kind: 'grpc', instance, method: call.getPath(), metadata: metadataOf(call.metadata) })
  call.on('data', (message: unknown) => call.write({ instance, message }))
  call.on('end', () => call.end(trailers(0)))
  call.on('error', () => undefined)
}

async function grpcServer(port: number): Promise<void> {
  const server = new grpc.Server()
  server.addService(echoService, { Unary: unary, Stream: stream as grpc.UntypedHandleCall })
  await new Promise<void>((resolve, reject) => {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    )
  })
}

function listen(kind: string, port: number): Promise<void> {
  const connected = (socket: net.Socket) => {
    socket.on('error', () => undefined)
    print({ kind: 'tcp', instance, port, peer: socket.remoteAddress ?? '' })
  }
  const inside = sniffing()
  const servers: Record<string, () => net.Server> = {
    http: () => net.createServer({ allowHalfOpen: true }, inside),
    tcp: () =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        connected(socket)
        socket.once('data', (first) => {
          socket.write(`${instance}: ${first.toString()}`)
          socket.on('data', (chunk) => socket.write(chunk))
        })
        socket.on('end', () => socket.end())
      }),
    banner: () =>
      net.createServer((socket) => {
        connected(socket)
        socket.write(`220 ${instance} ready\r\n`)
        socket.on('data', (chunk) => socket.write(`250 ${chunk.toString()}`))
      }),
    eof: () =>
      net.createServer({ allowHalfOpen: true }, (socket) => {
        connected(socket)
        let length = 0
        socket.on('data', (chunk) => (length += chunk.length))
        socket.on('end', () => socket.end(`${instance}: ${length} bytes`))
      }),
    tls: () => {
      const { TLS_KEY: key, TLS_CERT: cert } = process.env
      const own = key === undefined || cert === undefined ? selfSigned(`${instance}.example.com`) : { key, cert }
      return tls.createServer({ ...own, requestCert: true, rejectUnauthorized: false }, inside)
    },
  }
  const server = servers[kind]?.()
  if (server === undefined) throw new Error(`unknown kind of port: ${kind}`)
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
}

for (const argument of process.argv.slice(2)) {
  const [kind = '', port = ''] = argument.split(':')
  await (kind === 'grpc' ? grpcServer(Number(port)) : listen(kind, Number(port)))
}
print({ kind: 'ready' })
process.on('SIGTERM', () => process.exit(0))
