/** Limits per client and destination, beyond which requests fail at once instead of queueing. */
import { z } from 'zod'

const limit = z.int32().min(0).max(2_147_483_647).optional()

export const circuitBreaker = z.object({
  maxConnections: limit.describe('Connections at once; 1024 by default.'),
  maxPendingRequests: limit.describe('Requests that wait for a connection; 1024 by default.'),
  maxParallelRequests: limit.describe('Requests at once; 1024 by default.'),
  maxParallelRetries: limit.describe('Retries at once; 3 by default.'),
  maxRequestsPerConnection: z
    .int32()
    .min(1)
    .max(2_147_483_647)
    .optional()
    .describe('Requests on one connection before it is closed; without limit by default.'),
})

export type CircuitBreaker = z.infer<typeof circuitBreaker>
