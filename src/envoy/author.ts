// What a name stands for, as messages in the shape of Envoy's documentation: the one place that knows which function writes what.
import type { Reader } from '../engine/graph.ts'
import { parseBackendName } from '../mesh/http.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Upstream } from '../mesh/model.ts'
import { encodeEndpoints, type Endpoints } from '../proto/endpoints.ts'
import type { Protos } from '../proto/encode.ts'
import type { Message, MessageName } from '../proto/types.ts'
import type { ResourceRef } from '../xds/source.ts'
import type { Authored } from './authored.ts'
import { passthroughCluster, refusedCluster } from './cluster/inbound.ts'
import { frontendKey, outboundCluster } from './cluster/outbound.ts'
import { collectorClusters } from './collectors.ts'
import { endpointsOf } from './endpoint.ts'
import { inboundInput, inboundMessage } from './inbound.ts'
import { againListener, outboundListener } from './listener/outbound.ts'
import { upstreamListener } from './listener/upstream.ts'
import {
  AGAIN,
  CLUSTER,
  ENDPOINTS,
  EXTERNAL,
  formatClusterName,
  LISTENER,
  OUTBOUND,
  parseUpstreamName,
  parseVirtualHostName,
  PASSTHROUGH,
  PLACEHOLDER_HOST,
  REFUSED,
  REFUSED_HOST,
  ROUTES,
  SECRET,
  VIRTUAL_HOST,
} from './names.ts'
import { applyPatches, type PatchRefused } from './patch.ts'
import { grpcCluster, grpcEndpoints, grpcListener, grpcRoutes, parseGrpcName } from './proxyless.ts'
import { externalRoutes } from './route/external.ts'
import { placeholderVirtualHost, refusedVirtualHost } from './route/fixed-hosts.ts'
import { routeConfiguration } from './route/route-configuration.ts'
import { virtualHost } from './route/virtual-host.ts'
import type { Secrets } from './secrets.ts'
import type { View } from './view.ts'
import { visibleAddresses, visibleTlsNames } from './visible.ts'

export interface AuthorOptions {
  readonly mesh: Mesh
  readonly protos: Protos
  readonly secrets: Secrets
  /** Addresses that a workload's proxies have asked for and nobody has, by key of the workload. */
  readonly refusedNames: Reader<readonly string[]>
  /** Told of an EnvoyPatch that could not be applied; what it would have changed is served without it. */
  readonly onPatchRefused?: (refused: PatchRefused) => void
}

export interface Author {
  /** What a proxy is sent under a name, patches applied; undefined where there is none of that name. */
  author(type: string, name: string, view: View): Authored | undefined
  /** A cluster of the outbound side, for the clients of a namespace. */
  cluster(name: string, namespace: string): Authored | undefined
  virtualHost(name: string, namespace: string): Authored | undefined
  /** The instances behind a cluster's name, for clients of a namespace and a locality. */
  endpoints(name: string, namespace: string, locality: string): Endpoints
}

const NO_NAMES: ReadonlyMap<string, readonly string[]> = new Map()

export function createAuthor({ mesh, protos, secrets, refusedNames, onPatchRefused }: AuthorOptions): Author {
  const endpoints = (name: string, namespace: string, locality: string): Endpoints =>
    parseGrpcName(name) === undefined ? endpointsOf(mesh, name, namespace, locality) : grpcEndpoints(mesh, name)

  const cluster = (name: string, namespace: string): Authored | undefined => {
    if (name === PASSTHROUGH || name === REFUSED)
      return {
        type: CLUSTER,
        name,
        message: name === PASSTHROUGH ? passthroughCluster() : refusedCluster(),
        requires: [],
      }
    const collector = collectorClusters(mesh.settings.get('')).find((own) => own.name === name)
    if (collector !== undefined) return { type: CLUSTER, name, message: collector, requires: [] }
    if (parseGrpcName(name) !== undefined) {
      const message = grpcCluster(mesh, name)
      return message && { type: CLUSTER, name, message, requires: [] }
    }
    const content = outboundCluster(mesh, name, namespace)
    return content && { type: CLUSTER, name, ...content }
  }

  const hostOf = (name: string, namespace: string): Authored | undefined => {
    if (name === PLACEHOLDER_HOST) return { type: VIRTUAL_HOST, name, message: placeholderVirtualHost(), requires: [] }
    const dialled = parseVirtualHostName(name)
    const destination = dialled && mesh.services.destination.get(formatClusterName({ kind: 'http', ...dialled }))
    if (dialled === undefined || destination?.kind !== 'service') return undefined
    const frontend = mesh.http.get(
      frontendKey(mesh, { service: destination.service.key, port: destination.port.port }, namespace),
    )
    if (frontend === undefined) return undefined
    const { message, clusters: needed } = virtualHost(frontend, dialled.address, dialled.port)
    return {
      type: VIRTUAL_HOST,
      name,
      message,
      requires: needed.filter((own) => own !== REFUSED).map((own) => ({ type: CLUSTER, name: own })),
    }
  }

  const author = (type: string, name: string, view: View): Authored | undefined => {
    const content = unpatched(type, name, view)
    const patches = view.workload === undefined ? [] : mesh.patches.get(view.workload)
    if (content === undefined || patches.length === 0 || type === SECRET) return content
    const { message, refused } = applyPatches(protos, content.type, name, content.message, patches)
    for (const refusal of refused) onPatchRefused?.(refusal)
    return { ...content, message }
  }

  const unpatched = (type: string, name: string, view: View): Authored | undefined => {
    const settings = mesh.settings.get('')
    const inbound = inboundInput(mesh, type, name, view)
    if (inbound !== undefined) {
      const message = inboundMessage(inbound, settings)
      return message === undefined ? undefined : { type: type as MessageName, name, message, requires: [] }
    }
    const of = (message: unknown, requires: readonly ResourceRef[] = []): Authored | undefined =>
      message === undefined ? undefined : { type: type as MessageName, name, message, requires }
    switch (type) {
      case LISTENER:
        return of(listener(name, view))
      case ROUTES: {
        if (parseBackendName(name) !== undefined) return of(grpcRoutes(mesh, name))
        if (name === OUTBOUND) {
          if (!view.stateOfTheWorld) return of(routeConfiguration({ vhds: true }))
          const inline = visibleAddresses(mesh).flatMap(({ address, port }) => {
            const host = hostOf(`${OUTBOUND}/${formatClusterName({ kind: 'http', address, port })}`, view.namespace)
            return host === undefined ? [] : [host]
          })
          return of(
            routeConfiguration({
              vhds: false,
              virtualHosts: inline.map(({ message }) => message as Message<typeof VIRTUAL_HOST>),
            }),
            inline.flatMap(({ requires }) => requires),
          )
        }
        if (name === EXTERNAL) return of(externalRoutes(settings, mesh.externals.visible.get(view.namespace)))
        return undefined
      }
      case VIRTUAL_HOST: {
        if (name === REFUSED_HOST) {
          const refused = refusedNames.get(view.workload)
          return of(refused.length === 0 ? undefined : refusedVirtualHost(refused))
        }
        return hostOf(name, view.namespace)
      }
      case CLUSTER:
        return cluster(name, view.namespace)
      case ENDPOINTS:
        return of(protos.decode(ENDPOINTS, encodeEndpoints(endpoints(name, view.namespace, view.locality))))
      case SECRET:
        return secrets.secret(name, view)
      default:
        return undefined
    }
  }

  const listener = (name: string, view: View): unknown => {
    if (parseBackendName(name) !== undefined) return grpcListener(mesh, name)
    const settings = mesh.settings.get('')
    const onDemand = !view.stateOfTheWorld
    if (name === OUTBOUND) {
      if (view.interception === 'None') return undefined
      const externals = mesh.externals.visible.get(view.namespace)
      const ranges = mesh.ranges.get('')
      return outboundListener({ ipv6: view.ipv6, onDemand, settings, ranges, externals, tlsNames: tlsNames(view) })
    }
    if (name === AGAIN) return againListener()
    const workload = mesh.services.workload.get(view.workload)
    if (workload === undefined) return undefined
    const upstream = workload.upstreams.find(({ localPort }) => localPort === parseUpstreamName(name))
    const address = upstream && upstreamAddress(upstream, workload.namespace)
    if (upstream === undefined || address === undefined) return undefined
    return upstreamListener({
      name,
      address: view.appAddress ?? '127.0.0.1',
      port: upstream.localPort,
      destination: formatClusterName({ kind: 'http', address, port: upstream.servicePort }),
      onDemand,
      settings,
      tlsNames: tlsNames({ ...view, namespace: workload.namespace }).get(address) ?? [],
    })
  }

  /** The address under which its destination is known: an ExternalService has one where names are Heddle's to resolve. */
  const upstreamAddress = ({ kind, service }: Upstream, namespace: string): string | undefined =>
    kind === 'Service'
      ? mesh.services.service.get(service)?.addresses[0]
      : mesh.externals.visible.get(namespace).find(({ key }) => key === service)?.addresses[0]

  const tlsNames = ({ stateOfTheWorld, namespace }: View): ReadonlyMap<string, readonly string[]> =>
    stateOfTheWorld ? visibleTlsNames(mesh, namespace) : NO_NAMES

  return { author, cluster, virtualHost: hostOf, endpoints }
}
