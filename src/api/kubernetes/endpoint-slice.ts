/** EndpointSlice: the addresses behind a Service, written by Kubernetes or by hand for a Service without selector. */
import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { withRules } from '../rules.ts'
import { appProtocol, portNumber } from '../text.ts'

const objectReference = z.object({
  kind: z.string().optional(),
  name: z.string().optional(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
})

const endpoint = z.object({
  addresses: z
    .array(z.string().min(1).max(253))
    .min(1)
    .max(100)
    .describe('Addresses of one endpoint; the first is used.'),
  conditions: z
    .object({ ready: z.boolean().optional(), serving: z.boolean().optional(), terminating: z.boolean().optional() })
    .default({}),
  hostname: z.string().optional(),
  nodeName: z.string().optional(),
  zone: z.string().optional(),
  targetRef: objectReference.optional(),
  hints: z.object({ forZones: z.array(z.object({ name: z.string() })).optional() }).optional(),
})

const endpointPort = z.object({
  name: z.string().default(''),
  port: portNumber.optional(),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
  appProtocol: appProtocol.optional(),
})

const schema = withRules(
  z.object({
    ...typeFields,
    addressType: z.enum(['IPv4', 'IPv6', 'FQDN']).describe('What the addresses are.'),
    endpoints: z.array(endpoint).max(1000).default([]),
    ports: z.array(endpointPort).max(20_000).default([]),
  }),
  {
    holds: ({ ports }) => new Set(ports.map(({ name }) => name)).size === ports.length,
    message: 'port names must differ from each other',
    path: ['ports'],
  },
).superRefine(({ addressType, endpoints }, context) => {
  const isRight = { IPv4: isIPv4, IPv6: isIPv6, FQDN: () => true }[addressType]
  for (const [index, { addresses }] of endpoints.entries()) {
    for (const [at, address] of addresses.entries()) {
      if (isRight(address) && !address.includes('%')) continue
      const message = `an ${addressType} address, which is what addressType promises`
      context.addIssue({ code: 'custom', message, path: ['endpoints', index, 'addresses', at] })
    }
  }
})

export type EndpointSlice = z.infer<typeof schema>
export type Endpoint = z.infer<typeof endpoint>
export type EndpointPort = z.infer<typeof endpointPort>

export const endpointSliceKind = defineKind<EndpointSlice>({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  partial: true,
  schemas: { v1: schema },
  description: 'Addresses behind a Service.',
})
