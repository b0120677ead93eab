// Listener filters: what a proxy learns of a connection before it chooses a filter chain.
import { extension, type Extension } from '../../proto/types.ts'

export const originalDst = (): Extension =>
  extension('envoy.filters.listener.original_dst', 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst', {})

export const tlsInspector = (): Extension =>
  extension(
    'envoy.filters.listener.tls_inspector',
    'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
    {},
  )

export const httpInspector = (): Extension =>
  extension(
    'envoy.filters.listener.http_inspector',
    'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
    {},
  )

/** What the HTTP inspector calls the plaintext protocols that it knows. */
export const HTTP_PROTOCOLS: readonly string[] = ['http/1.0', 'http/1.1', 'h2c']

/** A server that speaks first makes its clients wait this long, once on either side where both look. */
export const INSPECTION = {
  listener_filters_timeout: '0.09s',
  continue_on_listener_filters_timeout: true,
} as const
