// What the processes of the bench say to each other, and a clock that they share.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { MeshSize } from './mesh.ts'

export interface Settings {
  readonly size: MeshSize
  readonly tls: boolean
}

export interface Usage {
  /** User and system, seconds since the start of the process. */
  readonly cpu: number
  readonly rss: number
  readonly heapUsed: number
  readonly computations: number
  readonly streams: number
}

export type Command =
  | { readonly id: number; readonly do: 'usage' | 'cpu' | 'route' | 'stop' }
  | { readonly id: number; readonly do: 'endpoint' | 'service'; readonly service: number }

export interface Reply {
  readonly id: number
  readonly ready?: { readonly address: string; readonly bundle: string; readonly tokens: readonly string[] }
  readonly usage?: Usage
  readonly cpu?: number
  /** When a change was made, milliseconds of `wallClock`. */
  readonly at?: number
}

/** Milliseconds, of better resolution than Date.now, comparable between processes of a machine. */
export const wallClock = (): number => performance.timeOrigin + performance.now()

/** A child that answers each command with the same id. */
export class Child<Ask extends { readonly id: number }, Answer extends { readonly id: number }> {
  readonly process: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #next = 1

  constructor(file: string, argument: unknown, execArgv: readonly string[] = []) {
    this.process = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning', ...execArgv],
      serialization: 'advanced',
    })
    // a thousand tokens are too much for a command line
    this.process.send(argument as object)
    this.process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.process.on('exit', (code) => {
      if (this.#waiting.size > 0) throw new Error(`${file} ended with ${code}`)
    })
  }

  /** The first message, which nobody asked for. */
  ready(): Promise<Answer> {
    return new Promise((resolve) => this.#waiting.set(0, resolve))
  }

  ask(command: Omit<Ask, 'id'>): Promise<Answer> {
    const id = this.#next++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.process.send({ ...command, id })
    })
  }

  async end(): Promise<void> {
    const exited = once(this.process, 'exit')
    this.#waiting.clear()
    this.process.send({ id: -1, do: 'stop' })
    await exited
  }
}

/** In a child: what its parent started it with. */
export function settings<T>(): Promise<T> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as T)))
}
