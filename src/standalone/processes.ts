/**
 * Child processes that leave nothing behind: each is the leader of a process group of its own, so that a Ctrl-C in the
 * terminal does not reach it before its turn, and is stopped as a group, politely first. Where `setpriv` exists the kernel
 * kills it if this process dies without a word.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'

/** A program and its arguments; never a shell line. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** `pipe` or a file descriptor that takes both streams. */
  readonly output: 'pipe' | number
  readonly input?: 'pipe'
}

/** Prefix that makes the kernel kill the command when its parent dies; empty where `setpriv` is not to be had. */
export async function diesWithParent(): Promise<readonly string[]> {
  const prefix = ['setpriv', '--pdeathsig', 'KILL', '--']
  const works = await run({ file: 'setpriv', args: [...prefix.slice(1), 'true'] }).then(
    () => true,
    () => false,
  )
  return works ? prefix : []
}

export const commandOf = (argv: readonly string[]): Command => {
  const [file, ...args] = argv
  if (file === undefined) throw new Error('an empty command')
  return { file, args }
}

/** Runs a short command to its end. Rejects with the command and what it said if it fails. */
export function run(command: Command, input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command.file, [...command.args], (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const said = stderr.trim() === '' ? error.message : stderr.trim()
      reject(new Error(`${[command.file, ...command.args].join(' ')}: ${said}`))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input ?? '')
  })
}

/** A running process group. */
export class ProcessGroup {
  readonly child: ChildProcess
  readonly pid: number
  /** Settles when the leader has ended and nothing of its group is left. */
  readonly exited: Promise<Exit>
  #running = true

  private constructor(child: ChildProcess, pid: number) {
    this.child = child
    this.pid = pid
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#running = false
        this.#kill('SIGKILL') // whatever the leader left behind
        resolve({ code, signal })
      })
    })
  }

  /** Rejects if the program cannot be started. */
  static async start(command: Command, options: SpawnOptions): Promise<ProcessGroup> {
    const child = spawn(command.file, [...command.args], {
      detached: true,
      stdio: [options.input ?? 'ignore', options.output, options.output],
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.on('error', () => undefined)
    if (child.pid === undefined) throw new Error(`${command.file} did not start`)
    return new ProcessGroup(child, child.pid)
  }

  get running(): boolean {
    return this.#running
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#kill(signal)
  }

  /** SIGTERM to the group, SIGKILL to what is still there after `graceMs`. */
  async stop(graceMs: number): Promise<Exit> {
    this.signal('SIGTERM')
    const timer = new AbortController()
    const late = delay(graceMs, undefined, { signal: timer.signal }).then(
      () => this.signal('SIGKILL'),
      () => undefined,
    )
    const exit = await this.exited
    timer.abort()
    await late
    return exit
  }

  #kill(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // gone already
    }
  }
}
