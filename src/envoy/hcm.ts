// The HTTP connection manager, as every listener has it. What may change at run time is not in here: any change of a connection
// manager cuts long requests when its listener drains.
import type { Settings } from '../mesh/settings.ts'
import { extension, type Extension, type Message } from '../proto/types.ts'
import { accessLogs } from './access-log.ts'
import { ADS, router } from './messages.ts'
import { tracing } from './tracing.ts'

type HttpConnectionManager =
  Message<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'>

export interface ConnectionManagerOptions {
  readonly statPrefix: string
  /** Name of the route configuration; or the routes themselves, where they never change. */
  readonly routes: string | Message<'envoy.config.route.v3.RouteConfiguration'>
  readonly side: 'Inbound' | 'Outbound'
  /** Absent where the request is looked at once more elsewhere: then there is neither log nor span. */
  readonly settings?: Settings | undefined
  readonly filters: readonly Extension[]
  readonly early?: Extension
}

export function connectionManager(options: ConnectionManagerOptions): Extension {
  const inbound = options.side === 'Inbound'
  const message: HttpConnectionManager = {
    stat_prefix: options.statPrefix,
    ...(typeof options.routes === 'string'
      ? { rds: { route_config_name: options.routes, config_source: ADS } }
      : { route_config: options.routes }),
    http_filters: [...options.filters, router()],
    ...(options.early && { early_header_mutation_extensions: [options.early] }),
    http_protocol_options: { accept_http_10: true },
    upgrade_configs: [
      { upgrade_type: 'websocket' },
      // a route by prefix does not match CONNECT, and without a route the on-demand filter would wait for ever
      ...(inbound ? [] : [{ upgrade_type: 'CONNECT', filters: [router()] }]),
    ],
    // a proxy that nobody asked for ends no stream that its application keeps open
    stream_idle_timeout: '0s',
    server_header_transformation: 'PASS_THROUGH',
    preserve_external_request_id: true,
    skip_xff_append: true,
    proxy_100_continue: true,
    normalize_path: true,
    // who authorises by path must see the path that the application will see
    merge_slashes: inbound,
    ...(inbound && {
      forward_client_cert_details: 'SANITIZE_SET' as const,
      set_current_client_cert_details: { uri: true },
    }),
    ...(options.settings && {
      access_log: accessLogs(options.settings, options.side),
      ...tracing(options.settings),
    }),
  }
  return extension(
    'envoy.filters.network.http_connection_manager',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    message,
  )
}
