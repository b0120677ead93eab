/**
 * A mesh whose control plane is a process apart, so that it can be killed or frozen while the Envoys and the applications, which
 * belong to this process, go on. On loopback addresses of its own: needs no root, and disturbs no other test.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { systemClock } from '../../src/engine/clock.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { JoinTokens } from '../../src/identity/tokens.ts'
import { loopbackIsolation } from '../../src/standalone/isolation/loopback.ts'
import { diesWithParent } from '../../src/standalone/processes.ts'
import { RunDirectory } from '../../src/standalone/run-directory.ts'
import type { RunnableWorkload, RunnerEvent } from '../../src/standalone/runnable.ts'
import { Runner } from '../../src/standalone/runner.ts'
import type { HttpResult, HttpTask, LoadResult, LoadTask, TcpResult, TcpTask } from './agent-protocol.ts'
import { ControlPlane } from './control-plane.ts'
import { envoyBinary } from './envoy.ts'
import { eventually } from './eventually.ts'
import { PlaceAgent } from './place-agent.ts'
import { echoWorkload, type EchoOptions } from './yaml.ts'

/** The nth loopback address that no other test process uses. */
export const ownAddress = (number: number): string =>
  `127.${96 + ((process.pid >> 8) & 15)}.${process.pid & 255}.${number}`

export interface DetachedOptions {
  /** Workloads, all in namespace default. */
  readonly workloads: Readonly<Record<string, Omit<EchoOptions, 'namespace' | 'address'>>>
  /** All other objects, as YAML. */
  readonly objects: string
}

interface WorkloadYaml {
  readonly spec: {
    readonly serviceAccount: string
    readonly address: string
    readonly ports: readonly { readonly name: string; readonly port: number }[]
    readonly run: {
      readonly command: readonly string[]
      readonly env: readonly { readonly name: string; readonly value: string }[]
    }
    readonly upstreams?: readonly {
      readonly service: { readonly name: string; readonly port: number }
      readonly port: number
    }[]
  }
}

/** The Workload as a runner elsewhere, without a catalog, knows it. */
function runnable(name: string, { spec }: WorkloadYaml, workingDirectory: string): RunnableWorkload {
  return {
    namespace: 'default',
    name,
    serviceAccount: spec.serviceAccount,
    addresses: [spec.address],
    locality: { region: '', zone: '', subZone: '' },
    ports: spec.ports,
    upstreams: (spec.upstreams ?? []).map(({ service, port }) => ({
      service: `default/${service.name}`,
      servicePort: service.port,
      localPort: port,
    })),
    run: {
      command: spec.run.command,
      env: Object.fromEntries(spec.run.env.map((variable) => [variable.name, variable.value])),
      workingDirectory,
    },
  }
}

export class DetachedMesh implements AsyncDisposable {
  readonly runner: Runner
  /** Folder that the control plane reads. */
  readonly directory: string
  readonly #base: string
  readonly #stack: AsyncDisposableStack
  readonly #agents = new Map<string, Promise<PlaceAgent>>()
  #controlPlane: ControlPlane

  private constructor(base: string, runner: Runner, controlPlane: ControlPlane, stack: AsyncDisposableStack) {
    this.#base = base
    this.directory = join(base, 'mesh')
    this.runner = runner
    this.#controlPlane = controlPlane
    this.#stack = stack
  }

  /** Resolves when every proxy is ready and every echo server listens. */
  static async start({ workloads, objects }: DetachedOptions): Promise<DetachedMesh> {
    await using stack = new AsyncDisposableStack()
    const base = await mkdtemp(join(tmpdir(), 'heddle-faults-'))
    stack.defer(() => rm(base, { recursive: true, force: true }))
    const directory = join(base, 'mesh')
    await mkdir(directory)
    const declared = Object.entries(workloads).map(([name, options], index): [string, string] => [
      name,
      echoWorkload(name, { ...options, address: ownAddress(index + 1) }),
    ])
    await writeFile(join(directory, 'workloads.yaml'), declared.map(([, text]) => text).join('---\n'))
    await writeFile(join(directory, 'objects.yaml'), objects)
    const stateDirectory = join(base, 'state')
    const controlPlane = await ControlPlane.start({ directory, stateDirectory, xds: DetachedMesh.xds })
    let mesh: DetachedMesh | undefined
    // whichever it is by then
    stack.defer(() => (mesh?.controlPlane ?? controlPlane)[Symbol.asyncDispose]())

    const random = (size: number): Uint8Array => randomBytes(size)
    const stateDir = stack.use(await StateDir.open(stateDirectory, { lock: false, random }))
    const tokens = new JoinTokens({ stateDir, clock: systemClock(), random })
    const run = stack.use(await RunDirectory.create())
    const events: RunnerEvent[] = []
    const [host = '', port] = DetachedMesh.xds.split(':')
    const runner = stack.use(
      new Runner({
        isolation: loopbackIsolation(await diesWithParent()),
        run,
        envoy: await envoyBinary(),
        env: process.env,
        onEvent: (event) => events.push(event),
        access: async (workload) => ({
          trustDomain: 'cluster.local',
          xds: { host, port: Number(port) },
          token: (await tokens.ensure(workload)).reveal(),
          bundle: controlPlane.bundle,
        }),
      }),
    )
    await runner.reconcile(declared.map(([name, text]) => runnable(name, parse(text), base)))
    const failed = events.find(({ type }) => type === 'failed')
    if (failed !== undefined) throw new Error(JSON.stringify(failed))
    await eventually(() => {
      const ready = events.filter((event) => event.type === 'output' && event.line === '{"kind":"ready"}')
      if (ready.length < declared.length) throw new Error(`not all is ready: ${JSON.stringify(events.slice(-20))}`)
    })
    mesh = new DetachedMesh(base, runner, controlPlane, stack.move())
    return mesh
  }

  /** Below the ports that are given out to clients: one that connects to itself there would take it for good. */
  static get xds(): string {
    return `${ownAddress(250)}:15012`
  }

  get controlPlane(): ControlPlane {
    return this.#controlPlane
  }

  /** Starts one over the same folders; the one before must have ended. */
  async startControlPlane(): Promise<void> {
    const stateDirectory = join(this.#base, 'state')
    this.#controlPlane = await ControlPlane.start({ directory: this.directory, stateDirectory, xds: DetachedMesh.xds })
  }

  async apply(yaml: string, file = 'test.yaml'): Promise<void> {
    await writeFile(join(this.#base, file), yaml)
    await rename(join(this.#base, file), join(this.directory, file))
  }

  async request(from: string, url: string, init: Omit<HttpTask, 'do' | 'url'> = {}): Promise<HttpResult> {
    const { local, host } = this.#dial(from, url)
    return (await this.#agent(from)).ask({ do: 'http', ...init, url: local, headers: { host, ...init.headers } })
  }

  async tcp(from: string, url: string, init: Omit<TcpTask, 'do' | 'host' | 'port'> = {}): Promise<TcpResult> {
    const { hostname, port } = new URL(this.#dial(from, url).local)
    return (await this.#agent(from)).ask({ do: 'tcp', ...init, host: hostname, port: Number(port) })
  }

  /** Requests one after the other on each of `concurrency` lines, until `stop` is called. */
  async load(
    from: string,
    url: string,
    task: { readonly keepAlive?: boolean } & Omit<LoadTask, 'do' | 'request'> = {},
  ) {
    const { keepAlive, ...rest } = task
    const { local, host } = this.#dial(from, url)
    const agent = await this.#agent(from)
    const request = { url: local, headers: { host }, ...(keepAlive === undefined ? {} : { keepAlive }) }
    const { id, result } = agent.begin({ do: 'load', concurrency: 2, pause: 2, ...rest, request })
    // told by `stop`; if a test ends before that, it is nobody's concern
    result.catch(() => undefined)
    return async (): Promise<LoadResult> => {
      await agent.ask({ do: 'stop', load: id })
      return result
    }
  }

  async admin(workload: string, path: string): Promise<string> {
    const answer = await this.runner.proxy(`default/${workload}`)?.admin('GET', path)
    if (answer?.status !== 200) throw new Error(`admin ${path} of ${workload}: ${answer?.status} ${answer?.body}`)
    return answer.body
  }

  /** Value of one counter or gauge of a workload's Envoy. */
  async stat(workload: string, name: string): Promise<number> {
    const text = await this.admin(workload, `/stats?filter=^${name.replaceAll('.', String.raw`\.`)}$`)
    return Number(text.split(': ')[1] ?? 0)
  }

  /** Resolves when each proxy says that it is connected to a control plane, or that it is not. */
  async untilConnected(connected: boolean, within?: number): Promise<void> {
    await eventually(async () => {
      for (const workload of ['client', 'server']) {
        const state = await this.stat(workload, 'control_plane.connected_state')
        if ((state === 1) !== connected) throw new Error(`${workload}: connected_state is ${state}`)
      }
    }, within)
  }

  /** Names that the workload's proxy has acknowledged, by type; empty if it is not connected. */
  async acknowledged(workload: string): Promise<Readonly<Record<string, readonly string[]>>> {
    const { workloads } = await this.controlPlane.status()
    const [proxy] = workloads.find((one) => one.workload === `default/${workload}`)?.proxies ?? []
    const names = (proxy?.types ?? []).map(({ type, resources }): [string, string[]] => [
      type,
      resources.flatMap(({ name, acknowledged }) => (acknowledged === undefined ? [] : name)).toSorted(),
    ])
    return Object.fromEntries(names.filter(([, known]) => known.length > 0))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map(async (agent) => (await agent)[Symbol.asyncDispose]()))
    await this.#stack.disposeAsync()
  }

  #agent(workload: string): Promise<PlaceAgent> {
    const place = this.runner.place(`default/${workload}`)
    if (place === undefined) throw new Error(`no place for ${workload}`)
    const agent = this.#agents.get(workload) ?? PlaceAgent.start(place)
    this.#agents.set(workload, agent)
    return agent
  }

  #dial(from: string, url: string): { readonly local: string; readonly host: string } {
    const { protocol, hostname, port, host, pathname } = new URL(url)
    const variable = `UPSTREAM_${hostname.toUpperCase().replaceAll('-', '_')}_${port === '' ? 80 : port}`
    const local = this.runner.environment(`default/${from}`)?.[variable]
    if (local === undefined) throw new Error(`${from} has no upstream ${url}`)
    return { local: `${protocol}//${local}${pathname}`, host }
  }
}
