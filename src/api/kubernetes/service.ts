/**
 * Service: the name and address that clients dial. Only what a mesh needs is typed; the API server's own checks
 * that matter to routing (unique ports, names where there are several) are repeated for folders without one.
 */
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { labels, typeFields } from '../object.ts'
import { uniqueBy, withRules } from '../rules.ts'
import { appProtocol, dnsLabel, dnsSubdomain, ipAddress, portNumber } from '../text.ts'

function isClusterIp(text: string): boolean {
  return text === '' || text === 'None' || ipAddress.safeParse(text).success
}

const servicePort = z.object({
  name: dnsLabel.optional().describe('Name; needed where there are several ports.'),
  port: portNumber.describe('The port that clients dial.'),
  targetPort: z
    .union([portNumber, z.string().min(1).max(63)], 'a port number, or the name of a port of the workloads')
    .optional()
    .describe('The port of the workload, by number or name; the same as `port` by default.'),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP').describe('Transport protocol.'),
  appProtocol: appProtocol.optional().describe('What is spoken on the port, e.g. `http`, `grpc`, `kubernetes.io/h2c`.'),
  nodePort: z.int32().min(0).max(65_535).optional(),
})

const spec = withRules(
  z.object({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']).default('ClusterIP'),
    clusterIP: z
      .string()
      .refine(isClusterIp, 'an IP address, "None" for a headless Service, or nothing')
      .optional()
      .describe('The address that clients dial; `None` for a headless Service.'),
    clusterIPs: z
      .array(z.union([ipAddress, z.literal('None')]))
      .max(2)
      .optional(),
    ipFamilies: z
      .array(z.enum(['IPv4', 'IPv6']))
      .max(2)
      .optional(),
    ipFamilyPolicy: z.enum(['SingleStack', 'PreferDualStack', 'RequireDualStack']).optional(),
    selector: labels.optional().describe('Labels of the workloads behind the Service.'),
    ports: uniqueBy(z.array(servicePort).max(500), 'port', 'protocol').default([]),
    externalName: dnsSubdomain.optional(),
    externalIPs: z.array(ipAddress).max(500).optional(),
    publishNotReadyAddresses: z.boolean().default(false),
    sessionAffinity: z.enum(['None', 'ClientIP']).default('None'),
    sessionAffinityConfig: z
      .object({ clientIP: z.object({ timeoutSeconds: z.int32().min(1).max(86_400).optional() }).optional() })
      .optional(),
    internalTrafficPolicy: z.enum(['Cluster', 'Local']).optional(),
    // a string, since later versions of Kubernetes have more choices
    trafficDistribution: z.string().optional(),
  }),
  {
    holds: ({ ports }) => ports.length < 2 || ports.every(({ name }) => name !== undefined),
    message: 'every port needs a name where there are two or more',
    path: ['ports'],
  },
  {
    holds: ({ ports }) =>
      new Set(ports.map(({ name, port }) => name ?? `${port}`)).size === ports.length || ports.length < 2,
    message: 'port names must differ from each other',
    path: ['ports'],
  },
  {
    holds: ({ type, externalName }) => type !== 'ExternalName' || externalName !== undefined,
    message: 'externalName is needed where type is ExternalName',
    path: ['externalName'],
  },
  {
    holds: ({ type, ports, clusterIP }) => type === 'ExternalName' || ports.length > 0 || clusterIP === 'None',
    message: 'at least one port, but for a headless Service or an ExternalName',
    path: ['ports'],
  },
)

const schema = z.object({ ...typeFields, spec })

export type Service = z.infer<typeof schema>
export type ServicePort = z.infer<typeof servicePort>

export const serviceKind = defineKind<Service>({
  group: '',
  kind: 'Service',
  plural: 'services',
  partial: true,
  schemas: { v1: schema },
  description: 'A name and address that clients dial, and the workloads behind it.',
})
