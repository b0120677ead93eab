/** A real Envoy in front of instances, with a cluster as a policy shapes it. */
import { parse } from 'yaml'
import { trafficPolicyKind } from '../../../../src/api/heddle/traffic-policy.ts'
import { type ConnectionContext, connectionSettings } from '../../../../src/envoy/cluster/policy/connection-settings.ts'
import { prioritise } from '../../../../src/envoy/cluster/policy/locality.ts'
import type { Endpoint } from '../../../../src/mesh/model.ts'
import { extension, type Message } from '../../../../src/proto/types.ts'
import { webListener } from '../../filters/listeners.ts'
import type { TlsIdentity } from '../../identities.ts'
import type { Instance } from '../../instances.ts'
import { type Cluster, loopback, StaticEnvoy } from '../../static-envoy.ts'

const NAME = 'destination'

export interface DestinationOptions {
  readonly context?: Partial<ConnectionContext>
  readonly route?: Message<'envoy.config.route.v3.RouteAction'>
  /** `region/zone` of the client, and of each instance; nowhere if not given. */
  readonly client?: string
  readonly places?: Readonly<Record<string, string>>
  /** The instances speak mesh TLS, as their endpoints say; towards them the client is this. */
  readonly as?: TlsIdentity
}

export interface Destination extends AsyncDisposable {
  readonly envoy: StaticEnvoy
  readonly port: number
  /** A statistic of the cluster. */
  readonly stat: (name: string) => Promise<number>
}

/** @param policy stanzas of a TrafficPolicy, as YAML */
export async function destination(
  policy: string,
  members: readonly Pick<Instance, 'name' | 'port'>[],
  { context, route, client = '', places = {}, as }: DestinationOptions = {},
): Promise<Destination> {
  const { targetRefs: _, ...stanzas } = trafficPolicyKind.schema.parse({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'policy', namespace: 'shop' },
    spec: { targetRefs: [{ kind: 'Service', name: 'cart' }], ...(parse(policy) as object) },
  }).spec
  const endpoints = members.map((instance): Endpoint => ({
    address: '127.0.0.1',
    port: instance.port,
    locality: locality(places[instance.name] ?? ''),
    weight: 1,
    workload: undefined,
    serviceAccount: undefined,
    tls: false,
    draining: false,
  }))
  const groups = prioritise(stanzas.loadBalancer?.zoneAware, locality(client), endpoints)
  const cluster: Cluster = {
    name: NAME,
    type: 'STATIC',
    load_assignment: {
      cluster_name: NAME,
      endpoints: groups.map((group) => ({
        locality: { region: group.locality.region, zone: group.locality.zone },
        priority: group.priority,
        ...(group.weight !== undefined && { load_balancing_weight: group.weight }),
        lb_endpoints: group.endpoints.map(({ port }) => ({
          endpoint: { address: loopback(port) },
          ...(as && { metadata: { filter_metadata: { 'envoy.transport_socket_match': { heddle: true } } } }),
        })),
      })),
    },
    ...(as && { transport_socket_matches: meshTls(as) }),
    ...connectionSettings(stanzas, { http: true, protocol: 'http', hostname: 'cart.shop', ...context }),
  }
  const listener = webListener(NAME, { filters: [], cluster: NAME, ...(route && { route }) })
  const envoy = await StaticEnvoy.start([listener], [cluster])
  return {
    envoy,
    port: envoy.port(NAME),
    stat: (name) => envoy.stat(`cluster.${NAME}.${name}`),
    [Symbol.asyncDispose]: () => envoy[Symbol.asyncDispose](),
  }
}

function locality(text: string): Endpoint['locality'] {
  const [region = '', zone = ''] = text.split('/')
  return { region, zone, subZone: '' }
}

/** Mesh TLS where an endpoint's metadata says so, and else plaintext, as clusters of the mesh choose it. */
function meshTls({ cert, key, ca }: TlsIdentity): NonNullable<Cluster['transport_socket_matches']> {
  const tls = extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: {
      tls_certificates: [{ certificate_chain: { inline_string: cert }, private_key: { inline_string: key } }],
      validation_context: { trusted_ca: { inline_string: ca } },
    },
  })
  return [{ name: 'mesh', match: { heddle: true }, transport_socket: tls }]
}
