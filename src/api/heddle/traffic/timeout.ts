/** How long connections and requests may take. */
import { z } from 'zod'
import { duration, durationMs } from '../../duration.ts'
import { withRules } from '../../rules.ts'

const tcp = withRules(
  z.object({ connectTimeout: duration.optional().describe('To establish a connection; 2s by default.') }),
  {
    holds: ({ connectTimeout }) => connectTimeout === undefined || durationMs(connectTimeout) > 0,
    message: 'must be more than 0s',
    path: ['connectTimeout'],
    cel: "!has(self.connectTimeout) || duration(self.connectTimeout) > duration('0s')",
  },
)

export const timeout = z.object({
  tcp: tcp.optional().describe('Of connections.'),
  http: z
    .object({
      requestTimeout: duration.optional().describe('For the whole exchange, retries included; `0s` for none.'),
      streamIdleTimeout: duration
        .optional()
        .describe('A request in which nothing moves ends after this; `0s` for never.'),
      maxStreamDuration: duration.optional().describe('A request or stream ends after this, whatever moves in it.'),
      connectionIdleTimeout: duration.optional().describe('A connection without requests is closed after this.'),
      maxConnectionDuration: duration.optional().describe('A connection takes no new requests after this.'),
    })
    .optional()
    .describe('Of HTTP requests and their connections.'),
})

export type Timeout = z.infer<typeof timeout>
