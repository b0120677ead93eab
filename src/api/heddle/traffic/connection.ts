/** How connections to a destination are kept alive and how HTTP/2 uses them. */
import { z } from 'zod'
import { duration, durationMs } from '../../duration.ts'
import { withRules } from '../../rules.ts'

export const tcpKeepalive = z.object({
  probes: z.int32().min(1).max(255).optional().describe('Probes without answer before the connection is dropped.'),
  idleTime: duration.optional().describe('How long a connection is idle before the first probe; whole seconds.'),
  interval: duration.optional().describe('Between probes; whole seconds.'),
})

const keepalive = withRules(
  z.object({
    interval: duration.default('30s').describe('Between PINGs.'),
    timeout: duration.default('5s').describe('Without answer for this long, the connection is dropped.'),
  }),
  {
    holds: ({ interval, timeout }) => durationMs(interval) > 0 && durationMs(timeout) > 0,
    message: 'interval and timeout must be more than 0s',
    cel: "duration(self.interval) > duration('0s') && duration(self.timeout) > duration('0s')",
  },
)

export const http2 = z.object({
  maxConcurrentStreams: z.int32().min(1).max(2_147_483_647).optional().describe('Requests at once on one connection.'),
  initialStreamWindowSize: z
    .int32()
    .min(65_535)
    .max(2_147_483_647)
    .optional()
    .describe('Bytes in flight of one request.'),
  initialConnectionWindowSize: z
    .int32()
    .min(65_535)
    .max(2_147_483_647)
    .optional()
    .describe('Bytes in flight of one connection.'),
  keepalive: keepalive.optional().describe('PING frames on idle connections.'),
})

export type TcpKeepalive = z.infer<typeof tcpKeepalive>
export type Http2 = z.infer<typeof http2>
