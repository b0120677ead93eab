/**
 * What a proxy is sent, as a bootstrap that Envoy can judge without a control plane: what refers to discovery (routes, virtual
 * hosts, endpoints, secrets, extensions) holds its content instead.
 */
import { any, type Message } from '../../src/proto/types.ts'
import type { Rendered } from '../../src/render.ts'
import type { TlsIdentity } from '../envoy/identities.ts'
import { nameOf } from './golden-case.ts'

type Json = Readonly<Record<string, unknown>>

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** @param identity stands for every certificate */
export function staticBootstrap(rendered: Rendered, identity: TlsIdentity): Json {
  const byName = (resources: readonly unknown[]): ReadonlyMap<string, Json> =>
    new Map(resources.map((resource) => [nameOf(resource), resource as Json]))
  const routes = byName(rendered.routes)
  const endpoints = byName(rendered.endpoints)
  const extensions = byName(rendered.extensions)
  const secrets = new Map<string, Json>()

  const known = (table: ReadonlyMap<string, Json>, what: string, name: unknown): Json => {
    const found = table.get(String(name))
    if (found === undefined) throw new Error(`there is no ${what} ${String(name)}, but something refers to it`)
    return found
  }

  const secret = (reference: Json, content: Json): Json => {
    secrets.set(String(reference['name']), { name: reference['name'], ...content })
    return { name: reference['name'] }
  }
  const certificate = {
    tls_certificate: {
      certificate_chain: { inline_string: identity.cert },
      private_key: { inline_string: identity.key },
    },
  }
  const trusted = { validation_context: { trusted_ca: { inline_string: identity.ca } } }

  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value as Json).map(([key, item]): [string, unknown] => {
        switch (key) {
          case 'rds':
            return [
              'route_config',
              walk(routeConfiguration(known(routes, 'route configuration', (item as Json)['route_config_name']))),
            ]
          case 'tls_certificate_sds_secret_configs':
            return [key, (item as Json[]).map((reference) => secret(reference, certificate))]
          case 'validation_context_sds_secret_config':
            return [key, secret(item as Json, trusted)]
          case 'trusted_ca':
            return [key, (item as Json)['filename'] === SYSTEM_CERTIFICATES ? { inline_string: identity.ca } : item]
          default:
            return [key, walk(item)]
        }
      }),
    )
  }

  const routeConfiguration = ({ vhds, ...configuration }: Json): Json => ({
    ...configuration,
    virtual_hosts: [
      ...(vhds === undefined ? [] : rendered.virtual_hosts),
      ...((configuration['virtual_hosts'] ?? []) as readonly unknown[]),
    ],
  })

  const filter = (given: Json): Json =>
    given['config_discovery'] === undefined
      ? given
      : { name: given['name'], typed_config: known(extensions, 'extension', given['name'])['typed_config'] }

  const listener = (given: Json): Json => ({
    ...given,
    ...['filter_chains', 'default_filter_chain'].reduce<Json>((chains, field) => {
      const chain = (one: Json): Json => ({ ...one, filters: (one['filters'] as Json[]).map(filter) })
      const found = given[field] as Json | Json[] | undefined
      return found === undefined
        ? chains
        : { ...chains, [field]: Array.isArray(found) ? found.map(chain) : chain(found) }
    }, {}),
  })

  const cluster = ({ eds_cluster_config: eds, ...given }: Json): Json =>
    eds === undefined
      ? given
      : { ...given, type: 'STATIC', load_assignment: known(endpoints, 'load assignment', given['name']) }

  const xds: Message<'envoy.config.cluster.v3.Cluster'> = {
    name: 'xds',
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: 'xds' },
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: any(HTTP_OPTIONS, { explicit_http_config: { http2_protocol_options: {} } }),
    },
  }
  const listeners = rendered.listeners.map((given) => walk(listener(given as Json)))
  const clusters = rendered.clusters.map((given) => walk(cluster(given as Json)))
  return {
    node: { id: 'golden', cluster: 'golden' },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
    },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
        },
      },
    ],
    static_resources: { listeners, clusters: [...clusters, xds], secrets: [...secrets.values()] },
  }
}
