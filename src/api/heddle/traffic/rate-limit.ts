/**
 * Local rate limit: each instance of the target counts for itself, on its inbound side, and answers 429 beyond the
 * limit.
 */
import { z } from 'zod'
import { regexRule } from '../../re2.ts'
import { withRules } from '../../rules.ts'
import { cidr, headerName } from '../../text.ts'

const headerSelector = withRules(
  z.object({
    name: headerName.describe('Name of the header.'),
    type: z
      .enum(['Exact', 'RegularExpression', 'Distinct'])
      .default('Exact')
      .describe('`Distinct` counts each value of the header apart.'),
    value: z.string().min(1).max(1024).optional().describe('The value, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
  {
    holds: ({ type, value }) => (type === 'Distinct') === (value === undefined),
    message: 'value is needed, but for type Distinct, which takes none',
    path: ['value'],
    cel: "(self.type == 'Distinct') != has(self.value)",
  },
)

const clientSelector = withRules(
  z.object({
    headers: z.array(headerSelector).min(1).max(16).optional().describe('Headers that must all match.'),
    sourceCIDR: cidr.optional().describe('Range in which the address of the peer must be.'),
  }),
  {
    holds: ({ headers, sourceCIDR }) => headers !== undefined || sourceCIDR !== undefined,
    message: 'headers, sourceCIDR or both must be given',
    cel: 'has(self.headers) || has(self.sourceCIDR)',
  },
)

const rule = z.object({
  clientSelectors: z
    .array(clientSelector)
    .max(8)
    .optional()
    .describe('Requests that match any of these are counted; all requests by default.'),
  limit: z
    .object({
      requests: z.int32().min(1).max(2_147_483_647).describe('Requests in each unit of time.'),
      unit: z.enum(['Second', 'Minute', 'Hour', 'Day']).describe('Unit of time.'),
    })
    .describe('How many.'),
})

export const rateLimit = z.object({
  local: z
    .object({ rules: z.array(rule).min(1).max(16).describe('A request must pass all rules that match it.') })
    .describe('Counted by each instance for itself, on its inbound side.'),
})

export type RateLimit = z.infer<typeof rateLimit>
export type RateLimitRule = z.infer<typeof rule>
