// What a request must look like: a match of an HTTPRoute or GRPCRoute as Envoy's RouteMatch.
import type { HttpMatch } from '../../mesh/http.ts'
import type { Message } from '../../proto/types.ts'
import { bare } from './path.ts'

export type RouteMatch = Message<'envoy.config.route.v3.RouteMatch'>
export type HeaderMatcher = Message<'envoy.config.route.v3.HeaderMatcher'>
type StringMatcher = Message<'envoy.type.matcher.v3.StringMatcher'>

/** @param grpc requests of any other content type pass by (GRPCRoute) */
export function routeMatch(match: HttpMatch, grpc: boolean): RouteMatch {
  const headers: HeaderMatcher[] = [
    ...(match.method === undefined ? [] : [{ name: ':method', string_match: { exact: match.method } }]),
    ...match.headers.map(({ type, name, value }) => ({ name: fieldName(name), string_match: text(type, value) })),
  ]
  const query = match.queryParams.map(({ type, name, value }) => ({ name, string_match: text(type, value) }))
  return {
    ...pathMatch(match.path),
    ...(headers.length > 0 && { headers }),
    ...(query.length > 0 && { query_parameters: query }),
    ...(grpc && { grpc: {} }),
  }
}

function pathMatch({ type, value }: HttpMatch['path']): RouteMatch {
  switch (type) {
    case 'Exact':
      return { path: value }
    case 'RegularExpression':
      // of the whole path, without the query
      return { safe_regex: { regex: value } }
    case 'PathPrefix':
      return bare(value) === '' ? { prefix: '/' } : { path_separated_prefix: bare(value) }
  }
}

/** GAMMA routes by host with a match of the header `Host`, which Envoy knows by its HTTP/2 name (GEP-1294, "hostnames field"). */
function fieldName(name: string): string {
  const lower = name.toLowerCase()
  return lower === 'host' ? ':authority' : lower
}

const text = (type: 'Exact' | 'RegularExpression', value: string): StringMatcher =>
  type === 'Exact' ? { exact: value } : { safe_regex: { regex: value } }
