// What an entry of an access log says where the mesh's settings give no format: one list of fields, written as JSON or as a line.

export type LogSide = 'Inbound' | 'Outbound'
export type LogKind = 'HTTP' | 'TCP'

/** Fields in the order in which people read a line: when, who to whom, what, how it ended, how it got there, how long it took. */
export function defaultFields(side: LogSide, kind: LogKind): Readonly<Record<string, string>> {
  return {
    time: '%START_TIME%',
    side: side.toLowerCase(),
    ...identities(side),
    ...(kind === 'HTTP' && REQUEST),
    flags: '%RESPONSE_FLAGS%',
    ...(kind === 'HTTP' && { details: '%RESPONSE_CODE_DETAILS%' }),
    ...(kind === 'TCP' && { details: '%CONNECTION_TERMINATION_DETAILS%' }),
    ...(side === 'Inbound' && dryRuns(kind)),
    ...(kind === 'HTTP' && { route: '%ROUTE_NAME%' }),
    cluster: '%UPSTREAM_CLUSTER_RAW%',
    upstream: '%UPSTREAM_HOST%',
    ...(kind === 'HTTP' && side === 'Outbound' && { attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%' }),
    upstream_failure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
    received: '%BYTES_RECEIVED%',
    sent: '%BYTES_SENT%',
    duration_ms: '%DURATION%',
    ...(kind === 'HTTP' && {
      response_ms: '%RESPONSE_DURATION%',
      request_id: '%REQ(X-REQUEST-ID)%',
      trace_id: '%TRACE_ID%',
    }),
  }
}

/** The same as a line of `key=value`; values that a client chooses are quoted, since they may hold blanks. */
export function defaultText(side: LogSide, kind: LogKind): string {
  const fields = Object.entries(defaultFields(side, kind))
  return fields.map(([key, value]) => `${key}=${QUOTED.has(key) ? `"${value}"` : value}`).join(' ')
}

const QUOTED: ReadonlySet<string> = new Set(['host', 'path', 'details', 'upstream_failure', 'request_id'])

const REQUEST = {
  method: '%REQ(:METHOD)%',
  host: '%REQ(:AUTHORITY)%',
  path: '%PATH(NQ)%',
  protocol: '%PROTOCOL%',
  status: '%RESPONSE_CODE%',
  grpc_status: '%GRPC_STATUS%',
}

/** Who speaks to whom: identities are those of mutual TLS, on the side where this proxy speaks it. */
function identities(side: LogSide): Readonly<Record<string, string>> {
  return side === 'Inbound'
    ? {
        source: '%DOWNSTREAM_PEER_URI_SAN%',
        source_address: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
        destination: '%DOWNSTREAM_LOCAL_URI_SAN%',
        destination_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
      }
    : {
        source: '%UPSTREAM_LOCAL_URI_SAN%',
        source_address: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
        destination: '%UPSTREAM_PEER_URI_SAN%',
        destination_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
      }
}

/** What authorization policies in dry run would have refused: see `filters/rbac.ts` for the names. */
function dryRuns(kind: LogKind): Readonly<Record<string, string>> {
  const filter = kind === 'HTTP' ? 'envoy.filters.http.rbac' : 'envoy.filters.network.rbac'
  return {
    dry_run_deny: `%DYNAMIC_METADATA(${filter}:dry_run_deny.shadow_effective_policy_id)%`,
    dry_run_allow: `%DYNAMIC_METADATA(${filter}:dry_run_allow.shadow_engine_result)%`,
  }
}
