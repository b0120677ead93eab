/** GRPCRoute, as Gateway API v1.6 serves it (experimental channel). */
import { z } from 'zod'
import { gatewayGroup } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { regexRule } from '../re2.ts'
import { uniqueBy, withRules } from '../rules.ts'
import { headerName } from '../text.ts'
import { grpcFilters } from './filters.ts'
import { backendReferenceWith } from './references.ts'
import { hostnames, routeFields, ruleName, sessionPersistence, withUniqueRuleNames } from './route.ts'

const serviceName = /^\.?[a-zA-Z_][a-zA-Z_0-9]*(\.[a-zA-Z_][a-zA-Z_0-9]*)*$/
const methodName = /^[A-Za-z_][A-Za-z_0-9]*$/

const matchType = z.enum(['Exact', 'RegularExpression']).default('Exact').describe('How the value is compared.')

const methodMatch = withRules(
  z.object({
    type: matchType,
    service: z
      .string()
      .max(1024)
      .optional()
      .describe('Full name of the gRPC service, e.g. `shop.v1.Cart`; any by default.'),
    method: z.string().max(1024).optional().describe('Name of the method; any by default.'),
  }),
  regexRule('service'),
  regexRule('method'),
  {
    holds: ({ service, method }) => service !== undefined || method !== undefined,
    message: 'service, method or both must be given',
  },
  {
    holds: ({ type, service }) => type !== 'Exact' || service === undefined || serviceName.test(service),
    message: 'service must be the full name of a gRPC service, such as shop.v1.Cart',
    path: ['service'],
  },
  {
    holds: ({ type, method }) => type !== 'Exact' || method === undefined || methodName.test(method),
    message: 'method must be the name of a gRPC method, such as GetItems',
    path: ['method'],
  },
)

const headerMatch = withRules(
  z.object({
    type: matchType,
    name: headerName.describe('Name of the header.'),
    value: z.string().min(1).max(4096).describe('The value, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
)

const match = z.object({
  method: methodMatch.optional().describe('Service and method; any by default.'),
  headers: uniqueBy(z.array(headerMatch).max(16), 'name').default([]).describe('Headers that must all match.'),
})

const backendRef = backendReferenceWith(grpcFilters)

const rule = z.object({
  name: ruleName,
  matches: z
    .array(match)
    .max(64)
    .default([])
    .describe('A call that satisfies any of these takes the rule; every call by default.'),
  filters: grpcFilters.default([]).describe('What is done with the call.'),
  backendRefs: z.array(backendRef).max(16).default([]).describe('Where calls go. Without any, they get UNAVAILABLE.'),
  sessionPersistence: sessionPersistence.optional().describe('Keeps a client with the backend it had first.'),
})

const rules = withRules(withUniqueRuleNames(z.array(rule).max(16)), {
  holds: (all) => all.reduce((count, { matches }) => count + matches.length, 0) <= 128,
  message: 'at most 128 matches in all rules of a route together; split the route',
})

const schema = z.object({
  ...typeFields,
  spec: z.object({
    ...routeFields,
    hostnames,
    rules: rules.default([]).describe('The rules; the most specific match wins.'),
  }),
})

export type GRPCRoute = z.infer<typeof schema>
export type GRPCRouteRule = z.infer<typeof rule>
export type GRPCRouteMatch = z.infer<typeof match>
export type GRPCBackendRef = z.infer<typeof backendRef>

export const grpcRouteKind = defineKind<GRPCRoute>({
  group: gatewayGroup,
  kind: 'GRPCRoute',
  plural: 'grpcroutes',
  statusShape: 'Parents',
  statusConditions: ['Accepted', 'ResolvedRefs', 'Programmed'],
  schemas: { v1: schema },
  description: 'Routes gRPC calls to a Service by service, method and header.',
})
