// Spans: one for each request that passes a proxy, sent to the collector that the mesh's settings name. Trace context is W3C's
// `traceparent`, which applications pass on; a client that has decided whether to sample is followed.
import type { Settings } from '../mesh/settings.ts'
import { extension, type Message } from '../proto/types.ts'
import { collectorName } from './access-log.ts'

type ConnectionManager = Message<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'>
type CustomTag = Message<'envoy.type.tracing.v3.CustomTag'>
type TagSetting = NonNullable<Settings['tracing']>['customTags'][number]

/** Fields of a connection manager; none where the mesh has no tracing. */
export function tracing(settings: Pick<Settings, 'tracing'>): Pick<ConnectionManager, 'tracing'> {
  const { provider, samplingPercent, customTags } = settings.tracing ?? {}
  if (provider === undefined) return {}
  return {
    tracing: {
      random_sampling: { value: samplingPercent ?? 0 },
      ...(customTags !== undefined && customTags.length > 0 && { custom_tags: customTags.map(customTag) }),
      provider: extension('envoy.tracers.opentelemetry', 'envoy.config.trace.v3.OpenTelemetryConfig', {
        grpc_service: { envoy_grpc: { cluster_name: collectorName(provider.openTelemetry) }, timeout: '1s' },
        service_name: SERVICE_NAME,
      }),
    },
  }
}

/** All proxies share the configuration; which one it was is the span's attribute `node_id`. */
const SERVICE_NAME = 'heddle-proxy'

function customTag(tag: TagSetting): CustomTag {
  const { name } = tag
  switch (tag.type) {
    case 'Literal':
      return { tag: name, literal: { value: tag.literal?.value ?? '' } }
    case 'RequestHeader':
      return { tag: name, request_header: { name: tag.requestHeader?.name ?? '', ...fallback(tag.requestHeader) } }
    case 'Environment':
      return { tag: name, environment: { name: tag.environment?.name ?? '', ...fallback(tag.environment) } }
  }
}

function fallback(source: { readonly defaultValue?: string | undefined } | undefined): { default_value?: string } {
  const value = source?.defaultValue
  return value === undefined ? {} : { default_value: value }
}
