// The model, whole: what a catalog means. Everything is derived lazily and kept only while something is watched that needs it.
import { type DiscoveryMode, discoveryAnnotation } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader, Table } from '../engine/graph.ts'
import { type Authorization, buildAuthorization } from './authorization.ts'
import { buildExternals, type Externals } from './external.ts'
import { buildFrontends, type Frontends } from './frontend.ts'
import { buildHttp, type HttpFrontend } from './http.ts'
import { buildLookup, type Lookup, ROUTE_KINDS } from './lookup.ts'
import { buildMtls, modeOf, type Mtls } from './mtls.ts'
import { buildPatches, type PatchInEffect } from './patches.ts'
import { buildPolicies, type Policies } from './policies.ts'
import { buildRanges } from './ranges.ts'
import { buildServices, type Services } from './services.ts'
import { buildSettings, type Settings } from './settings.ts'
import { buildTcp, type TcpFrontends } from './tcp.ts'

export interface Mesh {
  readonly lookup: Lookup
  readonly settings: Reader<Settings>
  /** Address ranges of the mesh, by the empty key. */
  readonly ranges: Reader<readonly string[]>
  readonly services: Services
  readonly frontends: Frontends
  /** By `service key:port|client namespace`. */
  readonly http: Reader<HttpFrontend | undefined>
  readonly tcp: TcpFrontends
  readonly policies: Policies
  /** By key of the workload. */
  readonly mtls: Reader<Mtls>
  /** By key of the workload. */
  readonly authorization: Reader<Authorization>
  readonly externals: Externals
  /** By key of the workload, in the order in which they apply. */
  readonly patches: Reader<readonly PatchInEffect[]>
  /** Whether an instance takes mesh TLS only on this port; by key of the workload. */
  strict(workload: string, port: number): boolean
  /** Whether the proxies of a namespace are sent everything visible, or ask for what they use. */
  readonly discovery: Reader<DiscoveryMode>
  /** Whether a namespace sees anything differently from the others: by routes or ExternalServices of its own. */
  readonly hasOwnView: Reader<boolean>
  /** Workloads before which an authenticated proxy has been seen: told by whoever serves proxies. */
  readonly meshed: Table<true>
  /** Workloads that whoever runs them knows not to serve yet: they are in no Service until they do. */
  readonly unready: Table<true>
}

export function buildMesh(graph: Graph, catalog: Catalog): Mesh {
  const meshed = graph.table<true>('mesh.meshed')
  const unready = graph.table<true>('mesh.unready')
  const lookup = buildLookup(graph, catalog)
  const settings = buildSettings(graph, catalog)
  const strict = (workload: string, port: number): boolean => modeOf(mtls.get(workload), port) === 'Strict'
  const services: Services = buildServices(graph, catalog, lookup, { meshed, unready, strict })
  const mtls = buildMtls(graph, catalog, lookup, services.workload, settings)
  const frontends = buildFrontends(graph, catalog, lookup)
  const policies = buildPolicies(graph, catalog, lookup, services, settings)
  return {
    lookup,
    settings,
    ranges: buildRanges(graph, catalog, settings),
    services,
    frontends,
    http: buildHttp(graph, catalog, services, frontends, policies),
    tcp: buildTcp(graph, catalog, services, frontends),
    policies,
    mtls,
    authorization: buildAuthorization(graph, catalog, lookup, services.workload, settings),
    externals: buildExternals(graph, catalog, lookup),
    patches: buildPatches(graph, catalog, lookup, services.workload, settings),
    strict,
    discovery: graph.derive<DiscoveryMode>('mesh.discovery', (namespace) => {
      const own = catalog.table('Namespace').get(namespace)?.metadata.annotations?.[discoveryAnnotation]
      return own === 'Eager' || own === 'OnDemand' ? own : settings.get('').outbound.discovery
    }),
    hasOwnView: graph.derive<boolean>(
      'mesh.hasOwnView',
      (namespace) =>
        lookup.externalsByNamespace.get(namespace).length > 0 ||
        ROUTE_KINDS.some((kind) => lookup.consumerRoutes[kind].get(namespace).length > 0),
    ),
    meshed,
    unready,
  }
}
