// Hosts outside the mesh. Envoy resolves their names itself and dials what it finds, never the address that a client chose.
import type { External } from '../../mesh/external.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { contains } from '../../mesh/settings.ts'
import { fits } from '../../mesh/tcp.ts'
import { extension, type Extension, type Message } from '../../proto/types.ts'
import { ADS } from '../messages.ts'
import { connectionSettings } from './policy/connection-settings.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type SanMatcher = Message<'envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher'>

export interface ExternalName {
  /** Dialled by name; undefined where it was dialled by address. */
  readonly host: string | undefined
  readonly address?: string
  readonly port: number
  /** `tls` or `tcp` where bytes are passed on as they come. */
  readonly kind: 'http' | 'tcp' | 'tls' | 'external'
  readonly namespace: string
}

export function externalCluster(mesh: Mesh, name: string, wanted: ExternalName): Cluster | undefined {
  const found = externalOf(mesh, wanted)
  if (found === undefined) return undefined
  const { external, host } = found
  const { spec, targetPort, protocol } = external
  // a host that cannot be verified is not talked to
  const unverified = spec.tls !== undefined && mesh.externals.trust.get(external.key).kind === 'missing'
  const targets = unverified
    ? []
    : spec.endpoints.length > 0
      ? spec.endpoints.map((endpoint) => ({
          address: endpoint.address,
          port: endpoint.port ?? targetPort,
          weight: endpoint.weight,
        }))
      : spec.resolution === 'Static'
        ? spec.addresses.map((address) => ({ address, port: targetPort, weight: 1 }))
        : [{ address: host, port: targetPort, weight: 1 }]
  return {
    name,
    alt_stat_name: `${host}.${external.port}`.replaceAll(':', '_'),
    type: spec.resolution === 'Static' ? 'STATIC' : 'STRICT_DNS',
    // a name that does not resolve must not hold back the discovery of everything else
    ...(spec.resolution !== 'Static' && {
      wait_for_warm_on_init: false,
      dns_lookup_family: 'ALL' as const,
      respect_dns_ttl: true,
    }),
    ...connectionSettings(mesh.policies.external(external.key, external.port), {
      http: protocol === 'http' || protocol === 'http2' || protocol === 'auto',
      protocol,
      hostname: host,
    }),
    ...(spec.tls && { transport_socket: originatedTls(mesh, external, host) }),
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: targets
            .filter(({ weight }) => weight > 0)
            .map(({ address, port, weight }) => ({
              endpoint: { address: { socket_address: { address, port_value: port } }, hostname: host },
              ...(weight !== 1 && { load_balancing_weight: weight }),
            })),
        },
      ],
    },
  }
}

/**
 * The ExternalService that a name or an address belongs to, as a namespace sees it; and the host that is meant. The longest name wins,
 * an exact one before any with a `*`, as the filter chains do it.
 */
export function externalOf(mesh: Mesh, wanted: ExternalName): { external: External; host: string } | undefined {
  const { host, address, port, namespace } = wanted
  let best: { readonly external: External; readonly host: string; readonly length: number } | undefined
  for (const external of mesh.externals.visible.get(namespace)) {
    if (external.port !== port) continue
    if (host === undefined) {
      if (address === undefined || !external.addresses.includes(address)) continue
      const [first = ''] = external.hosts.length > 0 ? external.hosts : external.spec.hosts
      // a name that stands for many cannot be resolved
      return { external, host: first.startsWith('*') ? address : first }
    }
    for (const own of external.hosts) {
      const length = own === host ? Infinity : own.length
      if (fits(own, host) && length > (best?.length ?? 0)) best = { external, host, length }
    }
  }
  return best
}

/** Whether an ExternalService names this host, or an address outside of the mesh, for any port: its own filter chains catch them all. */
export function isExternal(mesh: Mesh, { host, address, namespace }: ExternalName): boolean {
  const visible = mesh.externals.visible.get(namespace)
  if (host !== undefined) return visible.some(({ hosts }) => hosts.some((own) => fits(own, host)))
  const ranges = mesh.ranges.get('')
  return (
    address !== undefined && !contains(ranges, address) && visible.some(({ addresses }) => addresses.includes(address))
  )
}

/** Where Debian, Alpine and the distroless images keep the system's certificates. */
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

function originatedTls(mesh: Mesh, external: External, host: string): Extension | undefined {
  const { tls } = external.spec
  if (tls === undefined) return undefined
  const sni = tls.sni ?? host
  const sans = (tls.subjectAltNames ?? []).map((name): SanMatcher =>
    name.type === 'URI'
      ? { san_type: 'URI', matcher: { exact: name.uri ?? '' } }
      : { san_type: 'DNS', matcher: { exact: name.hostname ?? '' } },
  )
  const trust = mesh.externals.trust.get(external.key)
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni,
    common_tls_context: {
      tls_params: {
        tls_minimum_protocol_version: tls.minVersion === '1.3' ? 'TLSv1_3' : 'TLSv1_2',
        tls_maximum_protocol_version: 'TLSv1_3',
      },
      ...(tls.alpnProtocols !== undefined && { alpn_protocols: tls.alpnProtocols }),
      ...(tls.clientCertificateRef && {
        tls_certificate_sds_secret_configs: [
          { name: secretName(external.key, tls.clientCertificateRef.name), sds_config: ADS },
        ],
      }),
      validation_context: {
        trusted_ca: trust.kind === 'pem' ? { inline_string: trust.pem } : { filename: SYSTEM_CERTIFICATES },
        match_typed_subject_alt_names: sans.length > 0 ? sans : [{ san_type: 'DNS', matcher: { exact: sni } }],
      },
    },
  })
}

/** Name over SDS of a Secret beside the object that refers to it. */
export const secretName = (owner: string, secret: string): string => `secret/${owner.split('/')[0] ?? ''}/${secret}`

/** Key of the Secret that a name of `secretName` stands for. */
export function parseSecretName(name: string): string | undefined {
  return /^secret\/([^/]+\/[^/]+)$/.exec(name)?.[1]
}
