// The instances behind a cluster's name: the commonest change, so the shortest way, straight to bytes.
import type { Endpoint as Instance, Locality, PortRef } from '../mesh/model.ts'
import { parseBackendName } from '../mesh/http.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { EndpointMetadata, Endpoints, LocalityEndpoints } from '../proto/endpoints.ts'
import { frontendKey } from './cluster/outbound.ts'
import { prioritise } from './cluster/policy/locality.ts'
import { parseClusterName, REFUSED } from './names.ts'

/** What a transport socket match looks for. Shared, so that it is encoded once. */
const MESH_TLS: EndpointMetadata = { 'envoy.transport_socket_match': { heddle: true } }

/**
 * For clients of a namespace and a locality (`region/zone/subZone`). Never undefined: a cluster whose endpoints are not
 * answered warms, and holds back all other discovery meanwhile (envoy#13009).
 */
export function endpointsOf(mesh: Mesh, name: string, namespace: string, locality: string): Endpoints {
  const empty: Endpoints = { clusterName: name, localities: [] }
  const parsed = parseClusterName(name)
  if (parsed === undefined || parsed.kind === 'external') return empty
  if (parsed.kind === 'backend') {
    const backend = parseBackendName(parsed.backend)
    if (backend === undefined) return empty
    const frontend = frontendOf(mesh, parsed) ?? backend
    const zones = mesh.policies.connection(parsed.rule, frontend, backend).loadBalancer?.zoneAware
    return { clusterName: name, localities: byPriority(mesh, backend, zones, locality) }
  }
  const destination = destinationOf(mesh, parsed)
  if (destination === undefined) return empty
  if (destination.kind === 'workload') {
    const { workload, port, address } = destination
    const tls = mesh.meshed.get(workload.key) === true || mesh.strict(workload.key, port)
    return {
      clusterName: name,
      localities: [
        {
          ...workload.locality,
          priority: 0,
          endpoints: [{ address: { address, port }, ...(tls && { metadata: MESH_TLS }) }],
        },
      ],
    }
  }
  const frontend: PortRef = { service: destination.service.key, port: destination.port.port }
  const key = frontendKey(mesh, frontend, namespace)
  const split = parsed.kind === 'tls' ? mesh.tcp.tls.get(`${key}|${parsed.sni}`) : mesh.tcp.tcp.get(key)
  if (split === undefined) {
    const zones = mesh.policies.connection(undefined, frontend, frontend).loadBalancer?.zoneAware
    return { clusterName: name, localities: byPriority(mesh, frontend, zones, locality) }
  }
  return {
    clusterName: name,
    localities: split
      .filter(({ weight }) => weight > 0)
      .map((backend): LocalityEndpoints => ({
        region: backend.name,
        zone: '',
        subZone: '',
        weight: backend.weight,
        priority: 0,
        endpoints:
          backend.invalid === undefined
            ? instancesOf(mesh, backend).map(lbEndpoint)
            : // a backend that does not exist keeps its share of the connections, and refuses them
              [{ address: { internalListener: REFUSED, endpointId: backend.name } }],
      })),
  }
}

/** Whether a client's locality has a part in the answer. */
export function followsLocality(mesh: Mesh, name: string): boolean {
  const parsed = parseClusterName(name)
  if (parsed === undefined || parsed.kind === 'external') return false
  const frontend = frontendOf(mesh, parsed)
  if (frontend === undefined) return false
  const backend = parsed.kind === 'backend' ? parseBackendName(parsed.backend) : frontend
  const rule = parsed.kind === 'backend' ? parsed.rule : undefined
  return (
    backend !== undefined && mesh.policies.connection(rule, frontend, backend).loadBalancer?.zoneAware !== undefined
  )
}

type Addressed = Exclude<NonNullable<ReturnType<typeof parseClusterName>>, { kind: 'external' }>

function destinationOf(mesh: Mesh, { address, port }: Addressed) {
  return mesh.services.destination.get(address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)
}

function frontendOf(mesh: Mesh, parsed: Addressed): PortRef | undefined {
  const destination = destinationOf(mesh, parsed)
  return destination?.kind === 'service' ? { service: destination.service.key, port: destination.port.port } : undefined
}

function instancesOf(mesh: Mesh, { service, port }: PortRef): readonly Instance[] {
  return mesh.services.endpoints.get(`${service}:${port}`).filter(({ weight }) => weight > 0)
}

function byPriority(
  mesh: Mesh,
  backend: PortRef,
  zones: Parameters<typeof prioritise>[0],
  locality: string,
): readonly LocalityEndpoints[] {
  const [region = '', zone = '', subZone = ''] = locality.split('/')
  const client: Locality = { region, zone, subZone }
  return prioritise(zones, client, instancesOf(mesh, backend)).map((group) => ({
    ...group.locality,
    priority: group.priority,
    ...(group.weight !== undefined && { weight: group.weight }),
    endpoints: group.endpoints.map(lbEndpoint),
  }))
}

function lbEndpoint(instance: Instance) {
  return {
    address: { address: instance.address, port: instance.port },
    ...(instance.weight !== 1 && { weight: instance.weight }),
    ...(instance.tls && { metadata: MESH_TLS }),
  }
}
