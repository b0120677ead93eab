/** Faults on purpose, on the client's outbound side: the target itself sees only what is let through. */
import { z } from 'zod'
import { duration } from '../../duration.ts'
import { withRules } from '../../rules.ts'
import { percentage } from '../../text.ts'

const share = percentage.default(100).describe('Share of requests.')

const abort = withRules(
  z.object({
    httpStatus: z.int32().min(200).max(599).optional().describe('HTTP status of the answer.'),
    grpcStatus: z.int32().min(0).max(16).optional().describe('gRPC status of the answer.'),
    percentage: share,
  }),
  {
    holds: ({ httpStatus, grpcStatus }) => (httpStatus === undefined) !== (grpcStatus === undefined),
    message: 'give either httpStatus or grpcStatus',
    cel: 'has(self.httpStatus) != has(self.grpcStatus)',
  },
)

export const faultInjection = withRules(
  z.object({
    delay: z
      .object({ fixedDelay: duration.describe('How long a request is held.'), percentage: share })
      .optional()
      .describe('Holds requests.'),
    abort: abort.optional().describe('Answers requests with an error.'),
  }),
  {
    holds: ({ delay, abort: aborted }) => delay !== undefined || aborted !== undefined,
    message: 'delay, abort or both must be given',
    cel: 'has(self.delay) || has(self.abort)',
  },
)

export type FaultInjection = z.infer<typeof faultInjection>
