/**
 * Real Envoys that go from mesh to mesh: one control plane whose catalog is replaced again and again, so that each of them is
 * updated, not started, and many meshes cost one process. Each runs in a network namespace of its own in which every address is
 * local: whatever a mesh says can be bound, and what is dialled is refused at once.
 */
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { Core } from '../../src/core.ts'
import type { View } from '../../src/envoy/view.ts'
import { CLUSTER } from '../../src/envoy/names.ts'
import { systemClock } from '../../src/engine/clock.ts'
import { RotatingServerCredentials } from '../../src/identity/server-credentials.ts'
import type { Protos } from '../../src/proto/encode.ts'
import { proxyFiles, writeProxyFiles } from '../../src/standalone/bootstrap.ts'
import { diesWithParent, ProcessGroup } from '../../src/standalone/processes.ts'
import type { Refusal, ResourceSource } from '../../src/xds/source.ts'
import { startXdsServer, type XdsServer } from '../../src/xds/server.ts'
import { envoyBinary } from '../support/envoy.ts'
import { generatedCore, type Identities, keyOfAnchor, load, type Proxy, usingEverything, viewOfProxy } from './core.ts'
import type { Raw } from './arbitraries.ts'

/** Every address is this machine's own. */
const EVERYTHING_LOCAL = [
  'ip link set lo up',
  'ip route add local 0.0.0.0/0 dev lo',
  'ip -6 route add local ::/0 dev lo',
  'exec "$@"',
].join(' && ')

export interface Refused extends Refusal {
  readonly view: View
}

export class Fleet implements AsyncDisposable {
  readonly core: Core
  /** What was refused since the last load. */
  readonly refused: Refused[]
  readonly #source: ResourceSource<View>
  readonly #server: XdsServer<View>
  readonly #stack: AsyncDisposableStack
  readonly #proxies: readonly Proxy[]
  readonly #running: readonly { readonly group: ProcessGroup; readonly log: string }[]

  private constructor(
    core: Core,
    refused: Refused[],
    source: ResourceSource<View>,
    server: XdsServer<View>,
    stack: AsyncDisposableStack,
    proxies: readonly Proxy[],
    running: readonly { readonly group: ProcessGroup; readonly log: string }[],
  ) {
    this.core = core
    this.refused = refused
    this.#source = source
    this.#server = server
    this.#stack = stack
    this.#proxies = proxies
    this.#running = running
  }

  static async start(
    protos: Protos,
    identities: Identities,
    proxies: readonly Proxy[],
    first: readonly Raw[],
  ): Promise<Fleet> {
    await using stack = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'heddle-generated-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const clock = systemClock()
    const refused: Refused[] = []
    const core = stack.use(
      generatedCore({
        protos,
        clock,
        identities,
        onRefused: (view, refusal) => void refused.push({ ...refusal, view }),
      }),
    )
    load(core, first)
    const credentials = stack.use(
      new RotatingServerCredentials(identities.world.svids, {
        id: 'spiffe://cluster.local/ns/heddle-system/sa/heddle',
        dns: ['localhost', 'heddle.heddle-system.svc'],
      }),
    )
    const socket = join(directory, 'xds.sock')
    const source = usingEverything(core)
    const server = stack.use(
      await startXdsServer<View>({
        source,
        authenticator: {
          authenticate({ token }) {
            const proxy = proxies.find(({ anchor }) => keyOfAnchor(anchor) === token)
            if (proxy === undefined) return Promise.resolve({ ok: false, reason: 'unknown-workload' })
            return Promise.resolve({ ok: true, client: viewOfProxy(core, proxy) })
          },
        },
        listen: [{ address: `unix:${socket}`, credentials }],
        metrics: new Registry(),
        log: { debug() {}, info() {}, warn() {}, error() {} },
        clock,
      }),
    )
    const binary = await envoyBinary()
    const prefix = [
      ...(await diesWithParent()),
      'unshare',
      '--net',
      ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
    ]
    const running = await Promise.all(
      proxies.map(async ({ anchor, protocol }) => {
        const own = join(directory, `${anchor.namespace}.${anchor.name}`)
        await mkdir(own)
        const files = proxyFiles(own)
        await writeProxyFiles(
          files,
          {
            namespace: anchor.namespace,
            name: anchor.name,
            locality: { region: '', zone: '', subZone: '' },
            trustDomain: 'cluster.local',
            xds: { pipe: socket },
            probeAddress: '::',
          },
          { token: keyOfAnchor(anchor), bundle: identities.world.authority.bundle.pem },
        )
        if (protocol === 'sotw') {
          const bootstrap = await readFile(files.bootstrap, 'utf8')
          await writeFile(files.bootstrap, bootstrap.replaceAll('DELTA_GRPC', 'GRPC'))
        }
        const envoy = [binary, '--config-path', files.bootstrap, '--disable-hot-restart', '--concurrency', '1']
        // what was replaced goes at once: old listeners of a thousand meshes would pile up
        const drain = ['--drain-time-s', '1', '--drain-strategy', 'immediate', '--log-level', 'error']
        const [file = '', ...args] = [...prefix, '--', 'sh', '-c', EVERYTHING_LOCAL, 'envoy', ...envoy, ...drain]
        const log = await open(files.log, 'a', 0o600)
        try {
          const group = await ProcessGroup.start({ file, args }, { output: log.fd, cwd: own })
          stack.defer(async () => void (await group.stop(1000)))
          return { group, log: files.log }
        } finally {
          await log.close()
        }
      }),
    )
    const fleet = new Fleet(core, refused, source, server, stack.move(), proxies, running)
    try {
      await fleet.settled()
    } catch (error) {
      await fleet[Symbol.asyncDispose]()
      throw error
    }
    for (const proxy of proxies) core.delivery.asked(viewOfProxy(core, proxy), CLUSTER, '10.99.0.1:80', false)
    return fleet
  }

  /** Makes these objects the whole mesh and resolves when every proxy has taken or refused all of it. */
  async load(objects: readonly Raw[]): Promise<readonly Refused[]> {
    this.refused.length = 0
    load(this.core, objects)
    await this.settled()
    return [...this.refused]
  }

  /** What each proxy has, by its Workload and type: how many resources, for people to read. */
  summary(): string {
    return this.#server
      .clients()
      .map(({ client, types }) =>
        [client.workload, ...types.map(({ type, resources }) => `${type.split('.').at(-1)} ${resources.length}`)].join(
          ' ',
        ),
      )
      .join('; ')
  }

  async settled(within = 30_000): Promise<void> {
    const end = performance.now() + within
    for (;;) {
      // streams are told of changes at once and look at them in a turn of their own
      await new Promise((resolve) => setImmediate(resolve))
      const waiting = this.#waiting() ?? this.#missing()
      if (waiting === undefined) return
      for (const { group, log } of this.#running)
        if (!group.running) throw new Error(`an Envoy ended: ${await readFile(log, 'utf8')}`)
      if (performance.now() > end) throw new Error(`waited in vain for ${waiting}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  /** What is not acknowledged yet, for people to read. */
  #waiting(): string | undefined {
    const clients = this.#server.clients()
    if (clients.length < this.#proxies.length) return 'all proxies to connect'
    for (const { client, types } of clients) {
      for (const { type, pending, resources } of types) {
        if (pending > 0) return `${pending} of ${type} to be sent to ${client.workload}`
        const late = resources.find(({ sent, acknowledged }) => sent !== acknowledged)
        if (late !== undefined) return `${client.workload} to answer ${type} ${late.name}`
      }
      // a proxy that has asked for its listeners has everything that comes before them
      if (!types.some(({ type, resources }) => type.endsWith('.Listener') && resources.length > 0)) return 'listeners'
    }
    return undefined
  }

  /** What the source lists for a proxy that the proxy has neither taken nor refused. */
  #missing(): string | undefined {
    for (const { client, types } of this.#server.clients()) {
      for (const { type, wildcard, resources } of types) {
        if (!wildcard) continue
        const has = new Map(resources.map((resource) => [resource.name, resource]))
        using names = this.#source.watchNames(client, type, () => {})
        for (const name of names.value) {
          using wanted = this.#source.watch(client, type, name, () => {})
          if (wanted.value === undefined) continue
          const { acknowledged, refused } = has.get(name) ?? {}
          const { version } = wanted.value
          if (acknowledged !== version && refused?.version !== version)
            return `${client.workload} to have ${type} ${name}`
        }
      }
    }
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
