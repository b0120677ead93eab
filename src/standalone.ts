// Heddle without a cluster: a folder of YAML, the core over it, an authority in a state folder, and, for `heddle up`, the workloads
// themselves with their proxies. Everything is wired here and nowhere else.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { ServerCredentials } from '@grpc/grpc-js'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { durationMs } from './api/index.ts'
import { catalogMetrics } from './catalog/metrics.ts'
import { buildCore, type Core } from './core.ts'
import { systemClock } from './engine/clock.ts'
import type { View } from './envoy/view.ts'
import { fileAuthorityStore } from './identity/authority-store.ts'
import { OwnAuthority } from './identity/authority.ts'
import { keepBundleFile } from './identity/bundle-file.ts'
import { lifetimes } from './identity/lifetimes.ts'
import { identityMetrics } from './identity/metrics.ts'
import { RotatingServerCredentials } from './identity/server-credentials.ts'
import { StateDir } from './identity/state-dir.ts'
import { Svids } from './identity/svids.ts'
import { JoinTokens } from './identity/tokens.ts'
import { descriptorFile, loadProtos } from './proto/encode.ts'
import { fileMetrics } from './source/files/metrics.ts'
import { watchFolders } from './source/files/watch-folders.ts'
import { stateAddressStore } from './standalone/address-store.ts'
import { AddressAllocator, LOOPBACK_WORKLOADS } from './standalone/addresses.ts'
import { createAdmit, rangesOf } from './standalone/admit.ts'
import { findEnvoy } from './standalone/envoy-process.ts'
import { fleet, type Fleet } from './standalone/fleet.ts'
import { loopbackIsolation } from './standalone/isolation/loopback.ts'
import { NetnsIsolation } from './standalone/isolation/netns.ts'
import { SvidLeases } from './standalone/leases.ts'
import { diesWithParent } from './standalone/processes.ts'
import { keepReadiness } from './standalone/readiness.ts'
import { RunDirectory } from './standalone/run-directory.ts'
import { Runner } from './standalone/runner.ts'
import type { RunnerEvent } from './standalone/runnable.ts'
import { serveStatus } from './standalone/status-server.ts'
import { viewOf } from './standalone/views.ts'
import { warmFile, warmStore } from './standalone/warm-store.ts'
import { keepMeshed, meshedFile } from './standalone/meshed.ts'
import { delivering } from './standalone/delivering.ts'
import type { Refusal } from './xds/source.ts'
import { startXdsServer, type XdsListen, type XdsServer } from './xds/server.ts'

export interface StandaloneOptions {
  /** Folders and files of YAML. */
  readonly paths: readonly string[]
  readonly stateDir: string
  readonly log: Logger
  readonly signal?: AbortSignal
  /** `host:port` at which proxies elsewhere reach the control plane; none is bound if absent. */
  readonly xds?: string
  /** Names and addresses besides localhost by which `xds` is dialled. */
  readonly xdsNames?: readonly string[]
  /** `host:port` of health, metrics and API; none if absent. */
  readonly http?: string
  /** `host:port`, loopback only, for proxyless gRPC clients, which have no credentials to show. */
  readonly proxyless?: string
  /** Also starts the workloads, each with its own Envoy. */
  readonly run?: {
    readonly isolation: 'netns' | 'loopback'
    readonly onEvent?: (event: RunnerEvent) => void
    /** User that applications run as, in network namespaces. */
    readonly appUser?: { readonly uid: number; readonly gid: number }
    readonly concurrency?: number
    readonly logLevel?: string
  }
  readonly onRefused?: (view: View, refusal: Refusal) => void
}

export interface Standalone extends AsyncDisposable {
  readonly core: Core
  readonly server: XdsServer<View>
  readonly tokens: JoinTokens
  readonly registry: Registry
  /** Present with `run`. */
  readonly runner: Runner | undefined
  readonly fleet: Fleet | undefined
  /** Addresses that were bound, with their ports. */
  readonly addresses: { readonly xds: readonly string[]; readonly http: string | undefined }
  /** The trust bundle of the control plane's own certificate, PEM. */
  readonly bundleFile: string
  /** Resolved when all that stands in the folders now is in force. */
  settled(): Promise<void>
}

/** Nobody there: a client without a proxy and without credentials. */
const PROXYLESS: View = {
  workload: '',
  namespace: '',
  serviceAccount: '',
  locality: '',
  interception: 'None',
  appAddress: undefined,
  ipv6: false,
  stateOfTheWorld: true,
}

/** Plaintext, for clients on this very machine: whoever can connect there may read what services there are, and nothing secret. */
function proxylessListen(address: string): XdsListen<View> {
  const host = address.slice(0, address.lastIndexOf(':')).replaceAll(/[[\]]/g, '')
  if (!/^(127\.|::1$|localhost$)/.test(host))
    throw new Error(
      `--proxyless: ${address} is not a loopback address; proxyless clients have no credentials, so give 127.0.0.1:PORT`,
    )
  return {
    address,
    credentials: ServerCredentials.createInsecure(),
    authenticator: { authenticate: () => Promise.resolve({ ok: true, client: { ...PROXYLESS } }) },
  }
}

/** Resolves when the signal is aborted. */
const aborted = (signal: AbortSignal): Promise<unknown> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))

/** Where this checkout or package is: Envoy and the templates lie beside the sources. */
const home = fileURLToPath(new URL('..', import.meta.url))

/** Starts, and answers when the first load is complete and, with `run`, every workload has been started or has failed. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const { log } = options
  const clock = systemClock()
  const random = (size: number): Uint8Array => randomBytes(size)
  const stack = new AsyncDisposableStack()
  try {
    const registry = new Registry()
    collectDefaultMetrics({ register: registry, prefix: 'heddle_' })
    const stateDir = stack.use(await StateDir.open(options.stateDir, { lock: true, random }))
    const unsaved = (error: unknown): void =>
      log.error({ error }, 'the state folder could not be written; it is tried again at the next change')
    const warm = await warmFile(stateDir, unsaved)
    const meshed = await meshedFile(stateDir, unsaved)
    const core = stack.use(
      buildCore({
        protos: loadProtos(await readFile(descriptorFile)),
        clock,
        warmStore: warmStore(warm),
        onError: (what, error) => log.error({ what, error }, 'a bug: this keeps its last value; please report it'),
        catalog: { log, metrics: catalogMetrics(registry) },
        onPatchRefused: ({ object, type, name, diagnostic }) =>
          log.warn(
            { object, type, name, diagnostic },
            'an EnvoyPatch could not be applied; the resource is served without it',
          ),
        onRefused: (view, refusal) => {
          log.warn({ workload: view.workload, ...refusal }, 'a proxy refused a resource; it keeps the last good one')
          options.onRefused?.(view, refusal)
        },
      }),
    )

    const readiness = options.run && stack.use(keepReadiness(core))

    // the catalog, with addresses for whoever names none
    const workloadRange = options.run?.isolation === 'loopback' ? LOOPBACK_WORKLOADS : undefined
    const addresses = stateAddressStore(stateDir)
    const allocator = new AddressAllocator(rangesOf({}, workloadRange), await addresses.load())
    const stop = new AbortController()
    stack.defer(() => stop.abort())
    const folders = watchFolders({
      paths: options.paths,
      catalog: core.catalog,
      clock,
      log,
      metrics: fileMetrics(registry),
      signal: stop.signal,
      admit: createAdmit({
        allocator,
        ranges: (mesh) => rangesOf(mesh, workloadRange),
        onError: (object, error) => log.error({ object, error }, 'no address could be assigned'),
      }),
    })
    // Ctrl-C during a long first load ends it too
    options.signal?.addEventListener('abort', () => stop.abort(), { once: true })
    await folders.loaded
    await allocator.flush(addresses)
    const proxies = stack.use(keepMeshed(core, meshed))
    core.flush()

    // identities
    const settings = core.mesh.settings.get('')
    const { trustDomain } = settings
    const metrics = identityMetrics(registry)
    const lives = lifetimes(durationMs(settings.mtls.certificate.lifetime), {
      issuer: durationMs(settings.mtls.ca.issuerLifetime),
      root: durationMs(settings.mtls.ca.rootLifetime),
    })
    const authority = stack.use(
      await OwnAuthority.open({
        trustDomain,
        store: fileAuthorityStore(stateDir),
        lifetimes: lives,
        clock,
        random,
        metrics,
        onError: (error) =>
          log.error({ error }, 'the state of the CA could not be stored; it goes on with what it has'),
      }),
    )
    const svids = stack.use(new Svids({ authority, lifetimes: lives, clock, random, metrics }))
    const publish = (): void => {
      core.bundle.set('', authority.bundle)
      core.changed()
    }
    stack.use(authority.onChange(publish))
    publish()
    const bundle = stack.use(
      await keepBundleFile({
        authority,
        stateDir,
        metrics,
        onError: (error) => log.error({ error }, 'bundle.pem could not be written'),
      }),
    )
    const tokens = new JoinTokens({ stateDir, clock, random })
    const leases = stack.use(new SvidLeases(core, svids, trustDomain))

    // xDS: for our own proxies over a Unix socket, which crosses network namespaces
    const run = options.run && stack.use(await RunDirectory.create())
    const credentials = (): RotatingServerCredentials =>
      stack.use(
        new RotatingServerCredentials(svids, {
          id: `spiffe://${trustDomain}/ns/heddle-system/sa/heddle`,
          dns: ['localhost', 'heddle.heddle-system.svc', ...(options.xdsNames ?? [])],
          ip: ['127.0.0.1', '::1'],
        }),
      )
    const socket = run && join(run.path, 'xds.sock')
    const listen: XdsListen<View>[] = [
      ...(socket === undefined ? [] : [{ address: `unix:${socket}`, credentials: credentials() }]),
      ...(options.xds === undefined ? [] : [{ address: options.xds, credentials: credentials() }]),
    ]
    if (options.proxyless !== undefined) listen.push(proxylessListen(options.proxyless))
    const placement = {
      interception: options.run?.isolation === 'netns' ? ('Redirect' as const) : ('None' as const),
      ipv6: existsSync('/proc/net/if_inet6'),
    }
    const server = stack.use(
      await startXdsServer<View>({
        source: delivering(core.delivery, leases, () => proxies.save()),
        authenticator: {
          async authenticate({ token, nodeId, protocol }) {
            const verdict = await tokens.authenticate({ ...(token !== undefined && { token }), nodeId })
            if (!verdict.ok) return { ok: false, reason: 'invalid-token' }
            const { namespace, name } = verdict.workload
            const client = viewOf(core.mesh, `${namespace}/${name}`, placement, protocol)
            if (client === undefined) return { ok: false, reason: 'unknown-workload' }
            return { ok: true, client, ...(verdict.until !== undefined && { until: verdict.until }) }
          },
        },
        listen,
        metrics: registry,
        log,
        clock,
      }),
    )
    if (socket !== undefined) await chmod(socket, 0o666)
    // what a stream may receive was decided when it began: with its Workload it ends, or begins anew as what that is now
    stack.use(
      core.catalog.listen('Workload', (key) => {
        server.disconnect((client) => {
          if (client.workload !== key) return false
          const now = viewOf(core.mesh, key, placement, client.stateOfTheWorld ? 'sotw' : 'delta')
          return !isDeepStrictEqual(now, client)
        })
      }),
    )

    const warmTimer = setInterval(() => core.warm.flush(), 2000)
    warmTimer.unref()
    stack.defer(async () => {
      clearInterval(warmTimer)
      core.warm.flush()
      await Promise.all([warm.settled(), meshed.settled()])
    })

    // workloads
    let runner: Runner | undefined
    let workloads: Fleet | undefined
    if (options.run !== undefined && run !== undefined && socket !== undefined) {
      const envoy = await findEnvoy(process.env, home)
      const isolation = stack.use(
        options.run.isolation === 'netns'
          ? await NetnsIsolation.create({ run, envoy, ...(options.run.appUser && { appUser: options.run.appUser }) })
          : loopbackIsolation(await diesWithParent()),
      )
      runner = stack.use(
        new Runner({
          isolation,
          run,
          envoy,
          env: process.env,
          ...(options.run.concurrency !== undefined && { concurrency: options.run.concurrency }),
          ...(options.run.logLevel !== undefined && { logLevel: options.run.logLevel }),
          onEvent: (event) => {
            if (readiness?.tell(event) === true) workloads?.refresh()
            options.run?.onEvent?.(event)
          },
          access: async (workload) => ({
            trustDomain,
            xds: { pipe: socket },
            token: (await tokens.ensure(workload)).reveal(),
            bundle: authority.bundle.pem,
          }),
        }),
      )
      workloads = stack.use(
        fleet({
          core,
          runner,
          isolation,
          directoryOf: (key) => dirname(resolve(core.catalog.origin('Workload', key)?.source ?? '.')),
          onError: (error) => log.error({ error }, 'workloads could not be brought up to date'),
        }),
      )
      const own = runner
      stack.use(authority.onChange(() => void own.setBundle(authority.bundle.pem)))
      // Ctrl-C ends also the wait for a proxy that never becomes ready
      await Promise.race([workloads.settled(), ...(options.signal === undefined ? [] : [aborted(options.signal)])])
    }

    const http =
      options.http === undefined
        ? undefined
        : stack.use(await serveStatus({ address: options.http, core, server, registry, stateDir }))

    const disposables = stack.move()
    return {
      core,
      server,
      tokens,
      registry,
      runner,
      fleet: workloads,
      addresses: { xds: server.addresses, http: http?.address },
      bundleFile: bundle.path,
      async settled() {
        await folders.settled()
        await allocator.flush(addresses)
        core.flush()
        await workloads?.settled()
      },
      [Symbol.asyncDispose]: () => disposables.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}
