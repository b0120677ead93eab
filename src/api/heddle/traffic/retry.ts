/** Which failed requests are tried again, how often and how soon. */
import { z } from 'zod'
import { duration, durationMs } from '../../duration.ts'
import { uniqueItems, withRules } from '../../rules.ts'
import { percentage } from '../../text.ts'

const triggers = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const

const retryOn = withRules(
  z.object({
    triggers: uniqueItems(z.array(z.enum(triggers)).max(13))
      .default(['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'])
      .describe("Kinds of failure, in Envoy's words; the last five are gRPC statuses."),
    httpStatusCodes: uniqueItems(z.array(z.int32().min(100).max(599)).max(64))
      .optional()
      .describe('Statuses for `retriable-status-codes`; 503 by default.'),
  }),
  {
    holds: ({ triggers: chosen, httpStatusCodes }) =>
      httpStatusCodes === undefined || chosen.includes('retriable-status-codes'),
    message: 'httpStatusCodes has an effect only with the trigger retriable-status-codes',
    path: ['httpStatusCodes'],
    cel: "!has(self.httpStatusCodes) || 'retriable-status-codes' in self.triggers",
  },
)

const backOff = withRules(
  z.object({
    baseInterval: duration.default('25ms').describe('Before the first retry; doubled each time, with jitter.'),
    maxInterval: duration.optional().describe('At most; ten times the base by default.'),
  }),
  {
    holds: ({ baseInterval }) => durationMs(baseInterval) > 0,
    message: 'must be more than 0s',
    path: ['baseInterval'],
    cel: "duration(self.baseInterval) > duration('0s')",
  },
  {
    holds: ({ baseInterval, maxInterval }) =>
      maxInterval === undefined || durationMs(baseInterval) <= durationMs(maxInterval),
    message: 'maxInterval must not be shorter than baseInterval',
    path: ['maxInterval'],
    cel: '!has(self.maxInterval) || duration(self.baseInterval) <= duration(self.maxInterval)',
  },
)

export const retry = z.object({
  numRetries: z.int32().min(0).max(100).default(2).describe('How often a request is tried again; 0 for never.'),
  retryOn: retryOn.prefault({}).describe('Which failures.'),
  perRetry: z
    .object({
      timeout: duration.optional().describe('For one try.'),
      backOff: backOff.optional().describe('Pause between tries.'),
    })
    .optional()
    .describe('Of a single try.'),
  budget: z
    .object({
      percent: percentage.default(20).describe('Retries at most, as a share of the requests in flight.'),
      minRetryConcurrency: z
        .int32()
        .min(0)
        .max(1_000_000)
        .default(3)
        .describe('As many retries are allowed however few requests there are.'),
    })
    .optional()
    .describe('Keeps retries from becoming a storm; replaces `circuitBreaker.maxParallelRetries`.'),
  hostSelection: z
    .object({
      avoidPrevious: z.boolean().default(true).describe('Whether a retry goes to an instance that was not tried yet.'),
      maxAttempts: z.int32().min(1).max(100).default(3).describe('How often another instance is looked for.'),
    })
    .prefault({})
    .describe('Which instance a retry goes to.'),
})

export type Retry = z.infer<typeof retry>
