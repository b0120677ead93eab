/**
 * One workload of the runner: its place, proxy and application, brought from what is to what should be, one step at a time.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type ProxyFiles, proxyFiles, replaceFile, writeProxyFiles } from './bootstrap.ts'
import { splitKey } from '../mesh/model.ts'
import { EnvoyProcess } from './envoy-process.ts'
import type { Place } from './isolation/isolation.ts'
import { listeningPorts } from './listening.ts'
import { ProcessGroup } from './processes.ts'
import { RUN_VARIABLE } from './run-directory.ts'
import type { RunnableWorkload, RunnerEvent, RunnerOptions } from './runnable.ts'
import { Supervisor } from './supervisor.ts'

/** Time for an application to end by itself, milliseconds. */
const APP_GRACE_MS = 5000
const READY_POLL_MS = 20
/** How long it is expected to take at most until an application listens, and how often that is looked at. */
const LISTEN_PATIENCE_MS = 10_000
const LISTEN_POLL_MS = 20

interface Running {
  readonly workload: RunnableWorkload
  readonly place: Place
  readonly files: ProxyFiles
  readonly proxy: EnvoyProcess
  app: Supervisor | undefined
}

type Event = RunnerEvent extends infer E ? (E extends { workload: string } ? Omit<E, 'workload'> : never) : never

/** `my-api.shop` becomes MY_API_SHOP. */
const variable = (name: string): string => name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')

/**
 * What tells an application where it is: HOST, PORT (of the first port), PORT_NAME, and without interception where to dial,
 * UPSTREAM_SERVICE (or UPSTREAM_SERVICE_NAMESPACE for one elsewhere) and the same with `_PORT`, each as `host:port`.
 */
export function appEnvironment(workload: RunnableWorkload, place: Place, intercepts: boolean): Record<string, string> {
  const env: Record<string, string> = {
    HOST: place.host,
    WORKLOAD_NAME: workload.name,
    WORKLOAD_NAMESPACE: workload.namespace,
  }
  const [first] = workload.ports
  if (first !== undefined) env['PORT'] = String(first.port)
  for (const port of workload.ports) if (port.name !== '') env[`PORT_${variable(port.name)}`] = String(port.port)
  if (intercepts) return env
  for (const { service, servicePort, localPort } of workload.upstreams) {
    const { namespace, name } = splitKey(service)
    const known = variable(namespace === workload.namespace ? name : `${name}.${namespace}`)
    env[`UPSTREAM_${known}`] ??= `${place.host}:${localPort}`
    env[`UPSTREAM_${known}_${servicePort}`] = `${place.host}:${localPort}`
  }
  return env
}

/** Whether the proxy can stay when the workload changes so. */
function sameProxy(before: RunnableWorkload, after: RunnableWorkload): boolean {
  return (
    before.serviceAccount === after.serviceAccount &&
    isDeepStrictEqual(before.addresses, after.addresses) &&
    isDeepStrictEqual(before.locality, after.locality)
  )
}

const sameApp = (before: RunnableWorkload, after: RunnableWorkload): boolean =>
  isDeepStrictEqual([before.run, before.ports, before.upstreams], [after.run, after.ports, after.upstreams])

export class WorkloadUnit {
  readonly #key: string
  readonly #directory: string
  readonly #options: RunnerOptions
  #desired: RunnableWorkload | undefined
  #running: Running | undefined
  #interrupt = new AbortController()
  #loop: Promise<void> | undefined
  #dirty = false

  /** `number` keeps the paths of sockets short and apart. */
  constructor(key: string, number: number, options: RunnerOptions) {
    this.#key = key
    this.#options = options
    this.#directory = join(options.run.path, `p${number}`)
  }

  get place(): Place | undefined {
    return this.#running?.place
  }

  get proxy(): EnvoyProcess | undefined {
    return this.#running?.proxy
  }

  get isGone(): boolean {
    return this.#desired === undefined && this.#running === undefined
  }

  get environment(): Readonly<Record<string, string | undefined>> | undefined {
    if (this.#running === undefined) return undefined
    const { workload, place } = this.#running
    return {
      ...this.#options.env,
      [RUN_VARIABLE]: this.#options.run.name,
      ...appEnvironment(workload, place, this.#options.isolation.intercepts),
      ...workload.run?.env,
    }
  }

  /** Resolves when it is so, or has failed. A newer call overtakes. */
  set(desired: RunnableWorkload | undefined): Promise<void> {
    if (!isDeepStrictEqual(desired, this.#desired)) {
      this.#desired = desired
      this.#interrupt.abort()
    }
    this.#dirty = true
    this.#loop ??= this.#work().finally(() => {
      this.#loop = undefined
    })
    return this.#loop
  }

  async setBundle(bundle: string): Promise<void> {
    const running = this.#running
    if (running !== undefined) await replaceFile(running.files.bundle, bundle, running.place.handOver)
  }

  async #work(): Promise<void> {
    while (this.#dirty) {
      this.#dirty = false
      this.#interrupt = new AbortController()
      try {
        await this.#step(this.#desired, this.#interrupt.signal)
      } catch (error) {
        if (this.#interrupt.signal.aborted) continue
        this.#tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
        await this.#takeDown()
      }
    }
  }

  async #step(desired: RunnableWorkload | undefined, signal: AbortSignal): Promise<void> {
    const before = this.#running
    if (before !== undefined && (desired === undefined || !sameProxy(before.workload, desired))) await this.#takeDown()
    else if (before?.app !== undefined && desired !== undefined && !sameApp(before.workload, desired)) {
      await before.app.stop(APP_GRACE_MS)
      before.app = undefined
    }
    if (desired === undefined) return
    const running = this.#running === undefined ? await this.#bringUp(desired) : { ...this.#running, workload: desired }
    this.#running = running
    await this.#untilReady(running, signal)
    if (desired.run !== undefined && running.app === undefined) await this.#startApp(running)
  }

  async #bringUp(workload: RunnableWorkload): Promise<Running> {
    const { isolation, access, envoy, concurrency, logLevel } = this.#options
    const { namespace, name, addresses, locality } = workload
    const { token, bundle, trustDomain, xds } = await access(workload)
    const place = await isolation.place({ namespace, name, addresses })
    try {
      const files = proxyFiles(this.#directory)
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const sidecar = { namespace, name, locality, trustDomain, xds, probeAddress: place.probeAddress }
      await writeProxyFiles(files, sidecar, { token, bundle })
      await place.handOver(this.#directory)
      this.#tell({ type: 'placed', addresses })
      const proxy = await EnvoyProcess.start({
        binary: envoy,
        files,
        place,
        directory: this.#directory,
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(logLevel === undefined ? {} : { logLevel }),
        onExit: (reason) => this.#tell({ type: 'proxy-exited', reason: `${reason}; its log is ${files.log}` }),
      })
      return { workload, place, files, proxy, app: undefined }
    } catch (error) {
      await place[Symbol.asyncDispose]()
      throw error
    }
  }

  async #untilReady({ proxy, files }: Running, signal: AbortSignal): Promise<void> {
    if (await proxy.isReady()) return
    do await delay(READY_POLL_MS, undefined, { signal })
    while (!(await proxy.isReady()))
    this.#tell({ type: 'proxy-ready', log: files.log })
  }

  async #startApp(running: Running): Promise<void> {
    const { run } = running.workload
    if (run === undefined) return
    const command = running.place.command('app', run.command)
    const env = this.environment ?? {}
    let listens = Promise.resolve()
    const app = new Supervisor({
      start: () => ProcessGroup.start(command, { output: 'pipe', env, cwd: run.workingDirectory }),
      onStart: (group) => {
        this.#tell({ type: 'app-started', pid: group.pid })
        listens = this.#untilListening(group, running.workload)
        for (const stream of [group.child.stdout, group.child.stderr]) {
          if (stream !== null)
            createInterface({ input: stream }).on('line', (line) => this.#tell({ type: 'output', line }))
        }
      },
      onExit: (reason) => this.#tell({ type: 'app-exited', reason: `${run.command.join(' ')} ${reason}` }),
    })
    running.app = app
    // that it cannot be started is an event like that it ended: it is tried again
    await app.started().then(
      () => listens,
      () => undefined,
    )
  }

  /** Until the application listens on all of its ports, has ended, or takes so long that it is served to as it is. */
  async #untilListening(group: ProcessGroup, { ports }: RunnableWorkload): Promise<void> {
    const deadline = performance.now() + (this.#options.listenPatience ?? LISTEN_PATIENCE_MS)
    while (group.running) {
      const listening = await listeningPorts(group.pid)
      const missing = listening === undefined ? [] : ports.filter(({ port }) => !listening.has(port))
      if (missing.length > 0 && performance.now() < deadline) {
        await delay(LISTEN_POLL_MS)
        continue
      }
      const names = missing.map(({ port }) => port).join(', ')
      if (missing.length > 0)
        this.#tell({ type: 'failed', reason: `its application does not listen on ${names}, which spec.ports declares` })
      return this.#tell({ type: 'app-ready' })
    }
  }

  /** The application first, while its proxy still brings its last answers out. */
  async #takeDown(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    await running.proxy.drain()
    await running.app?.stop(APP_GRACE_MS)
    await running.proxy.stop()
    this.#running = undefined
    await running.place[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
    this.#tell({ type: 'stopped' })
  }

  #tell(event: Event): void {
    this.#options.onEvent?.({ ...event, workload: this.#key })
  }
}
