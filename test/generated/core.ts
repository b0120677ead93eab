/** What generated catalogs are tried on: a core, identities for it, and every name that a proxy could ask for. */
import { buildCore, type Core } from '../../src/core.ts'
import type { Clock } from '../../src/engine/clock.ts'
import type { Reader } from '../../src/engine/graph.ts'
import { CLUSTER, formatClusterName } from '../../src/envoy/names.ts'
import type { View } from '../../src/envoy/view.ts'
import { visibleAddresses } from '../../src/envoy/visible.ts'
import type { Protos } from '../../src/proto/encode.ts'
import { viewOf } from '../../src/standalone/views.ts'
import type { Refusal, ResourceSource } from '../../src/xds/source.ts'
import { ManualClock, openWorld, present, type World } from '../identity/world.ts'
import type { Anchor, Certificates, Raw } from './arbitraries.ts'

export const TRUST_DOMAINS = ['cluster.local', 'mesh.example'] as const

/** One proxy: the Workload that it stands before, and how it is reached. */
export interface Proxy {
  readonly anchor: Anchor
  readonly interception: View['interception']
  readonly protocol: 'delta' | 'sotw'
}

export const PROXIES: readonly Proxy[] = [
  {
    anchor: {
      name: 'anchor',
      namespace: 'shop',
      address: '10.244.9.1',
      serviceAccount: 'web',
      locality: { region: 'eu', zone: 'a' },
    },
    interception: 'Redirect',
    protocol: 'delta',
  },
  {
    anchor: { name: 'anchor', namespace: 'pay', address: '127.0.1.1', serviceAccount: 'cart', locality: {} },
    interception: 'None',
    protocol: 'delta',
  },
  {
    anchor: {
      name: 'old',
      namespace: 'shop',
      address: '10.244.9.2',
      serviceAccount: 'default',
      locality: { region: 'us' },
    },
    interception: 'Redirect',
    protocol: 'sotw',
  },
]

export const ANCHORS = PROXIES.map(({ anchor }) => anchor)
export const keyOfAnchor = ({ namespace, name }: Anchor): string => `${namespace}/${name}`

/** An authority with SVIDs for all anchors, and PEM of its own for whatever wants certificates. */
export interface Identities extends Disposable {
  readonly world: World
  readonly certificates: Certificates
  /** Gives a core what proxies ask for over SDS. */
  give(core: Core): void
}

/** `now`: milliseconds since the epoch. Envoy looks at the real time. */
export async function openIdentities(now: number): Promise<Identities> {
  const world = await openWorld({ clock: new ManualClock(now) })
  const accounts = ANCHORS.map(({ namespace, serviceAccount }) => `ns/${namespace}/sa/${serviceAccount}`)
  const leases = accounts.map((account) => world.svids.hold({ id: `spiffe://cluster.local/${account}` }))
  const svids = leases.map(({ svid }) => present(svid))
  const [first] = svids
  return {
    world,
    certificates: {
      chain: present(first).certificateChain,
      key: present(first).exportPrivateKey(),
      roots: world.authority.bundle.pem,
    },
    give(core) {
      core.bundle.set('', world.authority.bundle)
      for (const trustDomain of TRUST_DOMAINS)
        for (const [at, svid] of svids.entries()) core.svids.set(`spiffe://${trustDomain}/${accounts[at]}`, svid)
    },
    [Symbol.dispose]() {
      for (const lease of leases) lease[Symbol.dispose]()
      world[Symbol.dispose]()
    },
  }
}

export interface GeneratedCoreOptions {
  readonly protos: Protos
  readonly clock: Clock
  readonly identities: Identities
  readonly onRefused?: (view: View, refusal: Refusal) => void
}

/** A core whose bugs are thrown. */
export function generatedCore({ protos, clock, identities, onRefused }: GeneratedCoreOptions): Core {
  const core = buildCore({
    protos,
    clock,
    onError: (what, error) => {
      throw new Error(`a derivation failed: ${what}`, { cause: error })
    },
    ...(onRefused && { onRefused }),
  })
  identities.give(core)
  return core
}

/** Makes these objects all that there is. */
export function load(core: Core, objects: readonly Raw[]): void {
  core.catalog.replaceAll(
    'generated',
    objects.map((object, at) => ({ op: 'upsert', object, origin: { source: 'generated', line: at + 1 } })),
  )
  core.flush()
  core.graph.commit()
}

export function viewOfProxy(core: Core, { anchor, interception, protocol }: Proxy): View {
  return present(viewOf(core.mesh, keyOfAnchor(anchor), { interception, ipv6: true }, protocol))
}

const SNI = ['api.example.com', 'www.b.example.com', 'nobody.example.org']

/** Every cluster that a proxy of a namespace could ask for by itself: hosts outside, instances, TLS by SNI. Key: the namespace. */
export function askable(core: Core): Reader<readonly string[]> {
  const { graph, mesh } = core
  return graph.derive<readonly string[]>(
    'test.askable',
    (namespace) => {
      const externals = mesh.externals.visible
        .get(namespace)
        .flatMap(({ hosts, addresses, port }) => [
          ...hosts.map((host) => formatClusterName({ kind: 'external', host: host.replace('*', 'any'), port })),
          ...addresses.flatMap((address) => [
            formatClusterName({ kind: 'http', address, port }),
            formatClusterName({ kind: 'tcp', address, port }),
          ]),
        ])
      const services = visibleAddresses(mesh).flatMap(({ address, port }) => [
        formatClusterName({ kind: 'http', address, port }),
        formatClusterName({ kind: 'tcp', address, port }),
        ...SNI.map((sni) => formatClusterName({ kind: 'tls', address, port, sni })),
      ])
      const instances = ANCHORS.flatMap(({ address }) => [
        formatClusterName({ kind: 'http', address, port: 8080 }),
        formatClusterName({ kind: 'tcp', address, port: 80 }),
      ])
      return [...new Set([...externals, ...services, ...instances])]
    },
    (a, b) => a.join('\n') === b.join('\n'),
  )
}

/** The source as proxies see it that use everything: what they could ask for is sent ahead. */
export function usingEverything(core: Core): ResourceSource<View> {
  const source = core.delivery
  const names = askable(core)
  return {
    watch: (view, type, name, changed) => source.watch(view, type, name, changed),
    watchNames(view, type, changed) {
      const inner = source.watchNames(view, type, changed)
      if (type !== CLUSTER || view.stateOfTheWorld) return inner
      const more = core.graph.watch(names, view.namespace, changed)
      return {
        get value() {
          return [...new Set([...inner.value, ...more.value])]
        },
        [Symbol.dispose]() {
          inner[Symbol.dispose]()
          more[Symbol.dispose]()
        },
      }
    },
    refused: (view, refusal) => source.refused(view, refusal),
    accepted: () => source.accepted(),
    asked: (view, type, name, found) => source.asked(view, type, name, found),
    released: () => source.released(),
    connected: (view) => source.connected(view),
    disconnected: (view) => source.disconnected(view),
  }
}
