// The core without its surroundings: from a catalog to what proxies are sent. The same over a folder, in a cluster, and for commands
// that only look; whoever composes it brings the sources, the identities and the sockets.
import { durationMs, kinds, type KindName } from './api/index.ts'
import { Catalog } from './catalog/catalog.ts'
import { Delivery } from './demand/delivery.ts'
import { RefusedNames } from './demand/refused.ts'
import { noStore, WarmSet, type WarmStore } from './demand/warm-set.ts'
import type { Clock } from './engine/clock.ts'
import { Gather } from './engine/gather.ts'
import { Graph, type Table } from './engine/graph.ts'
import type { PatchRefused } from './envoy/patch.ts'
import { buildResources, type Resources } from './envoy/resources.ts'
import type { Secrets } from './envoy/secrets.ts'
import { parseSecretName } from './envoy/cluster/external.ts'
import { BUNDLE, spiffeId, SVID } from './envoy/tls.ts'
import type { View } from './envoy/view.ts'
import { bundleSecret, clientSecret, svidSecret } from './identity/secrets.ts'
import type { Svid } from './identity/svids.ts'
import type { TrustBundle } from './identity/authority.ts'
import { buildMesh, type Mesh } from './mesh/mesh.ts'
import { SECRET } from './envoy/names.ts'
import type { Protos } from './proto/encode.ts'
import type { Refusal } from './xds/source.ts'

/** How long changes are gathered, milliseconds: endpoints are the commonest and have the shortest way. */
const GATHER = { endpoints: 5, others: 25 } as const
const ENDPOINT_KINDS: ReadonlySet<string> = new Set(['EndpointSlice', 'Workload', 'Pod'])

export interface CoreOptions {
  readonly protos: Protos
  readonly clock: Clock
  readonly warmStore?: WarmStore
  /** A bug in a derivation: it keeps its last value, and this is told. */
  readonly onError: (what: string, error: unknown) => void
  readonly onRefused?: (view: View, refusal: Refusal) => void
  readonly onPatchRefused?: (refused: PatchRefused) => void
  readonly catalog?: Omit<ConstructorParameters<typeof Catalog>[0], 'graph' | 'clock'>
}

export interface Core extends Disposable {
  readonly graph: Graph
  readonly catalog: Catalog
  readonly mesh: Mesh
  readonly resources: Resources
  readonly delivery: Delivery
  readonly warm: WarmSet
  /** SVIDs by SPIFFE ID, as whoever holds the authority sets them. */
  readonly svids: Table<Svid>
  /** The trust bundle, under the empty key. */
  readonly bundle: Table<TrustBundle>
  /** Asks for a commit soon, for changes that did not come through the catalog. */
  changed(): void
  /** Commits now what was gathered. */
  flush(): void
}

export function buildCore(options: CoreOptions): Core {
  const graph = new Graph({ onError: (name, key, error) => options.onError(`${name} ${key}`, error) })
  const catalog = new Catalog({ graph, clock: options.clock, ...options.catalog })
  const mesh = buildMesh(graph, catalog)
  const svids = graph.table<Svid>('identity.svid')
  const bundle = graph.table<TrustBundle>('identity.bundle')
  const refusedNames = new RefusedNames(graph)
  const resources = buildResources({
    graph,
    mesh,
    protos: options.protos,
    secrets: identitySecrets(mesh, svids, bundle),
    refusedNames: refusedNames.reader,
    ...(options.onPatchRefused && { onPatchRefused: options.onPatchRefused }),
  })
  const warm = new WarmSet({
    store: options.warmStore ?? noStore,
    now: () => options.clock.now(),
    limits: () => {
      const { maxEntries, maxAge } = mesh.settings.get('').warmSet
      return { maxEntries, maxAge: durationMs(maxAge) }
    },
  })
  const gather = new Gather(options.clock, () => {
    graph.commit()
    refusedNames.committed()
  })
  const changed = (): void => gather.within(GATHER.others)
  for (const kind of Object.keys(kinds) as KindName[]) {
    const soon = ENDPOINT_KINDS.has(kind) ? GATHER.endpoints : GATHER.others
    catalog.listen(kind, () => gather.within(soon))
  }
  // also what can not be read: it may deny
  catalog.listenChanges(changed)
  const delivery = new Delivery({
    graph,
    mesh,
    resources,
    warm,
    refusedNames,
    changed,
    ...(options.onRefused && { onRefused: options.onRefused }),
  })
  return {
    graph,
    catalog,
    mesh,
    resources,
    delivery,
    warm,
    svids,
    bundle,
    changed,
    flush: () => gather.flush(),
    [Symbol.dispose]: () => gather[Symbol.dispose](),
  }
}

/** A proxy's own SVID, the bundle, and the client certificates granted to its namespace: whatever it asks for, nothing else. */
function identitySecrets(mesh: Mesh, svids: Table<Svid>, bundle: Table<TrustBundle>): Secrets {
  return {
    secret(name, view) {
      if (name === SVID) {
        const { trustDomain } = mesh.settings.get('')
        const svid = svids.get(spiffeId(trustDomain, { namespace: view.namespace, name: view.serviceAccount }))
        return svid && { type: SECRET, name, message: svidSecret(svid), requires: [], version: svid.version }
      }
      if (name !== BUNDLE) {
        const own = parseSecretName(name)
        const certificate = own === undefined ? undefined : mesh.externals.clientCertificate(own, view.namespace)
        return certificate && { type: SECRET, name, message: clientSecret(name, certificate), requires: [] }
      }
      const roots = bundle.get('')
      return roots && { type: SECRET, name, message: bundleSecret(roots), requires: [] }
    },
  }
}
