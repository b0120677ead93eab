// The virtual host of a Service's port: what its routes and policies say of requests, in the order in which they are tried.
import type { HttpFrontend } from '../../mesh/http.ts'
import { socketName } from '../../mesh/model.ts'
import type { Message } from '../../proto/types.ts'
import { REFUSED, virtualHostName } from '../names.ts'
import type { Route } from './decision.ts'
import { safeRetry } from './retry.ts'
import { ruleRoutes } from './rule.ts'

export type VirtualHost = Message<'envoy.config.route.v3.VirtualHost'>

export interface VirtualHostContent {
  readonly message: VirtualHost
  /** Names of the clusters that it sends requests to, copies included; sorted. */
  readonly clusters: readonly string[]
}

/** @param address one of the Service's addresses, `port` the port dialled there */
export function virtualHost(frontend: HttpFrontend, address: string, port: number): VirtualHostContent {
  const dialled = { address, port, servicePort: frontend.port }
  const routes = frontend.entries.flatMap(({ match, index, rule }) => {
    const decided = frontend.routed
      ? {
          name: `${rule.kind}/${rule.route}/${rule.rule}/${index}`,
          by: { route: `${rule.kind}/${rule.route}`, rule: rule.rule },
        }
      : { name: `Service/${frontend.service}/${frontend.port}`, by: { service: frontend.service } }
    return ruleRoutes(rule, match, decided, dialled)
  })
  return {
    message: {
      name: virtualHostName(address, port),
      domains: [socketName(address, port)],
      retry_policy: safeRetry(),
      routes: frontend.routed ? [...routes, noMatch()] : routes,
    },
    clusters: [...new Set(routes.flatMap(clustersOf))].filter((name) => name !== REFUSED).toSorted(),
  }
}

/** No rule matches: 404 (HTTPRouteRule.matches), which is `UNIMPLEMENTED` for gRPC. Without it, on-demand would wait for ever. */
export const noMatch = (): Route => ({
  name: 'no-match',
  match: { prefix: '/' },
  direct_response: { status: 404, body: { inline_string: 'no rule of this service matches the request\n' } },
})

function clustersOf({ route }: Route): string[] {
  const split = route?.weighted_clusters?.clusters ?? []
  const mirrors = route?.request_mirror_policies ?? []
  return [route?.cluster, ...split.map(({ name }) => name), ...mirrors.map(({ cluster }) => cluster)].filter(
    (name) => name !== undefined,
  )
}
