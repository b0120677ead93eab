/** Listeners with filters under test: of requests, answered by Envoy itself or by a cluster, and of connections. */
import { type Any, extension, type Extension, type Message } from '../../../src/proto/types.ts'
import { type Listener, loopback } from '../static-envoy.ts'
import type { TlsIdentity } from '../identities.ts'

type FilterChain = Message<'envoy.config.listener.v3.FilterChain'>

export interface WebOptions {
  readonly filters: readonly Extension[]
  /** `typed_per_filter_config` of the virtual host. */
  readonly work?: Readonly<Record<string, Any>>
  /** Where requests go; answered 200 by Envoy if not given. */
  readonly cluster?: string
  /** Mutual TLS with this identity; plaintext if not given. */
  readonly tls?: TlsIdentity
  readonly manager?: Message<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'>
  readonly route?: Message<'envoy.config.route.v3.RouteAction'>
}

export function webListener(name: string, { filters, work, cluster, tls, manager, route }: WebOptions): Listener {
  const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const connectionManager = extension('envoy.filters.network.http_connection_manager', HCM, {
    stat_prefix: name,
    normalize_path: true,
    route_config: {
      name,
      virtual_hosts: [
        {
          name,
          domains: ['*'],
          ...(work && { typed_per_filter_config: work }),
          routes: [
            cluster === undefined
              ? { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'passed' } } }
              : { match: { prefix: '/' }, route: { cluster, ...route } },
          ],
        },
      ],
    },
    http_filters: [
      ...filters,
      extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {}),
    ],
    ...manager,
  })
  return { name, address: loopback(), filter_chains: [{ filters: [connectionManager], ...transport(tls) }] }
}

export interface TcpOptions {
  readonly filters: readonly Extension[]
  /** Where connections go; echoed by Envoy if not given. */
  readonly cluster?: string
  readonly tls?: TlsIdentity
}

export function tcpListener(name: string, { filters, cluster, tls }: TcpOptions): Listener {
  const last =
    cluster === undefined
      ? extension('envoy.filters.network.echo', 'envoy.extensions.filters.network.echo.v3.Echo', {})
      : extension('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
          stat_prefix: name,
          cluster,
        })
  return { name, address: loopback(), filter_chains: [{ filters: [...filters, last], ...transport(tls) }] }
}

function transport(tls: TlsIdentity | undefined): Pick<FilterChain, 'transport_socket'> {
  if (tls === undefined) return {}
  const TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'
  return {
    transport_socket: extension('envoy.transport_sockets.tls', TLS, {
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: { inline_string: tls.cert }, private_key: { inline_string: tls.key } }],
        validation_context: { trusted_ca: { inline_string: tls.ca } },
      },
    }),
  }
}
