/**
 * HTTPRoute, as Gateway API v1.6 serves it in v1 and v1beta1 (experimental channel; the versions do not differ).
 * `heddle validate` refuses here what the API server would refuse with the official CRD.
 */
import { z } from 'zod'
import { duration, durationMs } from '../duration.ts'
import { gatewayGroup } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { regexRule } from '../re2.ts'
import { type Rule, uniqueBy, uniqueItems, withRules } from '../rules.ts'
import { headerName, headerValue } from '../text.ts'
import { httpFilters } from './filters.ts'
import { backendReferenceWith } from './references.ts'
import { hostnames, routeFields, ruleName, sessionPersistence, withUniqueRuleNames } from './route.ts'

const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/

interface Path {
  readonly type: string
  readonly value: string
}

/** Rules of literal paths. */
const literal = (holds: (value: string) => boolean, message: string): Rule<Path> => ({
  holds: ({ type, value }) => type === 'RegularExpression' || holds(value),
  message,
  path: ['value'],
})

const path = withRules(
  z.object({
    type: z
      .enum(['Exact', 'PathPrefix', 'RegularExpression'])
      .default('PathPrefix')
      .describe('How the path is compared.'),
    value: z.string().max(1024).default('/').describe('The path, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
  literal((value) => value.startsWith('/'), 'value must be an absolute path: begin it with "/"'),
  ...['//', '/./', '/../', '%2f', '%2F', '#'].map((part) =>
    literal((value) => !value.includes(part), `value must be a normalised path, without "${part}"`),
  ),
  ...['/..', '/.'].map((end) =>
    literal((value) => !value.endsWith(end), `value must be a normalised path, without "${end}" at its end`),
  ),
  literal(
    (value) => pathCharacters.test(value),
    'value must consist of the characters of a URL path; percent-encode others',
  ),
)

const matchType = z.enum(['Exact', 'RegularExpression']).default('Exact').describe('How the value is compared.')

const headerMatch = withRules(
  z.object({
    type: matchType,
    name: headerName.describe('Name of the header.'),
    value: headerValue.describe('The value, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
)

const queryParamMatch = withRules(
  z.object({
    type: matchType,
    name: headerName.describe('Name of the query parameter.'),
    value: z.string().min(1).max(1024).describe('The value, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
)

const httpMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const

const match = z.object({
  path: path.prefault({}).describe('Path of the request; any by default.'),
  headers: uniqueBy(z.array(headerMatch).max(16), 'name').default([]).describe('Headers that must all match.'),
  queryParams: uniqueBy(z.array(queryParamMatch).max(16), 'name')
    .default([])
    .describe('Query parameters that must all match.'),
  method: z.enum(httpMethods).optional().describe('Method of the request; any by default.'),
})

const timeouts = withRules(
  z.object({
    request: duration.optional().describe('For the whole exchange, retries included; `0s` for none.'),
    backendRequest: duration.optional().describe('For one try at one backend; `0s` for none.'),
  }),
  {
    holds: ({ request = '0s', backendRequest = '0s' }) =>
      durationMs(request) === 0 || durationMs(backendRequest) <= durationMs(request),
    message: 'backendRequest must not be longer than request',
    path: ['backendRequest'],
  },
)

const retry = z.object({
  codes: uniqueItems(z.array(z.int().min(400).max(599)))
    .optional()
    .describe('Statuses that are tried again.'),
  attempts: z.int().min(1).optional().describe('How often a request is tried again.'),
  backoff: duration.optional().describe('Least time between tries.'),
})

type Filters = z.infer<typeof httpFilters>

/** Replacing the matched prefix needs one to replace: a single PathPrefix match. */
function prefixOf(filters: Filters | undefined, field: 'requestRedirect' | 'urlRewrite'): boolean {
  return (filters ?? []).filter((filter) => filter[field]?.path?.replacePrefixMatch !== undefined).length === 1
}

const backendRef = backendReferenceWith(httpFilters)

const ruleFields = z.object({
  name: ruleName,
  matches: z
    .array(match)
    .max(64)
    .prefault([{}])
    .describe('A request that satisfies any of these takes the rule; every request by default.'),
  filters: httpFilters.default([]).describe('What is done with the request and its response.'),
  backendRefs: z.array(backendRef).max(16).default([]).describe('Where requests go. Without any, the answer is 500.'),
  timeouts: timeouts.optional().describe('Timeouts.'),
  retry: retry.optional().describe('Which failed requests are tried again.'),
  sessionPersistence: sessionPersistence.optional().describe('Keeps a client with the backend it had first.'),
})

type RuleFields = z.infer<typeof ruleFields>

const onePrefix = ({ matches }: RuleFields): boolean => matches.length === 1 && matches[0]?.path.type === 'PathPrefix'

const rule = withRules(
  ruleFields,
  {
    holds: ({ backendRefs, filters }) =>
      backendRefs.length === 0 || filters.every((filter) => filter.requestRedirect === undefined),
    message: 'a rule that redirects has no backendRefs: nothing would reach them',
    path: ['backendRefs'],
  },
  ...(['requestRedirect', 'urlRewrite'] as const).flatMap((field): Rule<RuleFields>[] => [
    {
      holds: (value) => !prefixOf(value.filters, field) || onePrefix(value),
      message: `${field}.path.replacePrefixMatch needs exactly one match, of type PathPrefix, in the rule`,
      path: ['matches'],
    },
    {
      holds: (value) =>
        value.backendRefs.filter(({ filters }) => prefixOf(filters, field)).length !== 1 || onePrefix(value),
      message: `${field}.path.replacePrefixMatch of a backendRef needs exactly one match, of type PathPrefix, in the rule`,
      path: ['matches'],
    },
  ]),
)

const rules = withRules(withUniqueRuleNames(z.array(rule).min(1).max(16)), {
  holds: (all) => all.reduce((count, { matches }) => count + matches.length, 0) <= 128,
  message: 'at most 128 matches in all rules of a route together; split the route',
})

const schema = z.object({
  ...typeFields,
  spec: z.object({
    ...routeFields,
    hostnames,
    rules: rules.prefault([{}]).describe('The rules; the most specific match wins, whatever their order.'),
  }),
})

export type HTTPRoute = z.infer<typeof schema>
export type HTTPRouteRule = z.infer<typeof rule>
export type HTTPRouteMatch = z.infer<typeof match>
export type HTTPBackendRef = z.infer<typeof backendRef>
export type HTTPRouteTimeouts = z.infer<typeof timeouts>
export type HTTPRouteRetry = z.infer<typeof retry>

export const httpRouteKind = defineKind<HTTPRoute>({
  group: gatewayGroup,
  kind: 'HTTPRoute',
  plural: 'httproutes',
  statusShape: 'Parents',
  statusConditions: ['Accepted', 'ResolvedRefs', 'Programmed'],
  schemas: { v1: schema, v1beta1: schema },
  description: 'Routes HTTP requests to a Service by path, header, query and method.',
})
