// What is behind a cluster's name, for the clients of one namespace: instances by EDS, the loop that finds a virtual host, or a host
// outside. Everything follows from the name; undefined where nobody has it.
import type { Destination, PortRef, Protocol } from '../../mesh/model.ts'
import { splitKey } from '../../mesh/model.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { ConnectionPolicy } from '../../mesh/policies.ts'
import { parseBackendName } from '../../mesh/http.ts'
import { any, type Message } from '../../proto/types.ts'
import type { ResourceRef } from '../../xds/source.ts'
import { ADS, rawBuffer } from '../messages.ts'
import {
  AGAIN,
  ALPN_HTTP,
  ALPN_TCP,
  type ClusterName,
  formatClusterName,
  parseClusterName,
  VIRTUAL_HOST,
  virtualHostName,
} from '../names.ts'
import { spiffeId, upstreamTls } from '../tls.ts'
import { externalCluster, type ExternalName, isExternal } from './external.ts'
import { passthroughCluster, refusedCluster } from './inbound.ts'
import { connectionSettings } from './policy/connection-settings.ts'

export type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

export interface Content<M> {
  readonly message: M
  readonly requires: readonly ResourceRef[]
}

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const NO_LIMIT = 4_294_967_295

/** For a cluster's name and the clients of a namespace. */
export function outboundCluster(mesh: Mesh, name: string, namespace: string): Content<Cluster> | undefined {
  const parsed = parseClusterName(name)
  if (parsed === undefined) return undefined
  if (parsed.kind === 'external') return plain(outside(mesh, name, { ...parsed, namespace }))
  const destination = mesh.services.destination.get(socket(parsed))
  if (parsed.kind === 'backend') return plain(backendCluster(mesh, name, parsed, destination))
  if (destination === undefined) return plain(outside(mesh, name, { ...parsed, host: undefined, namespace }))
  if (destination.kind === 'workload') return plain(workloadCluster(mesh, name, parsed, destination))
  const frontend: PortRef = { service: destination.service.key, port: destination.port.port }
  if (parsed.kind === 'http' && mesh.http.get(frontendKey(mesh, frontend, namespace)) !== undefined)
    return {
      message: loopCluster(name),
      requires: [{ type: VIRTUAL_HOST, name: virtualHostName(parsed.address, parsed.port) }],
    }
  return plain(serviceCluster(mesh, name, parsed, frontend, destination.port.protocol, namespace))
}

/** A host outside; on a port that nobody declares for it, whatever the mesh does with destinations that it does not know. */
function outside(mesh: Mesh, name: string, wanted: ExternalName): Cluster | undefined {
  const found = externalCluster(mesh, name, wanted)
  if (found !== undefined || !isExternal(mesh, wanted)) return found
  const { unknownDestinations } = mesh.settings.get('').outbound
  return { ...(unknownDestinations === 'Refuse' ? refusedCluster() : passthroughCluster()), name }
}

/** Key of a frontend as a client of this namespace sees it. */
export function frontendKey(mesh: Mesh, { service, port }: PortRef, namespace: string): string {
  return `${service}:${port}|${scopeOf(mesh, service, namespace)}`
}

/** The namespace, where it has routes of its own for the Service; else empty, as for everybody who follows the producer. */
export function scopeOf(mesh: Mesh, service: string, namespace: string): string {
  return mesh.frontends.consumers.get(service).includes(namespace) ? namespace : ''
}

const plain = (message: Cluster | undefined): Content<Cluster> | undefined => message && { message, requires: [] }

const socket = (name: Exclude<ClusterName, { kind: 'external' }>): string =>
  formatClusterName({ kind: 'http', address: name.address, port: name.port })

/** One round through the internal listener: the request that was first finds its virtual host there. */
function loopCluster(name: string): Cluster {
  return {
    name,
    type: 'STATIC',
    alt_stat_name: AGAIN,
    connect_timeout: '1s',
    circuit_breakers: {
      thresholds: [
        { max_connections: NO_LIMIT, max_pending_requests: NO_LIMIT, max_requests: NO_LIMIT, max_retries: NO_LIMIT },
      ],
    },
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: any(HTTP_OPTIONS, {
        use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
      }),
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { envoy_internal_address: { server_listener_name: AGAIN, endpoint_id: name } } } },
          ],
        },
      ],
    },
  }
}

function serviceCluster(
  mesh: Mesh,
  name: string,
  parsed: ClusterName,
  frontend: PortRef,
  protocol: Protocol,
  namespace: string,
): Cluster {
  const key = frontendKey(mesh, frontend, namespace)
  const split = parsed.kind === 'tls' ? mesh.tcp.tls.get(`${key}|${parsed.sni}`) : mesh.tcp.tcp.get(key)
  const backends: readonly PortRef[] = split?.filter(({ invalid }) => invalid === undefined) ?? [frontend]
  return instances(mesh, name, {
    policy: mesh.policies.connection(undefined, frontend, frontend),
    http: parsed.kind === 'http',
    protocol,
    backends,
    stat: frontend,
    weighted: split !== undefined,
  })
}

function backendCluster(
  mesh: Mesh,
  name: string,
  parsed: Extract<ClusterName, { kind: 'backend' }>,
  destination: Destination | undefined,
): Cluster | undefined {
  const backend = parseBackendName(parsed.backend)
  const port = backend && mesh.services.service.get(backend.service)?.ports.find((own) => own.port === backend.port)
  if (backend === undefined || port === undefined || destination?.kind !== 'service') return undefined
  const frontend: PortRef = { service: destination.service.key, port: destination.port.port }
  return instances(mesh, name, {
    policy: mesh.policies.connection(parsed.rule, frontend, backend),
    http: true,
    protocol: port.protocol,
    backends: [backend],
    stat: backend,
    weighted: false,
  })
}

function workloadCluster(
  mesh: Mesh,
  name: string,
  parsed: ClusterName,
  destination: Extract<Destination, { kind: 'workload' }>,
): Cluster {
  const { workload, port, protocol } = destination
  return {
    ...base(name, `${workload.name}.${workload.namespace}.${port}`),
    ...connectionSettings(mesh.policies.instance(workload.namespace), {
      http: parsed.kind === 'http',
      protocol,
      hostname: workload.name,
    }),
    ...sockets(mesh, parsed.kind === 'http', protocol, [
      { namespace: workload.namespace, name: workload.serviceAccount },
    ]),
  }
}

interface Instances {
  readonly policy: ConnectionPolicy
  readonly http: boolean
  readonly protocol: Protocol
  readonly backends: readonly PortRef[]
  /** What it is called in statistics. */
  readonly stat: PortRef
  /** Localities stand for backends, their weights for shares. */
  readonly weighted: boolean
}

function instances(mesh: Mesh, name: string, given: Instances): Cluster {
  const { namespace, name: service } = splitKey(given.stat.service)
  const accounts = given.backends.flatMap(({ service: key, port }) => mesh.services.identities.get(`${key}:${port}`))
  return {
    ...base(name, `${service}.${namespace}.${given.stat.port}`),
    ...connectionSettings(given.policy, {
      http: given.http,
      protocol: given.protocol,
      hostname: `${service}.${namespace}`,
      localityWeighted: given.weighted,
    }),
    ...sockets(mesh, given.http, given.protocol, accounts),
  }
}

const base = (name: string, stat: string): Cluster => ({
  name,
  alt_stat_name: stat,
  type: 'EDS',
  eds_cluster_config: { eds_config: ADS },
})

/**
 * Mesh TLS to the instances that have it, plaintext to the others: the endpoints' metadata says which. Always both, so that an
 * instance that turns to TLS never meets a cluster that has only plaintext, however updates of the two arrive.
 */
function sockets(
  mesh: Mesh,
  http: boolean,
  protocol: Protocol,
  accounts: readonly { readonly namespace: string; readonly name: string }[],
): Pick<Cluster, 'transport_socket_matches'> {
  const { trustDomain } = mesh.settings.get('')
  const identities = [...new Set(accounts.map((account) => spiffeId(trustDomain, account)))].toSorted()
  // what the server declares TCP is TCP there, whatever this side saw in it
  const alpn = http && protocol !== 'tcp' && protocol !== 'tls' ? ALPN_HTTP : ALPN_TCP
  return {
    transport_socket_matches: [
      { name: 'mesh', match: { heddle: true }, transport_socket: upstreamTls({ trustDomain, alpn, identities }) },
      { name: 'plaintext', match: {}, transport_socket: rawBuffer() },
    ],
  }
}
