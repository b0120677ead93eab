/** How broken instances are found: by asking them (active), and by what requests to them met (passive). */
import { z } from 'zod'
import { duration, durationMs } from '../../duration.ts'
import { uniqueItems, withRules } from '../../rules.ts'
import { wildcardHostname } from '../../text.ts'

const payload = withRules(
  z.object({
    type: z.enum(['Text', 'Binary']).default('Text').describe('How it is written.'),
    text: z.string().min(1).max(4096).optional().describe('As text.'),
    binary: z.base64('base64').min(1).max(8192).optional().describe('As base64.'),
  }),
  {
    holds: ({ type, text, binary }) =>
      (type === 'Text') === (text !== undefined) && (type === 'Binary') === (binary !== undefined),
    message: 'text goes with type Text, binary with type Binary; exactly one is given',
    cel: "(self.type == 'Text') == has(self.text) && (self.type == 'Binary') == has(self.binary)",
  },
)

const http = z.object({
  path: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^\/[!-~]*$/, 'a path beginning with "/", of visible ASCII characters; percent-encode others')
    .default('/')
    .describe('Path that is asked for.'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']).default('GET').describe('Method.'),
  hostname: wildcardHostname.optional().describe('Host that is asked for; the Service by default.'),
  expectedStatuses: uniqueItems(z.array(z.int32().min(100).max(599)).min(1).max(32))
    .default([200])
    .describe('Statuses of a healthy instance.'),
  expectedResponse: payload.optional().describe('What a healthy instance answers.'),
})

const positive = (field: 'timeout' | 'interval') => ({
  holds: (value: { timeout: string; interval: string }) => durationMs(value[field]) > 0,
  message: 'must be more than 0s',
  path: [field],
  cel: `duration(self.${field}) > duration('0s')`,
})

const active = withRules(
  z.object({
    type: z.enum(['HTTP', 'TCP', 'GRPC']).describe('What is asked.'),
    timeout: duration
      .default('1s')
      .describe('For one answer; 1s at most, since a new destination is used only after its first check.'),
    interval: duration.default('3s').describe('Between checks.'),
    initialJitter: duration.optional().describe('Spread of the first checks.'),
    unhealthyThreshold: z.int32().min(1).max(1000).default(3).describe('Failures in a row that take an instance out.'),
    healthyThreshold: z.int32().min(1).max(1000).default(1).describe('Successes in a row that bring it back.'),
    http: http.optional().describe('For HTTP.'),
    tcp: z
      .object({
        send: payload.optional().describe('What is sent.'),
        receive: payload.optional().describe('What must come back.'),
      })
      .optional()
      .describe('For TCP; without it, a connection suffices.'),
    grpc: z
      .object({ service: z.string().max(1024).default('').describe('Name that the health service is asked for.') })
      .optional()
      .describe('For GRPC (grpc.health.v1).'),
  }),
  positive('timeout'),
  positive('interval'),
  {
    holds: (value) => durationMs(value.timeout) <= 1000,
    message:
      'must be at most 1s: a destination is first used after its first check, and until then other discovery waits',
    path: ['timeout'],
    cel: "duration(self.timeout) <= duration('1s')",
  },
  ...(['http', 'tcp', 'grpc'] as const).map((field) => ({
    holds: (value: { type: string; http?: unknown; tcp?: unknown; grpc?: unknown }) =>
      value[field] === undefined || value.type === field.toUpperCase(),
    message: `${field} goes with type ${field.toUpperCase()} only`,
    path: [field],
    cel: `!has(self.${field}) || self.type == '${field.toUpperCase()}'`,
  })),
)

const consecutive = z.int32().min(0).max(1_000_000)

const passive = withRules(
  z.object({
    consecutive5XxErrors: consecutive
      .default(5)
      .describe('Server errors in a row that eject an instance; 0 for never.'),
    consecutiveGatewayErrors: consecutive
      .default(0)
      .describe('Statuses 502, 503, 504 in a row that eject it; 0 for never.'),
    splitExternalLocalOriginErrors: z
      .boolean()
      .default(false)
      .describe('Counts failures to connect apart from what the instance answers.'),
    consecutiveLocalOriginFailures: consecutive
      .default(5)
      .describe('Failures to connect in a row that eject it; only with splitExternalLocalOriginErrors.'),
    interval: duration.default('3s').describe('How often ejections are looked at.'),
    baseEjectionTime: duration
      .default('30s')
      .describe('How long an ejection lasts, times the number of ejections so far.'),
    maxEjectionTime: duration.optional().describe('How long at most; 300s by default.'),
    maxEjectionPercent: z
      .int32()
      .min(0)
      .max(100)
      .default(10)
      .describe('Share of instances that may be ejected; one always may.'),
  }),
  {
    holds: ({ interval, baseEjectionTime }) => durationMs(interval) > 0 && durationMs(baseEjectionTime) > 0,
    message: 'interval and baseEjectionTime must be more than 0s',
    cel: "duration(self.interval) > duration('0s') && duration(self.baseEjectionTime) > duration('0s')",
  },
  {
    holds: ({ baseEjectionTime, maxEjectionTime }) =>
      maxEjectionTime === undefined || durationMs(baseEjectionTime) <= durationMs(maxEjectionTime),
    message: 'maxEjectionTime must not be shorter than baseEjectionTime',
    path: ['maxEjectionTime'],
    cel: '!has(self.maxEjectionTime) || duration(self.baseEjectionTime) <= duration(self.maxEjectionTime)',
  },
)

export const healthCheck = z.object({
  active: active.optional().describe('Asks each instance at intervals.'),
  passive: passive.optional().describe('Ejects instances for a while whose requests fail (outlier detection).'),
  panicThreshold: z
    .int32()
    .min(0)
    .max(100)
    .optional()
    .describe('Below this share of healthy instances, all are used again; 0 for never, 50 by default.'),
})

export type HealthCheck = z.infer<typeof healthCheck>
export type ActiveHealthCheck = z.infer<typeof active>
export type PassiveHealthCheck = z.infer<typeof passive>
