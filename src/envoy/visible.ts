// What "everything visible" means, for proxies that are sent it ahead: every address and port of every Service, and hosts outside.
import type { Mesh } from '../mesh/mesh.ts'
import { type Protocol, socketName } from '../mesh/model.ts'
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

/**
 * Names of the clusters, for the clients of a namespace: requests and connections, as the ports' protocols have it. A state-of-the-world
 * client cannot ask for anything else, so it has in addition what others ask for when they use it.
 */
export function visibleClusters(mesh: Mesh, namespace: string, stateOfTheWorld: boolean): readonly string[] {
  const names = [
    ...visibleAddresses(mesh).flatMap(({ service, address, port, protocol }) => {
      // with its virtual host at hand, nobody needs the cluster that finds it
      const routed = stateOfTheWorld && mesh.http.get(frontendKey(mesh, { service, port }, namespace)) !== undefined
      return socketClusters(address, port, protocol).slice(routed && isHttp(protocol) ? 1 : 0)
    }),
    ...tlsClusters(mesh, namespace, stateOfTheWorld),
    ...mesh.externals.visible
      .get(namespace)
      .flatMap(({ hosts, addresses, port, protocol }) => [
        ...hosts
          .filter((host) => !host.startsWith('*'))
          .map((host) => formatClusterName({ kind: 'external', host, port })),
        ...addresses.flatMap((address) => socketClusters(address, port, protocol)),
      ]),
    ...(stateOfTheWorld ? headlessClusters(mesh) : []),
  ]
  // a host outside may have the address of a Service, or of another
  return [...new Set(names)]
}

/** Names of the virtual hosts of ports with an HTTP policy. */
export function visibleVirtualHosts(mesh: Mesh, namespace: string): readonly string[] {
  return visibleAddresses(mesh).flatMap(({ service, address, port }) =>
    mesh.http.get(frontendKey(mesh, { service, port }, namespace)) === undefined
      ? []
      : [virtualHostName(address, port)],
  )
}

/** Host names of TLSRoutes by the addresses of the Services that have any, for the clients of a namespace. */
export function visibleTlsNames(mesh: Mesh, namespace: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>()
  for (const { service, address, port } of visibleAddresses(mesh))
    for (const name of mesh.tcp.names.get(frontendKey(mesh, { service, port }, namespace))) {
      const names = found.get(address)
      if (names === undefined) found.set(address, new Set([name]))
      else names.add(name)
    }
  return new Map([...found].map(([address, names]) => [address, [...names].toSorted()]))
}

const isHttp = (protocol: Protocol): boolean => protocol !== 'tcp' && protocol !== 'tls'
const isTcp = (protocol: Protocol): boolean => protocol !== 'http' && protocol !== 'http2'

/** Of requests first, then of connections. */
function socketClusters(address: string, port: number, protocol: Protocol): string[] {
  return [
    ...(isHttp(protocol) ? [formatClusterName({ kind: 'http', address, port })] : []),
    ...(isTcp(protocol) ? [formatClusterName({ kind: 'tcp', address, port })] : []),
  ]
}

/** One for each host name of a port's TLSRoutes; where none can be asked for, any port of the address may be met with any of them. */
function tlsClusters(mesh: Mesh, namespace: string, stateOfTheWorld: boolean): string[] {
  const names = stateOfTheWorld ? visibleTlsNames(mesh, namespace) : undefined
  return visibleAddresses(mesh).flatMap(({ service, address, port }) => {
    const own = names?.get(address) ?? mesh.tcp.names.get(frontendKey(mesh, { service, port }, namespace))
    const all = names === undefined || own.length === 0 ? own : new Set([...own, ''])
    return [...all].map((sni) => formatClusterName({ kind: 'tls', address, port, sni }))
  })
}

/** Those of the instances of headless Services, which clients dial by their own addresses. */
function headlessClusters(mesh: Mesh): string[] {
  return mesh.lookup.servicesByNamespace.get('*').flatMap((key) => {
    const service = mesh.services.service.get(key)
    if (service === undefined || service.addresses.length > 0) return []
    return service.ports.flatMap(({ port }) =>
      mesh.services.endpoints.get(`${key}:${port}`).flatMap((endpoint) => {
        const destination = mesh.services.destination.get(socketName(endpoint.address, endpoint.port))
        if (destination?.kind !== 'workload') return []
        return socketClusters(endpoint.address, endpoint.port, destination.protocol)
      }),
    )
  })
}
