// The model in the field's own words. Everything here is plain readonly data; it is derived in this folder from the catalog
// and read by the translation to Envoy, which decides nothing about attachment or precedence any more.

/** The protocol of a port as declared by `appProtocol` or the port's name; `auto` is told by looking at the first bytes. */
export type Protocol = 'http' | 'http2' | 'tls' | 'tcp' | 'auto'

/** Which object said so: for errors, conditions, access logs and `explain`. */
export interface ObjectRef {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** A route rule's name or index, or a port's name. */
  readonly section?: string
}

export interface ServicePort {
  readonly name: string
  readonly port: number
  readonly targetPort: number | string
  readonly protocol: Protocol
}

export interface Service {
  readonly key: string
  readonly namespace: string
  readonly name: string
  /** Virtual addresses; empty for a headless Service or an ExternalName. */
  readonly addresses: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly selector: Readonly<Record<string, string>> | undefined
  /** Client affinity of the Service itself, seconds. */
  readonly clientAffinity: number | undefined
  readonly publishNotReady: boolean
}

export interface Locality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

export interface WorkloadPort {
  readonly name: string
  readonly port: number
  readonly protocol: Protocol
}

/** One instance: a pod, or a process outside Kubernetes. */
export interface Workload {
  readonly key: string
  readonly namespace: string
  readonly name: string
  /** What outlives its instances: the Deployment of a pod; the instance itself where nothing owns it. */
  readonly owner: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly addresses: readonly string[]
  readonly locality: Locality
  readonly ports: readonly WorkloadPort[]
  readonly weight: number
  readonly upstreams: readonly Upstream[]
  /** What the workload itself says of how connections reach its proxy; undefined where that follows from where it runs. */
  readonly interception: 'Redirect' | 'None' | undefined
}

/** A local port of a workload that stands for a service, where there is no interception. */
export interface Upstream {
  readonly kind: 'Service' | 'ExternalService'
  /** Its key. */
  readonly service: string
  readonly servicePort: number
  readonly localPort: number
}

export interface Endpoint {
  readonly address: string
  readonly port: number
  readonly locality: Locality
  readonly weight: number
  /** Key of the workload behind it, where one is known. */
  readonly workload: string | undefined
  readonly serviceAccount: { readonly namespace: string; readonly name: string } | undefined
  /** It speaks mesh TLS: an authenticated proxy stands before it, or it accepts nothing else. */
  readonly tls: boolean
  /** Shutting down but still serving: used only where nothing else is left. */
  readonly draining: boolean
}

/** A port of a Service; a Service's key and its port. */
export interface PortRef {
  readonly service: string
  readonly port: number
}

/** What an `address:port` that an application dials stands for. */
export type Destination =
  | { readonly kind: 'service'; readonly service: Service; readonly port: ServicePort; readonly address: string }
  | {
      readonly kind: 'workload'
      readonly workload: Workload
      readonly port: number
      readonly protocol: Protocol
      readonly address: string
    }

export type MtlsMode = 'Strict' | 'Permissive'

export const NO_LOCALITY: Locality = { region: '', zone: '', subZone: '' }

/** `namespace/name`, the key of everything namespaced. */
export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`

export function splitKey(key: string): { namespace: string; name: string } {
  const at = key.indexOf('/')
  return at < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, at), name: key.slice(at + 1) }
}

/** `address:port` as Envoy prints it: IPv6 in brackets. */
export function socketName(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** The reverse of `socketName`; undefined where it is not one. */
export function parseSocketName(name: string): { address: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(name)
  const address = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return address === undefined || port < 1 || port > 65535 ? undefined : { address, port }
}
