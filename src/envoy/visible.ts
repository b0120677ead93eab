// What "everything visible" means, for proxies that are sent it ahead: every address and port of every Service.
import type { Mesh } from '../mesh/mesh.ts'
import type { Protocol } from '../mesh/model.ts'
import { frontendKey } from './cluster/outbound.ts'
import { formatClusterName, virtualHostName } from './names.ts'

export interface VisibleAddress {
  readonly service: string
  readonly address: string
  readonly port: number
  readonly protocol: Protocol
}

export function visibleAddresses(mesh: Mesh): readonly VisibleAddress[] {
  return mesh.lookup.servicesByNamespace.get('*').flatMap((key) => {
    const service = mesh.services.service.get(key)
    return (service?.addresses ?? []).flatMap((address) =>
      (service?.ports ?? [])
        .map(({ port, protocol }) => ({ service: key, address, port, protocol }))
        .filter((own) => leadsTo(mesh, own)),
    )
  })
}

/** An address that two Services claim is the older one's: Envoy refuses a domain that stands there twice. */
function leadsTo(mesh: Mesh, { service, address, port }: VisibleAddress): boolean {
  const destination = mesh.services.destination.get(formatClusterName({ kind: 'http', address, port }))
  return destination?.kind === 'service' && destination.service.key === service
}

/** Names of the clusters, for the clients of a namespace: requests and connections, as the ports' protocols have it. */
export function visibleClusters(mesh: Mesh, namespace: string, stateOfTheWorld: boolean): readonly string[] {
  return visibleAddresses(mesh).flatMap(({ service, address, port, protocol }) => {
    const http = protocol !== 'tcp' && protocol !== 'tls'
    const tcp = protocol !== 'http' && protocol !== 'http2'
    // with its virtual host at hand, nobody needs the cluster that finds it
    const routed = stateOfTheWorld && mesh.http.get(frontendKey(mesh, { service, port }, namespace)) !== undefined
    return [
      ...(http && !routed ? [formatClusterName({ kind: 'http', address, port })] : []),
      ...(tcp ? [formatClusterName({ kind: 'tcp', address, port })] : []),
    ]
  })
}

/** Names of the virtual hosts of ports with an HTTP policy. */
export function visibleVirtualHosts(mesh: Mesh, namespace: string): readonly string[] {
  return visibleAddresses(mesh).flatMap(({ service, address, port }) =>
    mesh.http.get(frontendKey(mesh, { service, port }, namespace)) === undefined ? [] : [virtualHostName(address, port)],
  )
}

/** Names of the clusters that TLS connections lead to by SNI: one for each host name of a TLSRoute. */
export function visibleTlsClusters(mesh: Mesh, namespace: string): readonly string[] {
  return visibleAddresses(mesh).flatMap(({ service, address, port }) =>
    mesh.tcp.names
      .get(frontendKey(mesh, { service, port }, namespace))
      .map((sni) => formatClusterName({ kind: 'tls', address, port, sni })),
  )
}

/** Names of the clusters of hosts outside: by host name where there is one, and by the addresses that stand for them. */
export function visibleExternals(mesh: Mesh, namespace: string): readonly string[] {
  return mesh.externals.visible.get(namespace).flatMap(({ hosts, addresses, port, protocol }) => {
    const http = protocol !== 'tcp' && protocol !== 'tls'
    const tcp = protocol !== 'http' && protocol !== 'http2'
    return [
      ...hosts
        .filter((host) => !host.startsWith('*'))
        .map((host) => formatClusterName({ kind: 'external', host, port })),
      ...addresses.flatMap((address) => [
        ...(http ? [formatClusterName({ kind: 'http', address, port })] : []),
        ...(tcp ? [formatClusterName({ kind: 'tcp', address, port })] : []),
      ]),
    ]
  })
}
