/**
 * Runs in a workload's place and sends what a test asks for, so that requests come from where the application is without a new
 * process for each. Reads questions and writes answers on its standard streams; see agent-protocol.ts.
 */
import { lookup } from 'node:dns/promises'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import type {
  Answer,
  GrpcResult,
  GrpcTask,
  HttpResult,
  HttpTask,
  LoadResult,
  LoadTask,
  Question,
  TcpResult,
  TcpTask,
  Task,
  WebSocketTask,
} from './agent-protocol.ts'
import { Connections, sweep } from './agent-connections.ts'
import { deserialize, echoService, serialize } from './grpc-echo.ts'

const TIMEOUT_MS = 15_000
const reused = new http.Agent({ keepAlive: true, maxSockets: 1000 })
const sessions = new Map<string, http2.ClientHttp2Session>()
const connections = new Connections()
const stopped = new Map<number, AbortController>()

const flat = (headers: object): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

function httpOne(task: Omit<HttpTask, 'do'>): Promise<HttpResult> {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    const request = http.request(
      task.url,
      {
        method: task.method ?? 'GET',
        headers: { ...task.headers },
        agent: task.keepAlive === true ? reused : false,
        signal: AbortSignal.timeout(task.timeout ?? TIMEOUT_MS),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: flat(response.headers),
            trailers: flat(response.trailers),
            body: Buffer.concat(chunks).toString(),
            ms: performance.now() - start,
          }),
        )
      },
    )
    request.on('error', reject)
    request.end(task.body)
  })
}

function sessionTo(origin: string, keep: boolean): http2.ClientHttp2Session {
  const kept = keep ? sessions.get(origin) : undefined
  if (kept !== undefined && !kept.closed && !kept.destroyed) return kept
  const session = http2.connect(origin)
  session.on('error', () => undefined)
  if (keep) sessions.set(origin, session)
  return session
}

async function httpTwo(task: Omit<HttpTask, 'do'>): Promise<HttpResult> {
  const start = performance.now()
  const url = new URL(task.url)
  const session = sessionTo(url.origin, task.keepAlive === true)
  try {
    return await new Promise<HttpResult>((resolve, reject) => {
      session.once('error', reject)
      const { host, ...headers } = task.headers ?? {}
      const stream = session.request({
        ':method': task.method ?? 'GET',
        ':path': `${url.pathname}${url.search}`,
        ':authority': host ?? url.host,
        ...headers,
      })
      stream.setTimeout(task.timeout ?? TIMEOUT_MS, () => stream.destroy(new Error('timeout')))
      let answer: Record<string, string> = {}
      let trailers: Record<string, string> = {}
      const chunks: Buffer[] = []
      stream.on('response', (received) => (answer = flat(received)))
      stream.on('trailers', (received) => (trailers = flat(received)))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('end', () =>
        resolve({
          status: Number(answer[':status'] ?? 0),
          headers: answer,
          trailers,
          body: Buffer.concat(chunks).toString(),
          ms: performance.now() - start,
        }),
      )
      stream.end(task.body)
    })
  } finally {
    if (task.keepAlive !== true) session.close()
  }
}

const httpAny = (task: Omit<HttpTask, 'do'>): Promise<HttpResult> =>
  task.version === '2' ? httpTwo(task) : httpOne(task)

const codeOf = (error: unknown): string =>
  error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error)

function tcp(task: TcpTask): Promise<TcpResult> {
  const start = performance.now()
  return new Promise((resolve) => {
    let data = ''
    let firstByte: number | undefined
    const { host, port, identity } = task
    const socket =
      task.sni === undefined
        ? net.connect({ host, port })
        : tls.connect({
            host,
            port,
            servername: task.sni,
            rejectUnauthorized: false,
            ...(task.alpn === undefined ? {} : { ALPNProtocols: [...task.alpn] }),
            ...identity,
          })
    const timer = setTimeout(() => finish(false, 'timeout'), task.timeout ?? TIMEOUT_MS)
    const finish = (closed: boolean, error?: string) => {
      clearTimeout(timer)
      // a connection that broke before its handshake was over has none, whatever the types say
      const certificate: tls.PeerCertificate | null =
        socket instanceof tls.TLSSocket ? socket.getPeerCertificate() : null
      const peer = certificate?.subjectaltname
      socket.destroy()
      const ms = performance.now() - start
      resolve({
        data,
        closed,
        ms,
        ...(error === undefined ? {} : { error }),
        ...(firstByte === undefined ? {} : { firstByte }),
        ...(peer === undefined ? {} : { peer }),
      })
    }
    socket.on(
      task.sni === undefined ? 'connect' : 'secureConnect',
      () => task.send !== undefined && socket.write(task.send),
    )
    socket.on('data', (chunk: Buffer) => {
      firstByte ??= performance.now() - start
      data += chunk.toString()
      if (task.until !== undefined && data.includes(task.until)) finish(false)
    })
    socket.on('error', (error) => finish(true, codeOf(error)))
    socket.on('end', () => finish(true))
  })
}

async function grpc(task: GrpcTask): Promise<GrpcResult> {
  const { default: grpcJs } = await import('@grpc/grpc-js') // takes a while, and few need it
  const start = performance.now()
  const Client = grpcJs.makeClientConstructor(echoService, 'echo.Echo')
  const client = new Client(task.target, grpcJs.credentials.createInsecure(), { 'grpc.enable_channelz': 0 })
  const metadata = new grpcJs.Metadata()
  for (const [name, value] of Object.entries(task.metadata ?? {})) metadata.set(name, value)
  const name = task.method ?? 'Unary'
  const path = `/echo.Echo/${name}`
  const options = { deadline: Date.now() + (task.timeout ?? TIMEOUT_MS) }
  const messages: unknown[] = []
  const sent = task.messages ?? [{}]
  try {
    const status = await new Promise<import('@grpc/grpc-js').StatusObject>((resolve) => {
      if (name === 'Unary') {
        const call = client.makeUnaryRequest(path, serialize, deserialize, sent[0], metadata, options, (_, message) => {
          if (message !== undefined) messages.push(message)
        })
        call.on('status', (received) => setImmediate(resolve, received))
        return
      }
      const call = client.makeBidiStreamRequest(path, serialize, deserialize, metadata, options)
      call.on('data', (message: unknown) => messages.push(message))
      call.on('error', () => undefined)
      call.on('status', (received) => setImmediate(resolve, received))
      for (const message of sent) call.write(message)
      call.end()
    })
    const trailers = flat(status.metadata.getMap())
    return { code: status.code, details: status.details, messages, trailers, ms: performance.now() - start }
  } finally {
    client.close()
  }
}

function websocket(task: WebSocketTask): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const received: string[] = []
    const socket = new WebSocket(task.url)
    const timer = setTimeout(() => finish(new Error('timeout')), task.timeout ?? TIMEOUT_MS)
    const finish = (error?: Error) => {
      clearTimeout(timer)
      socket.close()
      if (error === undefined) resolve(received)
      else reject(error)
    }
    socket.addEventListener('open', () => task.messages.forEach((message) => socket.send(message)))
    socket.addEventListener('message', (event) => {
      received.push(String(event.data))
      if (received.length === task.messages.length) finish()
    })
    socket.addEventListener('error', () => finish(new Error('the WebSocket could not be opened, or broke')))
  })
}

async function load(id: number, task: LoadTask): Promise<LoadResult> {
  const answers: LoadResult['answers'][number][] = []
  const stop = new AbortController()
  stopped.set(id, stop)
  let left = task.count ?? Number.POSITIVE_INFINITY
  const sender = async () => {
    while (left > 0 && !stop.signal.aborted) {
      left -= 1
      const start = performance.now()
      try {
        const { status, headers, ms } = await httpAny(task.request)
        answers.push({ status, instance: headers['x-instance'] ?? '', ms })
      } catch (error) {
        answers.push({ status: 0, instance: '', ms: performance.now() - start, error: codeOf(error) })
      }
      if (task.pause !== undefined) await delay(task.pause)
    }
  }
  await Promise.all(Array.from({ length: task.concurrency ?? 1 }, sender))
  stopped.delete(id)
  return { answers }
}

async function perform(id: number, task: Task): Promise<unknown> {
  switch (task.do) {
    case 'http':
      return httpAny(task)
    case 'tcp':
      return tcp(task)
    case 'grpc':
      return grpc(task)
    case 'websocket':
      return websocket(task)
    case 'load':
      return load(id, task)
    case 'turn':
      return connections.turn(task)
    case 'sweep':
      return sweep(task)
    case 'resolve':
      return (await lookup(task.name, { all: true })).map(({ address }) => address)
    case 'stop':
      stopped.get(task.load)?.abort()
      return null
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, ...task }: Question = JSON.parse(line)
    void perform(id, task)
      .then((result): Answer => ({ id, result }))
      .catch((error: unknown): Answer => ({ id, error: codeOf(error) }))
      .then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`))
  })
  .on('close', () => process.exit(0))
