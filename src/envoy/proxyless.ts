// What a proxyless gRPC client is sent (gRFC A27, A28, A31): an API listener, routes, a cluster and endpoints by `service.namespace:port`.
// It has no credentials, so it dials in plaintext, and a strict instance is never given to it. It follows the producer's routes; of
// HTTP filters it knows none.
import type { HttpEntry, HttpFrontend } from '../mesh/http.ts'
import { parseBackendName } from '../mesh/http.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { PortRef } from '../mesh/model.ts'
import type { Endpoints } from '../proto/endpoints.ts'
import { any, type Message } from '../proto/types.ts'
import { toDuration } from './duration.ts'
import { ADS, router } from './messages.ts'

type Route = Message<'envoy.config.route.v3.Route'>
type RouteMatch = Message<'envoy.config.route.v3.RouteMatch'>
type RouteAction = Message<'envoy.config.route.v3.RouteAction'>

const PREFIX = 'grpc|'

/** A Service's port by its cluster's or assignment's name. */
export function parseGrpcName(name: string): PortRef | undefined {
  return name.startsWith(PREFIX) ? parseBackendName(name.slice(PREFIX.length)) : undefined
}

export function grpcListener(mesh: Mesh, name: string): Message<'envoy.config.listener.v3.Listener'> | undefined {
  if (!exists(mesh, parseBackendName(name))) return undefined
  const hcm = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  return {
    name,
    api_listener: {
      api_listener: any(hcm, {
        stat_prefix: 'grpc',
        rds: { route_config_name: name, config_source: ADS },
        http_filters: [router()],
      }),
    },
  }
}

export function grpcRoutes(mesh: Mesh, name: string): Message<'envoy.config.route.v3.RouteConfiguration'> | undefined {
  const port = parseBackendName(name)
  if (port === undefined || !exists(mesh, port)) return undefined
  const frontend = mesh.http.get(`${port.service}:${port.port}|`)
  const own: Route = { match: { prefix: '' }, route: { cluster: `${PREFIX}${name}` } }
  const routes = frontend?.routed === true ? routed(frontend) : [own]
  return { name, virtual_hosts: [{ name, domains: [name], routes }] }
}

export function grpcCluster(mesh: Mesh, name: string): Message<'envoy.config.cluster.v3.Cluster'> | undefined {
  const port = parseGrpcName(name)
  if (port === undefined || !exists(mesh, port)) return undefined
  return { name, type: 'EDS', eds_cluster_config: { eds_config: ADS }, lb_policy: 'ROUND_ROBIN' }
}

export function grpcEndpoints(mesh: Mesh, name: string): Endpoints {
  const port = parseGrpcName(name)
  const instances = port === undefined ? [] : mesh.services.endpoints.get(backendKey(port))
  const open = instances.filter(
    ({ workload, port: own, weight }) => weight > 0 && (workload === undefined || !mesh.strict(workload, own)),
  )
  const localities = [...Map.groupBy(open, ({ locality }) => JSON.stringify(locality)).values()]
  return {
    clusterName: name,
    unnamedLocalities: true,
    // a locality without weight gets nothing (gRFC A27)
    localities: localities.flatMap((own) =>
      own[0] === undefined
        ? []
        : {
            ...own[0].locality,
            priority: 0,
            weight: own.reduce((sum, { weight }) => sum + weight, 0),
            endpoints: own.map(({ address, port: target, weight }) => ({
              address: { address, port: target },
              weight,
              health: 'HEALTHY' as const,
            })),
          },
    ),
  }
}

const backendKey = ({ service, port }: PortRef): string => `${service}:${port}`

function exists(mesh: Mesh, port: PortRef | undefined): port is PortRef {
  return (
    port !== undefined && mesh.services.service.get(port.service)?.ports.some((own) => own.port === port.port) === true
  )
}

/** Without a route at the end, a call that none matches fails with UNAVAILABLE, as gRPC has it. */
function routed(frontend: HttpFrontend): Route[] {
  return frontend.entries.flatMap((entry) => {
    const match = matchOf(entry)
    const clusters = entry.rule.backends
      .filter(({ weight, invalid }) => weight > 0 && invalid === undefined)
      .map(({ name, weight }) => ({ name: `${PREFIX}${name}`, weight }))
    if (match === undefined || clusters.length === 0) return []
    return { match, route: { weighted_clusters: { clusters }, ...limits(entry) } }
  })
}

/** Undefined for what no gRPC call can satisfy. */
function matchOf({ match }: HttpEntry): RouteMatch | undefined {
  if (match.queryParams.length > 0 || (match.method ?? 'POST') !== 'POST') return undefined
  const { type, value } = match.path
  return {
    ...(type === 'Exact'
      ? { path: value }
      : type === 'PathPrefix'
        ? { prefix: value }
        : { safe_regex: { regex: value } }),
    headers: match.headers.map((header) => ({
      name: header.name.toLowerCase(),
      string_match: header.type === 'Exact' ? { exact: header.value } : { safe_regex: { regex: header.value } },
    })),
  }
}

/** Retry conditions that gRPC knows (gRFC A44). */
const GRPC_TRIGGERS: ReadonlySet<string> = new Set([
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])

function limits({ rule }: HttpEntry): RouteAction {
  const timeout = rule.timeouts?.request ?? rule.policy.timeout?.http?.requestTimeout
  const { retry } = rule.policy
  const triggers = (retry?.retryOn.triggers ?? []).filter((trigger) => GRPC_TRIGGERS.has(trigger))
  return {
    ...(timeout !== undefined && { max_stream_duration: { max_stream_duration: toDuration(timeout) } }),
    ...(retry !== undefined &&
      triggers.length > 0 &&
      retry.numRetries > 0 && { retry_policy: { retry_on: triggers.join(), num_retries: retry.numRetries } }),
  }
}
