/**
 * A whole mesh for a traffic test: the real control plane in this process over a folder of its own, real Envoys and real
 * applications. Requests are sent from the workloads' own places.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { HostEntry, Place } from '../../src/standalone/isolation/isolation.ts'
import { ProcessGroup } from '../../src/standalone/processes.ts'
import type { RunnerEvent } from '../../src/standalone/runnable.ts'
import type { Runner } from '../../src/standalone/runner.ts'
import { type Standalone, type StandaloneOptions, startStandalone } from '../../src/standalone.ts'
import type {
  GrpcResult,
  GrpcTask,
  HttpResult,
  HttpTask,
  LoadResult,
  LoadTask,
  SweepResult,
  SweepTask,
  TcpResult,
  TcpTask,
} from './agent-protocol.ts'
import { Connection } from './connection.ts'
import type { Echo, Received } from './echo.ts'
import { eventually } from './eventually.ts'
import { PlaceAgent } from './place-agent.ts'

export interface MeshOptions {
  /** `netns` if not given. */
  readonly isolation?: 'netns' | 'loopback'
  /** More of what the composition root takes. */
  readonly standalone?: Partial<Omit<StandaloneOptions, 'run' | 'paths'>>
  /** Where state is kept; a folder that goes with the mesh if not given. */
  readonly stateDirectory?: string
}

/** An answer of the echo server, or of a proxy instead of it. */
export type MeshAnswer = HttpResult & {
  /** What arrived; undefined if it was not the echo server that answered. */
  readonly echo: Echo | undefined
}

const keyOf = (workload: string) => (workload.includes('/') ? workload : `default/${workload}`)

function withEcho(result: HttpResult): MeshAnswer {
  if (result.headers['x-instance'] === undefined || !result.body.startsWith('{')) return { ...result, echo: undefined }
  return { ...result, echo: JSON.parse(result.body) as Echo }
}

/** Workloads are named `name` (in namespace default) or `namespace/name`. */
export class TestMesh implements AsyncDisposable {
  readonly standalone: Standalone
  /** All that the runner told, in order. */
  readonly events: RunnerEvent[]
  /** Lines that the control plane logged. */
  readonly log: readonly string[]
  readonly #directory: string
  readonly #stack: AsyncDisposableStack
  readonly #agents = new Map<Place, Promise<PlaceAgent>>()
  readonly #outside = new Map<string, Place>()
  readonly #outsideLines: Received[] = []

  private constructor(
    standalone: Standalone,
    events: RunnerEvent[],
    log: readonly string[],
    directory: string,
    stack: AsyncDisposableStack,
  ) {
    this.log = log
    this.standalone = standalone
    this.events = events
    this.#directory = directory
    this.#stack = stack
  }

  /** Starts it over these YAML texts (each one file) and waits until every workload's proxy is ready and every echo server listens. */
  static async start(yaml: string | readonly string[], options: MeshOptions = {}): Promise<TestMesh> {
    await using stack = new AsyncDisposableStack()
    const base = await mkdtemp(join(tmpdir(), 'heddle-test-'))
    stack.defer(() => rm(base, { recursive: true, force: true }))
    const directory = join(base, 'mesh')
    await mkdir(directory)
    const texts = typeof yaml === 'string' ? [yaml] : yaml
    await Promise.all(texts.map((text, index) => writeFile(join(directory, `${index}.yaml`), text)))
    const events: RunnerEvent[] = []
    const log: string[] = []
    const standalone = stack.use(
      await startStandalone({
        paths: [directory],
        stateDir: options.stateDirectory ?? join(base, 'state'),
        log: pino({ level: 'debug' }, { write: (line) => void log.push(line) }),
        run: { isolation: options.isolation ?? 'netns', onEvent: (event) => void events.push(event) },
        ...options.standalone,
      }),
    )
    const mesh = new TestMesh(standalone, events, log, directory, stack.move())
    try {
      await mesh.settled()
    } catch (error) {
      await mesh[Symbol.asyncDispose]()
      throw error
    }
    return mesh
  }

  /** Resolves when every echo server that was started listens, and every proxy is ready. */
  async settled(): Promise<void> {
    await this.standalone.settled()
    await eventually(() => {
      const failed = this.events.findLast(({ type }) => type === 'failed')
      const state = new Map<string, string>()
      for (const event of this.events) {
        if (event.type === 'app-started' || event.type === 'app-exited' || event.type === 'stopped')
          state.set(event.workload, event.type)
        if (event.type === 'output' && event.line === '{"kind":"ready"}') state.set(event.workload, 'ready')
      }
      const late = [...state].filter(([, last]) => last === 'app-started' || last === 'app-exited')
      if (late.length > 0 || failed !== undefined) {
        const said = this.events.filter(({ type }) => type !== 'placed' && type !== 'stopped').slice(-20)
        throw new Error(`not all is ready: ${JSON.stringify([...late, ...said], null, 1)}`)
      }
    })
  }

  /** Writes a file into the folder, as an editor would: whole. */
  async apply(yaml: string, file = 'test.yaml'): Promise<void> {
    const temporary = join(this.#directory, '..', `${file}.new`)
    await writeFile(temporary, yaml)
    await rename(temporary, join(this.#directory, file))
  }

  /** Removes a file from the folder. */
  async delete(file = 'test.yaml'): Promise<void> {
    await rm(join(this.#directory, file))
  }

  get runner(): Runner {
    const { runner } = this.standalone
    if (runner === undefined) throw new Error('a mesh without a runner')
    return runner
  }

  /** Folder that the control plane reads. */
  get directory(): string {
    return this.#directory
  }

  /** netns only: a machine that the mesh does not know, with echo servers on the ports (`KIND:PORT`). */
  async addOutside(
    name: string,
    addresses: readonly string[],
    ports: readonly string[] = [],
    more: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const place = await this.runner.isolation.place({ namespace: 'outside', name, addresses, intercept: false })
    this.#outside.set(`outside/${name}`, place)
    if (ports.length === 0) return
    const command = place.command('app', [process.execPath, join(import.meta.dirname, 'echo.ts'), ...ports])
    const env = { ...process.env, HOST: place.host, INSTANCE: name, ...more }
    const group = await ProcessGroup.start(command, { output: 'pipe', env })
    this.#stack.defer(async () => void (await group.stop(1000)))
    await new Promise<void>((resolve) => {
      group.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n').filter((part) => part.startsWith('{'))) {
          if (line === '{"kind":"ready"}') resolve()
          else this.#outsideLines.push(JSON.parse(line))
        }
      })
    })
  }

  /** Names outside of the mesh, for proxies and applications. */
  setOutsideHosts(entries: readonly HostEntry[]): Promise<void> {
    return this.runner.isolation.setOutsideHosts(entries)
  }

  async request(from: string, url: string, init: Omit<HttpTask, 'do' | 'url'> = {}): Promise<MeshAnswer> {
    const agent = await this.#agent(from)
    const [dialled, host] = this.#dial(from, url)
    const headers = host === undefined ? init.headers : { host, ...init.headers }
    return withEcho(
      await agent.ask({ do: 'http', ...init, url: dialled, ...(headers === undefined ? {} : { headers }) }),
    )
  }

  async tcp(
    from: string,
    host: string,
    port: number,
    init: Omit<TcpTask, 'do' | 'host' | 'port'> = {},
  ): Promise<TcpResult> {
    const [dialled] = this.#dial(from, `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`)
    const url = new URL(dialled)
    const agent = await this.#agent(from)
    return agent.ask({ do: 'tcp', ...init, host: url.hostname.replaceAll(/[[\]]/g, ''), port: Number(url.port) })
  }

  /** A connection that stays open until it is disposed of, for conversations in turns. */
  async connect(from: string, host: string, port: number): Promise<Connection> {
    const [dialled] = this.#dial(from, `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`)
    const url = new URL(dialled)
    return new Connection(await this.#agent(from), {
      host: url.hostname.replaceAll(/[[\]]/g, ''),
      port: Number(url.port),
    })
  }

  /** One use of each of many destinations. */
  async sweep(from: string, task: Omit<SweepTask, 'do'>): Promise<SweepResult> {
    return (await this.#agent(from)).ask({ do: 'sweep', ...task })
  }

  /** `target` is `host:port`. */
  async grpc(from: string, target: string, init: Omit<GrpcTask, 'do' | 'target'> = {}): Promise<GrpcResult> {
    const [dialled] = this.#dial(from, `grpc://${target}`)
    return (await this.#agent(from)).ask({ do: 'grpc', ...init, target: new URL(dialled).host })
  }

  /** Sends messages and returns as many answers. */
  async websocket(from: string, url: string, messages: readonly string[]): Promise<readonly string[]> {
    const [dialled] = this.#dial(from, url)
    return (await this.#agent(from)).ask({ do: 'websocket', url: dialled, messages })
  }

  /** Many requests; without `count` until `stop` is called. */
  async load(
    from: string,
    url: string,
    task: Omit<LoadTask, 'do' | 'request'> & { readonly request?: Omit<HttpTask, 'do' | 'url'> } = {},
  ) {
    const agent = await this.#agent(from)
    const [dialled, host] = this.#dial(from, url)
    const headers = { ...(host === undefined ? {} : { host }), ...task.request?.headers }
    const { id, result } = agent.begin({ do: 'load', ...task, request: { ...task.request, headers, url: dialled } })
    const stop = async (): Promise<LoadResult> => {
      await agent.ask({ do: 'stop', load: id })
      return result
    }
    return { result, stop }
  }

  async resolve(from: string, name: string): Promise<readonly string[]> {
    return (await this.#agent(from)).ask({ do: 'resolve', name })
  }

  /** Runs a command in the workload's place, as its application would. Resolves to what it printed, whatever its status. */
  exec(
    from: string,
    argv: readonly string[],
  ): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
    const { file, args } = this.#place(from).command('app', argv)
    return new Promise((resolve) => {
      execFile(file, [...args], { timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr })
      })
    })
  }

  /** What reached a workload's echo server (or that of an outside machine) so far. */
  received(workload: string): readonly Received[] {
    if (workload.startsWith('outside/')) return this.#outsideLines
    const key = keyOf(workload)
    return this.events.flatMap((event) => {
      if (event.type !== 'output' || event.workload !== key || !event.line.startsWith('{"kind":')) return []
      const received: Received = JSON.parse(event.line)
      return received.kind === 'ready' ? [] : [received]
    })
  }

  /** An answer of the workload's Envoy's admin; throws if it is not 200. */
  async admin(workload: string, path: string, method: 'GET' | 'POST' = 'GET'): Promise<string> {
    const proxy = this.runner.proxy(keyOf(workload))
    if (proxy === undefined) throw new Error(`no proxy runs for ${workload}`)
    const { status, body } = await proxy.admin(method, path)
    if (status !== 200) throw new Error(`admin ${path} of ${workload}: ${status} ${body}`)
    return body
  }

  /** Value of one counter or gauge of the workload's Envoy; 0 if there is none. */
  async stat(workload: string, name: string): Promise<number> {
    const text = await this.admin(
      workload,
      `/stats?filter=^${encodeURIComponent(name.replaceAll(/[.|[\]]/g, String.raw`\$&`))}$`,
    )
    return Number(text.split(': ')[1] ?? 0)
  }

  eventually<T>(attempt: () => T | Promise<T>, within?: number): Promise<T> {
    return eventually(attempt, within)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map(async (agent) => (await agent)[Symbol.asyncDispose]()))
    await Promise.all([...this.#outside.values()].map((place) => place[Symbol.asyncDispose]()))
    await this.#stack.disposeAsync()
  }

  #place(workload: string): Place {
    const place = this.#outside.get(workload) ?? this.runner.place(keyOf(workload))
    if (place === undefined) throw new Error(`no place for ${workload}`)
    return place
  }

  #agent(workload: string): Promise<PlaceAgent> {
    const place = this.#place(workload)
    const agent = this.#agents.get(place) ?? PlaceAgent.start(place)
    this.#agents.set(place, agent)
    return agent
  }

  /** What to dial for a URL, and the Host it then needs: without interception, the local port that stands for the service. */
  #dial(from: string, url: string): [dialled: string, host: string | undefined] {
    if (this.runner.isolation.intercepts || this.#outside.has(from)) return [url, undefined]
    const { protocol, hostname, port, host, pathname, search } = new URL(url)
    const variable = `UPSTREAM_${hostname.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_${port === '' ? 80 : port}`
    const local = this.runner.environment(keyOf(from))?.[variable]
    return local === undefined ? [url, undefined] : [`${protocol}//${local}${pathname}${search}`, host]
  }
}
