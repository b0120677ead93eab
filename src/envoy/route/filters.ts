// The filters of a rule or of a backend, sorted out by what they do. A filter that Heddle cannot carry out is never skipped:
// whatever would have passed it is answered with an error (HTTPRouteFilter.type).
import type { Cors, HTTPRouteFilter, RequestMirror, RequestRedirect, UrlRewrite } from '../../api/index.ts'
import type { HttpFilter } from '../../mesh/http.ts'
import type { HeaderChanges } from './headers.ts'

export interface RuleFilters {
  readonly headers: HeaderChanges
  readonly mirrors: readonly RequestMirror[]
  readonly redirect: RequestRedirect | undefined
  readonly rewrite: UrlRewrite | undefined
  readonly cors: Cors | undefined
  readonly unsupported: boolean
}

export function ruleFilters(filters: readonly HttpFilter[]): RuleFilters {
  // what GRPCRoute has of filters is part of what HTTPRoute has
  const all: readonly HTTPRouteFilter[] = filters
  return {
    headers: headerChanges(all),
    mirrors: all.flatMap(({ requestMirror }) => requestMirror ?? []),
    redirect: all.findLast(({ requestRedirect }) => requestRedirect)?.requestRedirect,
    rewrite: all.findLast(({ urlRewrite }) => urlRewrite)?.urlRewrite,
    cors: all.findLast(({ cors }) => cors)?.cors,
    unsupported: all.some(({ type }) => type === 'ExtensionRef' || type === 'ExternalAuth'),
  }
}

/** Of a backend, Envoy can carry out header modifiers only. */
export function backendFilters(filters: readonly HttpFilter[]): Pick<RuleFilters, 'headers' | 'unsupported'> {
  return {
    headers: headerChanges(filters),
    unsupported: filters.some(({ type }) => type !== 'RequestHeaderModifier' && type !== 'ResponseHeaderModifier'),
  }
}

const headerChanges = (filters: readonly HttpFilter[]): HeaderChanges => ({
  request: filters.flatMap(({ requestHeaderModifier }) => requestHeaderModifier ?? []),
  response: filters.flatMap(({ responseHeaderModifier }) => responseHeaderModifier ?? []),
})
