/** How requests are spread over the instances of a destination. */
import { z } from 'zod'
import { duration } from '../../duration.ts'
import { withRules } from '../../rules.ts'
import { headerName, percentage } from '../../text.ts'

const hashSources = ['SourceIP', 'Header', 'Cookie', 'QueryParam', 'Hostname'] as const
const fieldOfSource = { Header: 'header', Cookie: 'cookie', QueryParam: 'queryParam' } as const

const cookie = z.object({
  name: headerName.describe('Name of the cookie.'),
  ttl: duration
    .optional()
    .describe('How long a cookie that the proxy sets lasts; without it, none is set. `0s` makes a session cookie.'),
  path: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^\/[ -:<-~]*$/, 'a path such as /shop, without ";"')
    .optional()
    .describe('Path of a cookie that the proxy sets.'),
  attributes: z
    .array(
      z.object({
        name: headerName.describe('Name.'),
        value: z
          .string()
          .max(4096)
          .regex(/^[ -:<-~]*$/, 'visible ASCII characters and spaces, without ";"')
          .default('')
          .describe('Value.'),
      }),
    )
    .max(10)
    .optional()
    .describe('Further attributes, e.g. SameSite.'),
})

const isPrime = (value: number): boolean => {
  for (let factor = 2; factor * factor <= value; factor += 1) if (value % factor === 0) return false
  return value >= 2
}

const consistentHash = withRules(
  z.object({
    type: z.enum(hashSources).describe('What requests of one client have in common.'),
    header: z
      .object({ name: headerName.describe('Name of the header.') })
      .optional()
      .describe('For Header.'),
    cookie: cookie.optional().describe('For Cookie.'),
    queryParam: z
      .object({ name: z.string().min(1).max(256).describe('Name of the parameter.') })
      .optional()
      .describe('For QueryParam.'),
    tableSize: z
      .int32()
      .min(2)
      .max(5_000_011)
      .optional()
      .refine((size) => size === undefined || isPrime(size), 'a prime number, such as 65537')
      .describe('Maglev only: size of the table, a prime; 65537 by default.'),
    minimumRingSize: z
      .int32()
      .min(1)
      .max(8_388_608)
      .optional()
      .describe('RingHash only: entries of the ring at least; 1024 by default.'),
    maximumRingSize: z
      .int32()
      .min(1)
      .max(8_388_608)
      .optional()
      .describe('RingHash only: entries of the ring at most; 8388608 by default.'),
  }),
  ...Object.entries(fieldOfSource).map(([type, field]) => ({
    holds: (value: { type: string; header?: unknown; cookie?: unknown; queryParam?: unknown }) =>
      (value.type === type) === (value[field] !== undefined),
    message: `${field} goes with type ${type}, and only with it`,
    path: [field],
    cel: `(self.type == '${type}') == has(self.${field})`,
  })),
  {
    holds: ({ minimumRingSize = 1, maximumRingSize = 8_388_608 }) => minimumRingSize <= maximumRingSize,
    message: 'minimumRingSize must not exceed maximumRingSize',
    path: ['minimumRingSize'],
    cel: '!has(self.minimumRingSize) || !has(self.maximumRingSize) || self.minimumRingSize <= self.maximumRingSize',
  },
)

const place = z
  .string()
  .min(1)
  .max(191)
  .regex(/^[^/]+(\/[^/]+){0,2}$/, 'a place as region, region/zone or region/zone/subZone')

const zoneAware = z.object({
  preferLocal: z
    .object({
      minEndpointsThreshold: z
        .int32()
        .min(1)
        .max(1_000_000)
        .default(6)
        .describe('Below this many instances in all, zones are not looked at.'),
      percentageEnabled: percentage.default(100).describe('Share of requests that look at zones.'),
      force: z
        .object({
          minEndpointsInZoneThreshold: z
            .int32()
            .min(1)
            .max(1_000_000)
            .default(1)
            .describe('With fewer instances in the zone, it takes only what it bears.'),
        })
        .optional()
        .describe('Stays in the zone even where that loads its instances more than others.'),
    })
    .optional()
    .describe(
      "Prefers instances in the client's own zone, as far as its share of the instances bears it where clients are spread evenly over the zones; what is beyond goes to zones with instances to spare.",
    ),
  failover: z
    .array(
      z.object({
        from: place.describe('Where the client is.'),
        to: place.describe('Where it goes when nothing healthy is left there.'),
      }),
    )
    .max(32)
    .optional()
    .describe('Where clients of a place turn; several entries for one place are tried in their order.'),
})

export const loadBalancer = withRules(
  z.object({
    type: z
      .enum(['RoundRobin', 'LeastRequest', 'Random', 'RingHash', 'Maglev'])
      .default('LeastRequest')
      .describe('How an instance is chosen.'),
    consistentHash: consistentHash.optional().describe('What is hashed, for RingHash and Maglev.'),
    leastRequest: z
      .object({ choiceCount: z.int32().min(2).max(100).default(2).describe('How many instances are compared.') })
      .optional()
      .describe('For LeastRequest.'),
    slowStart: z
      .object({
        window: duration.describe('How long a new instance takes to its full share.'),
        aggression: z.number().min(1).max(100).default(1).describe('Above 1, the share grows faster at first.'),
        minWeightPercent: percentage.default(10).describe('Share that it begins with.'),
      })
      .optional()
      .describe('Lets new instances warm up; for RoundRobin and LeastRequest.'),
    zoneAware: zoneAware
      .optional()
      .describe(
        'Zones and failover, as an order of places: one is used as long as 72 % of its instances are healthy, and below that passes on what is beyond 1.4 times its healthy share.',
      ),
  }),
  {
    holds: ({ type, consistentHash: hash }) => (type === 'RingHash' || type === 'Maglev') === (hash !== undefined),
    message: 'consistentHash goes with type RingHash or Maglev, and only with these',
    path: ['consistentHash'],
    cel: "(self.type in ['RingHash', 'Maglev']) == has(self.consistentHash)",
  },
  {
    holds: ({ type, leastRequest }) => leastRequest === undefined || type === 'LeastRequest',
    message: 'leastRequest goes with type LeastRequest only',
    path: ['leastRequest'],
    cel: "!has(self.leastRequest) || self.type == 'LeastRequest'",
  },
  {
    holds: ({ type, slowStart }) => slowStart === undefined || type === 'RoundRobin' || type === 'LeastRequest',
    message: 'slowStart goes with type RoundRobin or LeastRequest only',
    path: ['slowStart'],
    cel: "!has(self.slowStart) || self.type in ['RoundRobin', 'LeastRequest']",
  },
  {
    holds: ({ type, zoneAware: zones }) =>
      zones?.preferLocal === undefined || (type !== 'RingHash' && type !== 'Maglev'),
    message: 'preferLocal does not go with RingHash and Maglev: the hash alone chooses the instance',
    path: ['zoneAware', 'preferLocal'],
    cel: "!has(self.zoneAware) || !has(self.zoneAware.preferLocal) || !(self.type in ['RingHash', 'Maglev'])",
  },
  {
    holds: ({ type, consistentHash: hash }) => hash?.tableSize === undefined || type === 'Maglev',
    message: 'tableSize goes with type Maglev only',
    path: ['consistentHash', 'tableSize'],
    cel: "!has(self.consistentHash) || !has(self.consistentHash.tableSize) || self.type == 'Maglev'",
  },
  {
    holds: ({ type, consistentHash: hash }) =>
      (hash?.minimumRingSize === undefined && hash?.maximumRingSize === undefined) || type === 'RingHash',
    message: 'ring sizes go with type RingHash only',
    path: ['consistentHash'],
    cel: "!has(self.consistentHash) || !has(self.consistentHash.minimumRingSize) && !has(self.consistentHash.maximumRingSize) || self.type == 'RingHash'",
  },
)

export type LoadBalancer = z.infer<typeof loadBalancer>
export type ConsistentHash = z.infer<typeof consistentHash>
