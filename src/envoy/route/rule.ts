// One match of a rule as Envoy routes: usually one, more where Envoy needs requests told apart further.
import type { HttpMatch, HttpRule } from '../../mesh/http.ts'
import { corsPolicy, refusedPreflights } from './cors.ts'
import { type Decision, failure, type Route } from './decision.ts'
import { faults } from './fault.ts'
import { type RuleFilters, ruleFilters } from './filters.ts'
import { type Dialled, forward } from './forward.ts'
import { headerFields } from './headers.ts'
import { routeMatch } from './match.ts'
import { redirections } from './redirect.ts'

/** Who decided, for logs and `/config_dump`. */
export interface Decided {
  readonly name: string
  readonly by: { readonly route: string; readonly rule: string } | { readonly service: string }
}

export function ruleRoutes(rule: HttpRule, match: HttpMatch, decided: Decided, dialled: Dialled): Route[] {
  const filters = ruleFilters(rule.filters)
  const common = { ...corsPolicy(filters.cors), ...faults(rule.policy.faultInjection) }
  const matched = routeMatch(match, rule.kind === 'GRPCRoute')
  const route = ({ also = [], does, headers, perFilter = {} }: Decision): Route => ({
    name: decided.name,
    match: also.length === 0 ? matched : { ...matched, headers: [...(matched.headers ?? []), ...also] },
    ...does,
    ...(Object.keys(perFilter).length > 0 && { typed_per_filter_config: perFilter }),
    ...(headers && headerFields(headers)),
    metadata: { filter_metadata: { heddle: decided.by } },
  })
  return [
    ...refusedPreflights(filters.cors, match),
    ...decisions(rule, match, filters, dialled).map((decision) => ({
      ...decision,
      perFilter: { ...common, ...decision.perFilter },
    })),
  ].map(route)
}

/** The last of them has no further condition. */
function decisions(rule: HttpRule, match: HttpMatch, filters: RuleFilters, dialled: Dialled): Decision[] {
  if (filters.unsupported) return [failure(rule)]
  if (filters.redirect) return redirections(filters.redirect, match, dialled.servicePort, filters.headers.response)
  return forward(rule, match, filters, dialled)
}
