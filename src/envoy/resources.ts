// Every resource by its type, its name and who asks: the one place that knows which function makes what. A content is made from the
// narrowest scope that it depends on, encoded once, and shared by all who see the same.
import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Graph, Reader } from '../engine/graph.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { parseBackendName } from '../mesh/http.ts'
import { encodeEndpoints, type Endpoints } from '../proto/endpoints.ts'
import type { Protos } from '../proto/encode.ts'
import type { MessageName } from '../proto/types.ts'
import type { Resource, ResourceRef } from '../xds/source.ts'
import type { Authored } from './authored.ts'
import { passthroughCluster, refusedCluster } from './cluster/inbound.ts'
import { frontendKey, outboundCluster, scopeOf } from './cluster/outbound.ts'
import { collectorClusters } from './collectors.ts'
import { endpointsOf, followsLocality } from './endpoint.ts'
import { type InboundInput, inboundInput, inboundMessage } from './inbound.ts'
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
  parseClusterName,
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
import { grpcCluster, grpcEndpoints, grpcListener, grpcRoutes, parseGrpcName } from './proxyless.ts'
import { applyPatches, type PatchRefused } from './patch.ts'
import { externalRoutes } from './route/external.ts'
import { placeholderVirtualHost, refusedVirtualHost } from './route/fixed-hosts.ts'
import { routeConfiguration } from './route/route-configuration.ts'
import { virtualHost } from './route/virtual-host.ts'
import type { Secrets } from './secrets.ts'
import type { View } from './view.ts'
import { visibleAddresses, visibleTlsNames } from './visible.ts'

export interface Resources {
  /** The content of a name for a proxy; to be watched. Key: `Scopes.key`. */
  readonly resource: Reader<Resource | undefined>
  /** The same before it is encoded. */
  authored(type: string, name: string, view: View): Authored | undefined
}

export interface ResourcesOptions {
  readonly graph: Graph
  readonly mesh: Mesh
  readonly protos: Protos
  readonly secrets: Secrets
  /** Addresses that a workload's proxies have asked for and nobody has, by key of the workload. */
  readonly refusedNames: Reader<readonly string[]>
  /** Told of an EnvoyPatch that could not be applied; what it would have changed is served without it. */
  readonly onPatchRefused?: (refused: PatchRefused) => void
}

export function buildResources(options: ResourcesOptions): Resources {
  const { graph, mesh, protos, secrets } = options

  const encode = (authored: Authored | undefined): Resource | undefined => {
    if (authored === undefined) return undefined
    const { type, name, requires } = authored
    const bytes = protos.encodeUnknown(type, authored.message)
    return { name, version: authored.version ?? versionOf(bytes), bytes, requires }
  }

  // contents that several scopes share, by `name\nscope`
  const clusters = graph.derive<Resource | undefined>(
    'envoy.cluster',
    (key) => {
      const [name = '', namespace = ''] = key.split('\n')
      return encode(authoredCluster(name, namespace))
    },
    sameResource,
  )
  const endpoints = graph.derive<Resource | undefined>(
    'envoy.endpoints',
    (key) => {
      const [name = '', namespace = '', locality = ''] = key.split('\n')
      const bytes = encodeEndpoints(assignment(name, namespace, locality))
      return { name, version: versionOf(bytes), bytes, requires: [] }
    },
    sameResource,
  )
  const virtualHosts = graph.derive<Resource | undefined>(
    'envoy.virtualHost',
    (key) => {
      const [name = '', namespace = ''] = key.split('\n')
      return encode(authoredVirtualHost(name, namespace))
    },
    sameResource,
  )

  const assignment = (name: string, namespace: string, locality: string): Endpoints =>
    parseGrpcName(name) === undefined ? endpointsOf(mesh, name, namespace, locality) : grpcEndpoints(mesh, name)

  const inbounds = graph.derive<Resource | undefined>(
    'envoy.inbound',
    (key) => {
      const [type = '', name = '', input = ''] = key.split('\n')
      const message = inboundMessage(JSON.parse(input) as InboundInput, mesh.settings.get(''))
      return message === undefined ? undefined : encode({ type: type as MessageName, name, message, requires: [] })
    },
    sameResource,
  )

  const authoredCluster = (name: string, namespace: string): Authored | undefined => {
    if (name === PASSTHROUGH || name === REFUSED)
      return {
        type: CLUSTER,
        name,
        message: name === PASSTHROUGH ? passthroughCluster() : refusedCluster(),
        requires: [],
      }
    const collector = collectorClusters(mesh.settings.get('')).find((cluster) => cluster.name === name)
    if (collector !== undefined) return { type: CLUSTER, name, message: collector, requires: [] }
    if (parseGrpcName(name) !== undefined) {
      const message = grpcCluster(mesh, name)
      return message && { type: CLUSTER, name, message, requires: [] }
    }
    const content = outboundCluster(mesh, name, namespace)
    return content && { type: CLUSTER, name, ...content }
  }

  const authoredVirtualHost = (name: string, namespace: string): Authored | undefined => {
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
      requires: needed.filter((cluster) => cluster !== REFUSED).map((cluster) => ({ type: CLUSTER, name: cluster })),
    }
  }

  /** The narrowest namespace that the content of an outbound name follows. */
  const narrow = (name: string, namespace: string): string => {
    const parsed = parseClusterName(name)
    if (parsed === undefined) return ''
    if (parsed.kind === 'external') return namespace
    const destination = mesh.services.destination.get(
      formatClusterName({ kind: 'http', address: parsed.address, port: parsed.port }),
    )
    if (destination === undefined) return namespace
    return destination.kind === 'service' ? scopeOf(mesh, destination.service.key, namespace) : ''
  }

  const authored = (type: string, name: string, view: View): Authored | undefined => {
    const content = unpatched(type, name, view)
    const patches = view.workload === undefined ? [] : mesh.patches.get(view.workload)
    if (content === undefined || patches.length === 0 || type === SECRET) return content
    const { message, refused } = applyPatches(protos, content.type, name, content.message, patches)
    for (const refusal of refused) options.onPatchRefused?.(refusal)
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
            const host = authoredVirtualHost(
              `${OUTBOUND}/${formatClusterName({ kind: 'http', address, port })}`,
              view.namespace,
            )
            return host === undefined ? [] : [host]
          })
          return of(
            routeConfiguration({ vhds: false, virtualHosts: inline.map(({ message }) => message as never) }),
            inline.flatMap(({ requires }) => requires),
          )
        }
        if (name === EXTERNAL) return of(externalRoutes(settings, mesh.externals.visible.get(view.namespace)))
        return undefined
      }
      case VIRTUAL_HOST: {
        if (name === REFUSED_HOST) {
          const refused = options.refusedNames.get(view.workload)
          return of(refused.length === 0 ? undefined : refusedVirtualHost(refused))
        }
        return authoredVirtualHost(name, view.namespace)
      }
      case CLUSTER:
        return authoredCluster(name, view.namespace)
      case ENDPOINTS:
        return of(protos.decode(ENDPOINTS, encodeEndpoints(assignment(name, view.namespace, view.locality))))
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
    const address = upstream && mesh.services.service.get(upstream.service)?.addresses[0]
    if (upstream === undefined || address === undefined) return undefined
    return upstreamListener({
      name,
      address: view.appAddress ?? '127.0.0.1',
      port: upstream.localPort,
      destination: formatClusterName({ kind: 'http', address, port: upstream.servicePort }),
      onDemand,
      settings,
      tlsNames: tlsNames(view).get(address) ?? [],
    })
  }

  const noNames: ReadonlyMap<string, readonly string[]> = new Map()
  const tlsNames = ({ stateOfTheWorld, namespace }: View) =>
    stateOfTheWorld ? visibleTlsNames(mesh, namespace) : noNames

  /** An address that neither the mesh nor a host outside has, as a namespace sees it. */
  const isNobodys = (name: string, namespace: string): boolean => {
    const parsed = parseClusterName(name)
    if (parsed === undefined || parsed.kind === 'external' || parsed.kind === 'backend') return false
    const { address, port } = parsed
    return (
      mesh.services.destination.get(formatClusterName({ kind: 'http', address, port })) === undefined &&
      !mesh.externals.visible.get(namespace).some((external) => external.addresses.includes(address))
    )
  }

  const resource = graph.derive<Resource | undefined>(
    'envoy.resource',
    (key) => {
      const [type = '', name = '', scope = '{}'] = key.split('\n')
      const view = JSON.parse(scope) as View
      if (view.workload !== undefined && mesh.patches.get(view.workload).length > 0)
        return encode(authored(type, name, view))
      const inbound = inboundInput(mesh, type, name, view)
      if (inbound !== undefined) return inbounds.get(`${type}\n${name}\n${JSON.stringify(inbound)}`)
      switch (type) {
        case CLUSTER:
          // an application may dial thousands: each has as few cells as possible
          if (isNobodys(name, view.namespace)) return undefined
          return clusters.get(`${name}\n${narrow(name, view.namespace)}`)
        case ENDPOINTS:
          return endpoints.get(
            `${name}\n${narrow(name, view.namespace)}\n${followsLocality(mesh, name) ? view.locality : ''}`,
          )
        case VIRTUAL_HOST: {
          if (name === REFUSED_HOST) break
          const dialled = parseVirtualHostName(name)
          return virtualHosts.get(
            `${name}\n${dialled === undefined ? '' : narrow(formatClusterName({ kind: 'http', ...dialled }), view.namespace)}`,
          )
        }
        default:
      }
      return encode(authored(type, name, view))
    },
    sameResource,
  )

  return { resource, authored }
}

/** A version is a hash of the content: the same on every replica, and after a restart. */
export function versionOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url').slice(0, 16)
}

function sameResource(a: Resource | undefined, b: Resource | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && a.version === b.version && isDeepStrictEqual(a.requires, b.requires)
}
