/** What the route kinds share: parents, rule names, session persistence. */
import { z } from 'zod'
import { duration } from '../duration.ts'
import { withRules } from '../rules.ts'
import { dnsSubdomain, wildcardHostname } from '../text.ts'
import { parentReferences } from './references.ts'

export const routeFields = {
  parentRefs: parentReferences.default([]).describe('What the route attaches to: for a mesh, Services.'),
  useDefaultGateways: z
    .enum(['All', 'None'])
    .optional()
    .describe('Whether default Gateways take the route; a mesh does not read it.'),
}

export const hostnames = z
  .array(wildcardHostname)
  .max(16)
  .default([])
  .describe('Host names that requests must carry; a mesh routes by Service address and ignores them (GAMMA).')

export const ruleName = dnsSubdomain.optional().describe('Name of the rule, to which policies can attach.')

/** Rule names are unique within a route; a repeated path of the second tells where. */
export function withUniqueRuleNames<S extends z.ZodType<readonly { readonly name?: string | undefined }[]>>(
  schema: S,
): S {
  return withRules(schema, {
    holds: (rules) => {
      const names = rules.flatMap(({ name }) => (name === undefined ? [] : [name]))
      return new Set(names).size === names.length
    },
    message: 'rule names must differ from each other within a route',
  })
}

export const sessionPersistence = withRules(
  z.object({
    sessionName: z.string().max(128).optional().describe('Name of the cookie or header.'),
    absoluteTimeout: duration.optional().describe('How long a session lasts at most.'),
    type: z.enum(['Cookie', 'Header']).default('Cookie').describe('Where the session is kept.'),
    cookieConfig: z
      .object({
        lifetimeType: z
          .enum(['Permanent', 'Session'])
          .default('Session')
          .describe('`Session` cookies end with the client, `Permanent` ones with absoluteTimeout.'),
      })
      .optional()
      .describe('For cookies only.'),
  }),
  {
    holds: ({ cookieConfig, absoluteTimeout }) =>
      cookieConfig?.lifetimeType !== 'Permanent' || absoluteTimeout !== undefined,
    message: 'a Permanent cookie needs absoluteTimeout',
    path: ['absoluteTimeout'],
  },
  {
    holds: ({ cookieConfig, type }) => cookieConfig === undefined || type === 'Cookie',
    message: 'cookieConfig goes with type Cookie only',
    path: ['cookieConfig'],
  },
)

export type SessionPersistence = z.infer<typeof sessionPersistence>
