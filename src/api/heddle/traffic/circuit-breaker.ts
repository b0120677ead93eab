/** Limits per client and destination, beyond which requests fail at once instead of queueing. */
import { z } from 'zod'

const limit = z.int32().min(0).max(2_147_483_647).optional()

export const circuitBreaker = z.object({
  maxConnections: limit.describe('Connections at once; without limit by default.'),
  maxPendingRequests: limit.describe(
    'Requests that wait for a connection; without limit by default. Each connection is opened for a request that waits: 0 refuses all.',
  ),
  maxParallelRequests: limit.describe('Requests at once; without limit by default.'),
  maxParallelRetries: limit.describe(
    'Retries at once; by default `retry.budget`, or without one 20 % of the requests in flight, 10 at least.',
  ),
  maxRequestsPerConnection: z
    .int32()
    .min(1)
    .max(2_147_483_647)
    .optional()
    .describe('Requests on one connection before it is closed; without limit by default.'),
})

export type CircuitBreaker = z.infer<typeof circuitBreaker>
