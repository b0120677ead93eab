/** TCPRoute, as Gateway API v1.6 serves it: v1 has one rule, v1alpha2 took up to sixteen. */
import { z } from 'zod'
import { gatewayGroup } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { backendReference } from './references.ts'
import { routeFields, ruleName, withUniqueRuleNames } from './route.ts'

const rule = z.object({
  name: ruleName,
  backendRefs: z.array(backendReference).min(1).max(16).describe('Where connections go.'),
})

const version = (mostRules: number) =>
  z.object({
    ...typeFields,
    spec: z.object({
      ...routeFields,
      rules: withUniqueRuleNames(z.array(rule).min(1).max(mostRules)).describe('The rules; only the first is used.'),
    }),
  })

const v1 = version(1)

export type TCPRoute = z.infer<typeof v1>

export const tcpRouteKind = defineKind<TCPRoute>({
  group: gatewayGroup,
  kind: 'TCPRoute',
  plural: 'tcproutes',
  statusShape: 'Parents',
  statusConditions: ['Accepted', 'ResolvedRefs', 'Programmed'],
  schemas: { v1, v1alpha2: version(16) },
  description: 'Routes TCP connections to a Service by weight.',
})
