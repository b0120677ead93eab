/**
 * The agent's connections that stay open from one task to the next, for conversations in turns, and its sweeps: one use of each of
 * many destinations.
 */
import http from 'node:http'
import net from 'node:net'
import type { SweepResult, SweepTask, TurnResult, TurnTask } from './agent-protocol.ts'

const TIMEOUT_MS = 15_000

interface Open {
  readonly socket: net.Socket
  data: string
  closed: boolean
  error: string | undefined
  changed: () => void
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.message)

function connect(host: string, port: number): Open {
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true })
  const open: Open = { socket, data: '', closed: false, error: undefined, changed: () => undefined }
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    open.data += chunk
    open.changed()
  })
  socket.on('end', () => {
    open.closed = true
    open.changed()
  })
  socket.on('error', (error) => {
    open.closed = true
    open.error = codeOf(error)
    open.changed()
  })
  return open
}

export class Connections {
  readonly #open = new Map<string, Open>()

  async turn(task: TurnTask): Promise<TurnResult> {
    const start = performance.now()
    const found = this.#open.get(task.connection) ?? (task.open && connect(task.open.host, task.open.port))
    if (found === undefined) throw new Error(`no connection ${task.connection}`)
    this.#open.set(task.connection, found)
    if (task.send !== undefined) found.socket.write(Buffer.from(task.send, 'latin1'))
    if (task.end === true) found.socket.end()
    const done = (): boolean =>
      found.closed ||
      (task.until === undefined
        ? task.untilClosed !== true
        : found.data.length >= (task.length ?? 0) && found.data.includes(task.until))
    if (!done()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, task.timeout ?? TIMEOUT_MS)
        found.changed = () => {
          if (!done()) return
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const { data, closed, error } = found
    found.data = ''
    found.changed = () => undefined
    if (task.hangUp === true) {
      found.socket.destroy()
      this.#open.delete(task.connection)
    }
    return { data, closed, ms: performance.now() - start, ...(error === undefined ? {} : { error }) }
  }
}

function httpOutcome(target: string): Promise<string> {
  return new Promise((resolve) => {
    const request = http.request(`http://${target}/`, { agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(String(response.statusCode)))
      response.on('error', (error) => resolve(codeOf(error)))
    })
    request.on('error', (error) => resolve(codeOf(error)))
    request.end()
  })
}

function tcpOutcome(target: string): Promise<string> {
  const [host = '', port] = target.split(':')
  const socket = net.connect({ host, port: Number(port) })
  return new Promise<string>((resolve) => {
    socket.on('connect', () => socket.write('\0hello'))
    socket.on('data', () => resolve('data'))
    socket.on('end', () => resolve('closed'))
    socket.on('error', (error) => resolve(codeOf(error)))
  }).finally(() => socket.destroy())
}

/** One use of each destination, so many at a time. */
export async function sweep(task: SweepTask): Promise<SweepResult> {
  const outcomes: Record<string, number> = {}
  const times: number[] = []
  const left = [...task.targets]
  const sender = async () => {
    for (let target = left.pop(); target !== undefined; target = left.pop()) {
      const start = performance.now()
      const outcome = await (task.kind === 'http' ? httpOutcome(target) : tcpOutcome(target))
      times.push(performance.now() - start)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: task.concurrency }, sender))
  times.sort((a, b) => a - b)
  return { outcomes, median: times[Math.floor(times.length / 2)] ?? 0, slowest: times.at(-1) ?? 0 }
}
