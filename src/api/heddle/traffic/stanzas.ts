/** All stanzas of a TrafficPolicy, which are also those of the Mesh's defaults. The nearest that sets one replaces it whole. */
import { z } from 'zod'
import { circuitBreaker } from './circuit-breaker.ts'
import { http2, tcpKeepalive } from './connection.ts'
import { faultInjection } from './fault-injection.ts'
import { healthCheck } from './health-check.ts'
import { loadBalancer } from './load-balancer.ts'
import { rateLimit } from './rate-limit.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

export const trafficStanzas = {
  loadBalancer: loadBalancer.optional().describe('How requests are spread over instances.'),
  timeout: timeout.optional().describe('How long connections and requests may take.'),
  retry: retry.optional().describe('Which failed requests are tried again.'),
  circuitBreaker: circuitBreaker
    .optional()
    .describe('Limits beyond which requests fail at once; each client counts for itself.'),
  healthCheck: healthCheck.optional().describe('How broken instances are found.'),
  tcpKeepalive: tcpKeepalive.optional().describe('Probes on idle connections.'),
  http2: http2.optional().describe('HTTP/2 on connections to the target.'),
  rateLimit: rateLimit.optional().describe("Limits requests on the inbound side of the target's instances."),
  faultInjection: faultInjection.optional().describe('Delays and errors on purpose, on the outbound side of clients.'),
}

const stanzas = z.object(trafficStanzas)

/** The stanzas of a TrafficPolicy, without its targets. */
export type TrafficSettings = z.infer<typeof stanzas>
