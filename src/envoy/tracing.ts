// Spans: one for each request that passes a proxy, sent to the collector that the mesh's settings name. Trace context is W3C's
// `traceparent`, which applications pass on; a client that has decided whether to sample is followed.
import type { Settings } from '../mesh/settings.ts'
import { extension, type Extension, type Message } from '../proto/types.ts'
import { collectorService } from './access-log.ts'

type ConnectionManager = Message<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'>
type CustomTag = Message<'envoy.type.tracing.v3.CustomTag'>
type TagSetting = NonNullable<Settings['tracing']>['customTags'][number]

/** Fields of a connection manager; none where the mesh has no tracing. */
export function tracing(settings: Pick<Settings, 'tracing'>): Pick<ConnectionManager, 'tracing'> {
  const { provider, samplingPercent, customTags } = settings.tracing ?? {}
  if (provider === undefined) return {}
  return {
    tracing: {
      ...(customTags !== undefined && customTags.length > 0 && { custom_tags: customTags.map(customTag) }),
      provider: extension('envoy.tracers.opentelemetry', 'envoy.config.trace.v3.OpenTelemetryConfig', {
        grpc_service: collectorService(provider.openTelemetry),
        service_name: SERVICE_NAME,
        sampler: sampler(samplingPercent ?? 0),
      }),
    },
  }
}

/** All proxies share the configuration; which one it was is the span's attribute `node_id`. */
const SERVICE_NAME = 'heddle-proxy'

/** The connection manager's own sampling would decide for traces that others began as well. */
function sampler(percent: number): Extension {
  const share = { numerator: Math.round(percent * 10_000), denominator: 'MILLION' as const }
  const samplers = 'envoy.extensions.tracers.opentelemetry.samplers.v3'
  return extension('envoy.tracers.opentelemetry.samplers.parent_based', `${samplers}.ParentBasedSamplerConfig`, {
    wrapped_sampler: extension(
      'envoy.tracers.opentelemetry.samplers.trace_id_ratio_based',
      `${samplers}.TraceIdRatioBasedSamplerConfig`,
      { sampling_percentage: share },
    ),
  })
}

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
