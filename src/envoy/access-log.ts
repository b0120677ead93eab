// Access logs as the mesh's settings ask for them, to files or to an OpenTelemetry collector. The formats that are used where none
// is given name both identities as mutual TLS proved them, the route and cluster that were chosen, and why a request ended as it
// did; and they leave the query of a path out, since people put secrets there.
import { isIP } from 'node:net'
import type { AccessLog as LogSetting } from '../api/index.ts'
import { socketName } from '../mesh/model.ts'
import type { Settings } from '../mesh/settings.ts'
import { type Any, any, extension, type Extension, type Message } from '../proto/types.ts'
import { defaultFields, defaultText, type LogKind, type LogSide } from './access-log-formats.ts'
import { CONNECT_TIMEOUT } from './cluster/policy/connection-settings.ts'
import { HTTP_PROTOCOL_OPTIONS } from './cluster/policy/http-protocol-options.ts'

type AccessLog = Message<'envoy.config.accesslog.v3.AccessLog'>
type Cluster = Message<'envoy.config.cluster.v3.Cluster'>
type Format = Message<'envoy.config.core.v3.SubstitutionFormatString'>

export interface Collector {
  readonly host: string
  readonly port: number
}

/** The logs of one side of a proxy; `TCP` for connections that are not HTTP. */
export function accessLogs(settings: Pick<Settings, 'accessLogs'>, side: LogSide, kind: LogKind = 'HTTP'): AccessLog[] {
  return settings.accessLogs
    .filter((log) => log.side === 'Both' || log.side === side)
    .map((log) => ({
      ...(log.filter !== undefined && { filter: { extension_filter: celFilter(log.filter) } }),
      ...(log.type === 'File' ? fileLog(log, side, kind) : openTelemetryLog(log, side, kind)),
    }))
}

/** Name of the cluster of a collector, which whoever uses it must be sent. */
export const collectorName = ({ host, port }: Collector): string => `collector|${socketName(host, port)}`

/** How it is called. Without an authority, calls would carry the cluster's name as theirs, which is none (RFC 9110, section 7.2). */
export const collectorService = (collector: Collector): Message<'envoy.config.core.v3.GrpcService'> => ({
  envoy_grpc: { cluster_name: collectorName(collector), authority: socketName(collector.host, collector.port) },
  timeout: '1s',
})

/** The clusters of all collectors that the settings name, for logs and spans, each once. */
export function collectorCluster(settings: Pick<Settings, 'accessLogs' | 'tracing'>): readonly Cluster[] {
  const collectors = [...settings.accessLogs.map((log) => log.openTelemetry), settings.tracing?.provider.openTelemetry]
  const byName = new Map(
    collectors.flatMap((collector) =>
      collector === undefined ? [] : [[collectorName(collector), collector] as const],
    ),
  )
  return [...byName].map(([name, { host, port }]) => ({
    name,
    ...(isIP(host) === 0 ? { type: 'STRICT_DNS', dns_lookup_family: 'V4_PREFERRED' } : { type: 'STATIC' }),
    connect_timeout: CONNECT_TIMEOUT,
    // a collector whose name cannot be resolved holds nothing back
    wait_for_warm_on_init: false,
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }] },
      ],
    },
    typed_extension_protocol_options: {
      [HTTP_PROTOCOL_OPTIONS]: any(HTTP_PROTOCOL_OPTIONS, { explicit_http_config: { http2_protocol_options: {} } }),
    },
  }))
}

function celFilter(expression: string): Extension {
  return extension(
    'envoy.access_loggers.extension_filters.cel',
    'envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter',
    {
      expression,
    },
  )
}

/**
 * `/dev/stdout` cannot be opened where it is a pipe of some kind (systemd's, a supervisor's), and Envoy would refuse the listener; so
 * the streams that it has are written to as such.
 */
function fileLog(log: LogSetting, side: LogSide, kind: LogKind): { name: string; typed_config: Any } {
  const { type, text, json } = log.format
  const path = log.file?.path ?? '/dev/stdout'
  const log_format: Format = {
    ...(type === 'JSON'
      ? { json_format: json ?? defaultFields(side, kind), omit_empty_values: true }
      : { text_format_source: { inline_string: line(text ?? defaultText(side, kind)) } }),
    ...formatters(log),
  }
  switch (path) {
    case '/dev/stdout':
      return extension('envoy.access_loggers.stdout', 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', {
        log_format,
      })
    case '/dev/stderr':
      return extension('envoy.access_loggers.stderr', 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog', {
        log_format,
      })
    default:
      return extension('envoy.access_loggers.file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', {
        path,
        log_format,
      })
  }
}

/** An entry is a line, though who wrote the format may not have thought of its end. */
const line = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

function openTelemetryLog(log: LogSetting, side: LogSide, kind: LogKind): { name: string; typed_config: Any } {
  const { type, text, json } = log.format
  const collector = log.openTelemetry ?? { host: '', port: 0 }
  return extension(
    'envoy.access_loggers.open_telemetry',
    'envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig',
    {
      common_config: {
        log_name: side.toLowerCase(),
        grpc_service: collectorService(collector),
        transport_api_version: 'V3',
      },
      ...(type === 'JSON'
        ? {
            attributes: {
              values: Object.entries(json ?? defaultFields(side, kind)).map(([key, value]) => ({
                key,
                value: { string_value: value },
              })),
            },
          }
        : { body: { string_value: text ?? defaultText(side, kind) } }),
      ...formatters(log),
    },
  )
}

/** Operators that Envoy knows only with an extension. */
function formatters({ format: { text, json } }: LogSetting): { formatters?: Extension[] } {
  const given = JSON.stringify([text, json])
  const used = [
    ...(given.includes('%CEL(') ? [extension('envoy.formatter.cel', 'envoy.extensions.formatter.cel.v3.Cel', {})] : []),
    ...(given.includes('%METADATA(')
      ? [extension('envoy.formatter.metadata', 'envoy.extensions.formatter.metadata.v3.Metadata', {})]
      : []),
    ...(given.includes('%REQ_WITHOUT_QUERY(')
      ? [
          extension(
            'envoy.formatter.req_without_query',
            'envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery',
            {},
          ),
        ]
      : []),
  ]
  return used.length > 0 ? { formatters: used } : {}
}
