/**
 * TLSRoute, as Gateway API v1.6 serves it: v1 and v1alpha3 want host names and one rule, v1alpha2 was laxer.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { gatewayGroup } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { withRules } from '../rules.ts'
import { wildcardHostname } from '../text.ts'
import { backendReference } from './references.ts'
import { routeFields, ruleName, withUniqueRuleNames } from './route.ts'

const rule = z.object({
  name: ruleName,
  backendRefs: z.array(backendReference).min(1).max(16).describe('Where connections go.'),
})

const names = z.array(wildcardHostname).max(1024)
const hostnamesText = 'Names in the SNI of connections that take the route.'

const strict = z.object({
  ...typeFields,
  spec: z.object({
    ...routeFields,
    hostnames: withRules(names.min(1), {
      holds: (hosts) => hosts.every((host) => isIP(host) === 0),
      message: 'hostnames must be names, not IP addresses: SNI carries none (RFC 6066)',
    }).describe(hostnamesText),
    rules: z.array(rule).min(1).max(1).describe('The one rule.'),
  }),
})

const lax = z.object({
  ...typeFields,
  spec: z.object({
    ...routeFields,
    hostnames: names.default([]).describe(hostnamesText),
    rules: withUniqueRuleNames(z.array(rule).min(1).max(16)).describe('The rules; only the first is used.'),
  }),
})

export type TLSRoute = z.infer<typeof strict>

export const tlsRouteKind = defineKind<TLSRoute>({
  group: gatewayGroup,
  kind: 'TLSRoute',
  plural: 'tlsroutes',
  statusShape: 'Parents',
  statusConditions: ['Accepted', 'ResolvedRefs', 'Programmed'],
  schemas: { v1: strict, v1alpha3: strict, v1alpha2: lax },
  description: 'Routes TLS connections to a Service by SNI, without ending TLS.',
})
