/**
 * One Envoy: found, started, kept running, asked through its admin socket, and stopped without cutting what it still serves.
 */
import { access, constants, open, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { delimiter, join, resolve } from 'node:path'
import type { ProxyFiles } from './bootstrap.ts'
import type { Place } from './isolation/isolation.ts'
import { ProcessGroup } from './processes.ts'
import { Supervisor } from './supervisor.ts'

export interface EnvoyOptions {
  readonly binary: string
  readonly files: ProxyFiles
  readonly place: Place
  /** Working directory, which the proxy's user can enter. */
  readonly directory: string
  /** Worker threads; 1 if not given. */
  readonly concurrency?: number
  /** `warning` if not given. */
  readonly logLevel?: string
  /** Called when it ended without having been told to; it is started again. */
  readonly onExit?: (reason: string) => void
}

export interface AdminAnswer {
  readonly status: number
  readonly body: string
}

/** Time for the requests in flight when an Envoy is stopped, milliseconds. */
const DRAIN_MS = 5000

/** The Envoy to use: `ENVOY_BIN`, the one on PATH, or the one that `make` installs in this checkout. */
export async function findEnvoy(env: Readonly<Record<string, string | undefined>>, checkout: string): Promise<string> {
  const chosen = env['ENVOY_BIN']
  if (chosen !== undefined && chosen !== '') {
    if (await isExecutable(chosen)) return resolve(chosen)
    throw new Error(`ENVOY_BIN is ${chosen}, which is not an executable file`)
  }
  const candidates = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const folder of [...candidates, join(checkout, '.tools/envoy/bin')]) {
    const path = resolve(folder, 'envoy')
    if (await isExecutable(path)) return path
  }
  throw new Error('no Envoy found: set ENVOY_BIN, put `envoy` on the PATH, or run `make envoy` in a checkout of Heddle')
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

/** One request to Envoy's admin, over its Unix socket. */
export function admin(socketPath: string, method: 'GET' | 'POST', path: string): Promise<AdminAnswer> {
  return new Promise((fulfil, reject) => {
    const asked = request({ socketPath, method, path, timeout: 10_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => fulfil({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    asked.on('timeout', () => asked.destroy(new Error(`Envoy's admin did not answer ${method} ${path} within 10 s`)))
    asked.on('error', reject)
    asked.end()
  })
}

export class EnvoyProcess implements AsyncDisposable {
  readonly #options: EnvoyOptions
  readonly #supervisor: Supervisor

  private constructor(options: EnvoyOptions) {
    this.#options = options
    this.#supervisor = new Supervisor({
      start: () => this.#spawn(),
      onExit: (reason) => void this.#tellExit(reason),
    })
  }

  /** Starts it; resolves when the process runs, which is before it is ready. */
  static async start(options: EnvoyOptions): Promise<EnvoyProcess> {
    const envoy = new EnvoyProcess(options)
    await envoy.#supervisor.started()
    return envoy
  }

  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.#supervisor.pid
  }

  admin(method: 'GET' | 'POST', path: string): Promise<AdminAnswer> {
    return admin(this.#options.files.adminSocket, method, path)
  }

  /** Whether it has its listeners and everything that these need. */
  async isReady(): Promise<boolean> {
    return this.admin('GET', '/ready').then(
      (answer) => answer.status === 200,
      () => false,
    )
  }

  /** Asks peers to come no more: answers carry `connection: close`, HTTP/2 gets GOAWAY. Requests are still served. */
  async drain(): Promise<void> {
    await this.admin('POST', '/drain_listeners?inboundonly&graceful').catch(() => undefined)
  }

  /** Kills it; it is started again, as after a crash. */
  kill(): void {
    this.#supervisor.kill()
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop(DRAIN_MS)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** With Envoy's own last words, which say what it did not like. */
  async #tellExit(reason: string): Promise<void> {
    const log = await readFile(this.#options.files.log, 'utf8').catch(() => '')
    const last = log
      .trimEnd()
      .split('\n')
      .findLast((line) => line.trim() !== '')
    this.#options.onExit?.(last === undefined ? reason : `${reason}: ${last.slice(0, 500)}`)
  }

  async #spawn(): Promise<ProcessGroup> {
    const { binary, files, place, directory, concurrency = 1, logLevel = 'warning' } = this.#options
    const command = place.command('proxy', [
      binary,
      '--config-path',
      files.bootstrap,
      '--concurrency',
      String(concurrency),
      '--log-level',
      logLevel,
      '--disable-hot-restart',
    ])
    const log = await open(files.log, 'a', 0o600)
    try {
      return await ProcessGroup.start(command, { output: log.fd, cwd: directory })
    } finally {
      await log.close()
    }
  }
}
