/**
 * Envoy's command operators in the format of an access log: `%NAME%`, `%NAME(argument)%`, `%NAME(argument):length%`, and `%%` for a
 * percent sign. Envoy refuses every listener for one that it does not know, so a format is checked against the names, arguments and
 * lengths that Envoy 1.40 was seen to take.
 */
import { nearest } from '../../expectation.ts'
import { celFault } from './cel-filter.ts'

interface Operator {
  /** Whether it has an argument; `header` is a name and perhaps, after "?", another for where that is missing. */
  readonly argument: 'none' | 'optional' | 'required' | 'header' | 'cel' | RegExp
  /** True where a length may follow. */
  readonly length?: true
}

const plain: Operator = { argument: 'none' }
const optional: Operator = { argument: 'optional' }
const header: Operator = { argument: 'header', length: true }

const connectionSides = ['DOWNSTREAM', 'UPSTREAM']
const bytes = connectionSides.flatMap((side) =>
  ['WIRE_BYTES', 'HEADER_BYTES', 'DECOMPRESSED_HEADER_BYTES'].flatMap((what) => [
    `${side}_${what}_SENT`,
    `${side}_${what}_RECEIVED`,
  ]),
)
const tls = connectionSides.flatMap((side) => [
  ...[
    'TLS_CIPHER',
    'TLS_GROUP',
    'TLS_SESSION_ID',
    'TLS_VERSION',
    'TRANSPORT_FAILURE_REASON',
    'DETECTED_CLOSE_TYPE',
  ].map((what) => `${side}_${what}`),
  ...['LOCAL', 'PEER'].flatMap((end) => ['DNS_SAN', 'IP_SAN', 'URI_SAN'].map((what) => `${side}_${end}_${what}`)),
  ...['PEER_CERT', 'PEER_ISSUER', 'PEER_SUBJECT'].map((what) => `${side}_${what}`),
])
const addresses = [
  ...['LOCAL', 'REMOTE', 'DIRECT_LOCAL', 'DIRECT_REMOTE'].map((end) => `DOWNSTREAM_${end}`),
  'UPSTREAM_LOCAL',
  'UPSTREAM_REMOTE',
]

const plainNames = [
  ...bytes,
  ...tls,
  ...addresses.flatMap((end) => [`${end}_ADDRESS`, `${end}_PORT`]),
  'ACCESS_LOG_TYPE',
  'BYTES_RECEIVED',
  'BYTES_RETRANSMITTED',
  'BYTES_SENT',
  'CONNECTION_ID',
  'CONNECTION_TERMINATION_DETAILS',
  'CUSTOM_FLAGS',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_HANDSHAKE_DURATION',
  'DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_LOCAL_CLOSE_REASON',
  'DOWNSTREAM_CX_RTT',
  'DOWNSTREAM_LOCAL_EMAIL_SAN',
  'DOWNSTREAM_LOCAL_OTHERNAME_SAN',
  'DOWNSTREAM_LOCAL_SUBJECT',
  'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1',
  'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256',
  'DOWNSTREAM_PEER_CHAIN_SERIALS',
  'DOWNSTREAM_PEER_EMAIL_SAN',
  'DOWNSTREAM_PEER_FINGERPRINT_1',
  'DOWNSTREAM_PEER_FINGERPRINT_256',
  'DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256',
  'DOWNSTREAM_PEER_ISSUER_SERIAL',
  'DOWNSTREAM_PEER_OTHERNAME_SAN',
  'DOWNSTREAM_PEER_SERIAL',
  'DURATION',
  'FILTER_CHAIN_NAME',
  'GRPC_STATUS',
  'GRPC_STATUS_NUMBER',
  'HOSTNAME',
  'LOCAL_REPLY_BODY',
  'PACKETS_RETRANSMITTED',
  'PROTOCOL',
  'REQUESTED_SERVER_NAME',
  'REQUEST_DURATION',
  'REQUEST_HEADERS_BYTES',
  'REQUEST_TX_DURATION',
  'RESPONSE_CODE',
  'RESPONSE_DURATION',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'RESPONSE_HEADERS_BYTES',
  'RESPONSE_TRAILERS_BYTES',
  'RESPONSE_TX_DURATION',
  'ROUNDTRIP_DURATION',
  'ROUTE_NAME',
  'SPAN_ID',
  'STREAM_ID',
  'TLS_JA3_FINGERPRINT',
  'TLS_JA4_FINGERPRINT',
  'TRACE_ID',
  'UNIQUE_ID',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_CONNECTION_ID',
  'UPSTREAM_CONNECTION_IDS_ATTEMPTED',
  'UPSTREAM_CONNECTION_POOL_READY_DURATION',
  'UPSTREAM_HOST',
  'UPSTREAM_HOSTS_ATTEMPTED',
  'UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_HOST_NAME',
  'UPSTREAM_HOST_NAMES_ATTEMPTED',
  'UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_HOST_NAME_WITHOUT_PORT',
  'UPSTREAM_PROTOCOL',
  'UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_SERVER_NAME',
  'VIRTUAL_CLUSTER_NAME',
]

const optionalNames = [
  ...addresses.map((end) => `${end}_ADDRESS_WITHOUT_PORT`),
  ...connectionSides.flatMap((side) => [`${side}_PEER_CERT_V_START`, `${side}_PEER_CERT_V_END`]),
  'START_TIME',
  'START_TIME_LOCAL',
  'EMIT_TIME',
  'EMIT_TIME_LOCAL',
  'RESPONSE_CODE_DETAILS',
]

const state = /^[^:]+(:(PLAIN|TYPED|FIELD:[^:]+))?$/

/** By name. */
export const commandOperators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ...plainNames.map((name) => [name, plain] as const),
  ...optionalNames.map((name) => [name, optional] as const),
  ...['REQ', 'RESP', 'TRAILER', 'REQ_WITHOUT_QUERY'].map((name) => [name, header] as const),
  ['CEL', { argument: 'cel', length: true }],
  ['CLUSTER_METADATA', { argument: 'required' }],
  ['COMMON_DURATION', { argument: /^[^:]+:[^:]+:(ms|us|ns)$/ }],
  ['DYNAMIC_METADATA', { argument: 'required', length: true }],
  ['ENVIRONMENT', { argument: 'required', length: true }],
  ['FILTER_STATE', { argument: state, length: true }],
  [
    'METADATA',
    {
      argument: /^(CLUSTER|DYNAMIC|LISTENER|LISTENER_FILTER_CHAIN|ROUTE|UPSTREAM_HOST|VIRTUAL_HOST):[^:]+(:[^:]+)*$/,
      length: true,
    },
  ],
  ['PATH', { argument: /^$|^(WQ|NQ)(:(ORIG|PATH|ORIG_OR_PATH))?$/, length: true }],
  ['QUERY_PARAM', { argument: 'required', length: true }],
  ['QUERY_PARAMS', { argument: /^(ORIG|DECODED)?$/, length: true }],
  ['UPSTREAM_FILTER_STATE', { argument: state, length: true }],
  ['UPSTREAM_METADATA', { argument: 'required' }],
])

/** As Envoy reads one: an argument ends at the first ")" after which the operator can end. */
const syntax = /%([A-Z0-9_]+)(?:\(([^\n]*?)\))?(?::([0-9]{1,9}))?%/y
const headerNames = /^:?[\w!#$&'*+.^`|~-]+(\?:?[\w!#$&'*+.^`|~-]+)?$/

/** What is wrong with a format and how to mend it, as a part of a sentence; undefined if Envoy takes it. */
export function formatFault(format: string): string | undefined {
  for (let at = format.indexOf('%'); at !== -1; at = format.indexOf('%', at)) {
    if (format.startsWith('%%', at)) {
      at += 2
      continue
    }
    syntax.lastIndex = at
    const match = syntax.exec(format)
    if (match === null) {
      const rest = JSON.stringify(format.slice(at, at + 24))
      return `operators as %NAME%, %NAME(argument)% or %NAME(argument):length%, and "%%" for a percent sign, not ${rest}`
    }
    const fault = operatorFault(match[1] ?? '', match[2], match[3])
    if (fault !== undefined) return fault
    at = syntax.lastIndex
  }
  return undefined
}

function operatorFault(name: string, argument: string | undefined, length: string | undefined): string | undefined {
  const operator = commandOperators.get(name)
  if (operator === undefined) {
    const meant = nearest(name, [...commandOperators.keys()])
    return `Envoy's command operators, of which %${name}% is none${meant === undefined ? '' : `; did you mean %${meant}%?`}`
  }
  if (length !== undefined && operator.length !== true) return `%${name}% without a length`
  const given = argument ?? ''
  switch (operator.argument) {
    case 'none':
      return argument === undefined ? undefined : `%${name}% without an argument`
    case 'optional':
      return undefined
    case 'required':
      return given === '' ? `%${name}% with an argument, as %${name}(...)%` : undefined
    case 'header':
      return headerNames.test(given)
        ? undefined
        : `%${name}% with the name of a header, as %${name}(x-user)% or %${name}(x-user?host)%`
    case 'cel': {
      const fault = celFault(given)
      return fault === undefined ? undefined : `%CEL% with an expression of CEL, ${fault}`
    }
    default:
      return operator.argument.test(given)
        ? undefined
        : `%${name}% with an argument of the form ${operator.argument.source}, not ${JSON.stringify(given)}`
  }
}
