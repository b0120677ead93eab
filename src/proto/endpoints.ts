/**
 * ClusterLoadAssignments by hand: endpoints are what changes most, and what is largest. The bytes are those that the
 * generic encoder makes, in a fraction of the time.
 */
import { BackwardWriter } from './wire.ts'

/** The instances of a cluster: an `envoy.config.endpoint.v3.ClusterLoadAssignment`. */
export interface Endpoints {
  readonly clusterName: string
  readonly localities: readonly LocalityEndpoints[]
  /** Percent of a priority's load that its healthy endpoints are thought to carry; Envoy's default is 140. */
  readonly overprovisioningFactor?: number | undefined
  /** Writes localities without a name as empty ones, not as none: gRPC refuses an assignment with none (gRFC A27). */
  readonly unnamedLocalities?: boolean | undefined
}

export interface LocalityEndpoints {
  readonly region: string
  readonly zone: string
  readonly subZone: string
  /** Relative weight among the localities of a priority; only with locality-weighted load balancing. */
  readonly weight?: number | undefined
  /** 0 is used first; without gaps. */
  readonly priority: number
  readonly endpoints: readonly Endpoint[]
}

export interface Endpoint {
  readonly address: SocketEndpoint | InternalEndpoint
  /** At least 1. */
  readonly weight?: number | undefined
  readonly health?: EndpointHealth | undefined
  /** Host name for health checks and `auto_host_rewrite`. */
  readonly hostname?: string | undefined
  /** By filter name, as `envoy.transport_socket_match`. Sharing one object among endpoints saves time. */
  readonly metadata?: EndpointMetadata | undefined
}

export interface SocketEndpoint {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string
  readonly port: number
}

/** A listener in the same Envoy. */
export interface InternalEndpoint {
  readonly internalListener: string
  readonly endpointId: string
}

export type EndpointMetadata = Readonly<Record<string, Readonly<Record<string, string | boolean | number>>>>

/** Numbered as `envoy.config.core.v3.HealthStatus`. */
const healthStatuses = { UNKNOWN: 0, HEALTHY: 1, UNHEALTHY: 2, DRAINING: 3, TIMEOUT: 4, DEGRADED: 5 } as const

export type EndpointHealth = keyof typeof healthStatuses

/** The serialised ClusterLoadAssignment. */
export const encodeEndpoints = (input: Endpoints): Buffer => {
  const writer = new BackwardWriter(estimate(input))
  const metadata = new Map<EndpointMetadata, Buffer>()
  if (input.overprovisioningFactor !== undefined) {
    const mark = writer.written
    writer.uint32Value(3, input.overprovisioningFactor)
    writer.close(4, mark)
  }
  for (const locality of input.localities.toReversed()) {
    const mark = writer.written
    writeLocality(writer, locality, metadata, input.unnamedLocalities === true)
    writer.close(2, mark)
  }
  writer.text(1, input.clusterName)
  return writer.finish()
}

const estimate = (input: Endpoints): number =>
  input.localities.reduce((size, { endpoints }) => size + 64 + endpoints.length * 48, 64)

const writeLocality = (
  writer: BackwardWriter,
  locality: LocalityEndpoints,
  metadata: Map<EndpointMetadata, Buffer>,
  unnamed: boolean,
): void => {
  if (locality.priority !== 0) writer.uint32(5, locality.priority)
  if (locality.weight !== undefined) writer.uint32Value(3, locality.weight)
  const { endpoints } = locality
  for (let index = endpoints.length - 1; index >= 0; index--) {
    const endpoint = endpoints[index]
    if (endpoint === undefined) continue
    const mark = writer.written
    writeEndpoint(writer, endpoint, metadata)
    writer.close(2, mark)
  }
  const mark = writer.written
  writer.text(3, locality.subZone)
  writer.text(2, locality.zone)
  writer.text(1, locality.region)
  if (unnamed || writer.written > mark) writer.close(1, mark)
}

const writeEndpoint = (writer: BackwardWriter, endpoint: Endpoint, cache: Map<EndpointMetadata, Buffer>): void => {
  if (endpoint.weight !== undefined) writer.uint32Value(4, endpoint.weight)
  if (endpoint.metadata !== undefined) {
    let bytes = cache.get(endpoint.metadata)
    if (bytes === undefined) {
      bytes = encodeMetadata(endpoint.metadata)
      cache.set(endpoint.metadata, bytes)
    }
    writer.bytes(3, bytes)
  }
  const health = healthStatuses[endpoint.health ?? 'UNKNOWN']
  if (health !== 0) writer.uint32(2, health)
  const mark = writer.written
  writer.text(3, endpoint.hostname ?? '')
  const address = writer.written
  writeAddress(writer, endpoint.address)
  writer.close(1, address)
  writer.close(1, mark)
}

const writeAddress = (writer: BackwardWriter, address: SocketEndpoint | InternalEndpoint): void => {
  const mark = writer.written
  if ('port' in address) {
    writer.uint32(3, address.port)
    writer.text(2, address.address)
    writer.close(1, mark)
  } else {
    writer.text(2, address.endpointId)
    writer.string(1, address.internalListener)
    writer.close(3, mark)
  }
}

/** A map of Structs: keys sorted, so that equal metadata has equal bytes. */
const encodeMetadata = (metadata: EndpointMetadata): Buffer => {
  const writer = new BackwardWriter(256)
  for (const filter of Object.keys(metadata).toSorted().toReversed()) {
    const fields = metadata[filter] ?? {}
    const entry = writer.written
    for (const key of Object.keys(fields).toSorted().toReversed()) {
      const mark = writer.written
      writeValue(writer, fields[key] ?? '')
      writer.close(2, mark)
      writer.string(1, key)
      writer.close(1, mark)
    }
    writer.close(2, entry)
    writer.string(1, filter)
    writer.close(1, entry)
  }
  return writer.finish()
}

const writeValue = (writer: BackwardWriter, value: string | boolean | number): void => {
  if (typeof value === 'string') writer.string(3, value)
  else if (typeof value === 'number') writer.double(2, value)
  else writer.uint32(4, value ? 1 : 0)
}
