/**
 * Workload: an instance outside Kubernetes. It stands where a Pod stands in a cluster, and says in addition how the
 * standalone runner starts it, and which local ports lead to which Services on hosts without interception.
 */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { uniqueBy, withRules } from '../rules.ts'
import { appProtocol, dnsLabel, dnsSubdomain, ipAddress, portNumber } from '../text.ts'

export const locality = z.object({
  region: z.string().max(63).default('').describe('Region.'),
  zone: z.string().max(63).default('').describe('Zone within the region.'),
  subZone: z.string().max(63).default('').describe('Part of the zone.'),
})

const port = z.object({
  name: dnsLabel.optional().describe('Name, to which a Service can refer as targetPort.'),
  port: portNumber.describe('The port that the application listens on.'),
  protocol: z.enum(['TCP', 'UDP']).default('TCP').describe('Transport protocol. UDP is not intercepted.'),
  appProtocol: appProtocol
    .optional()
    .describe(
      'What is spoken on the port, e.g. `http`, `grpc`, `tcp`, `tls`; by the prefix of the name otherwise, else detected.',
    ),
})

const variable = z.object({
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z][-._a-zA-Z0-9]*$/, 'the name of an environment variable')
    .describe('Name of the variable.'),
  value: z.string().max(4096).meta({ sensitive: true }).describe('Value.'),
})

const run = z.object({
  command: z.array(z.string().max(4096)).min(1).max(64).describe('Program and arguments; no shell in between.'),
  env: uniqueBy(z.array(variable).max(256), 'name').default([]).describe("Variables added to the runner's own."),
  workingDir: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('Folder it runs in, relative to the file that declares it.'),
})

const upstream = z.object({
  service: z
    .object({
      kind: z
        .enum(['Service', 'ExternalService'])
        .default('Service')
        .describe('Whether it is in the mesh, or a host outside.'),
      name: dnsSubdomain.describe('Name of the Service.'),
      namespace: dnsLabel.optional().describe("Its namespace; the Workload's own by default."),
      port: portNumber.describe('Port of the Service.'),
    })
    .describe('The Service, or ExternalService, that connections go to.'),
  port: portNumber.describe("The local port, on the Workload's loopback address."),
})

const spec = withRules(
  z.object({
    serviceAccount: dnsSubdomain.default('default').describe('The identity: it becomes the path of the SPIFFE ID.'),
    address: ipAddress
      .optional()
      .describe(
        "Where the instance is reached. Without one, the standalone runner gives it an address of the Mesh's workloadRange, or of 127.0.0.0/8.",
      ),
    locality: locality.optional().describe('Where the instance runs; for zone-aware routing and failover.'),
    ports: uniqueBy(z.array(port).max(100), 'port', 'protocol')
      .default([])
      .describe('Ports that the application listens on.'),
    weight: z
      .int32()
      .min(0)
      .max(1_000_000)
      .default(1)
      .describe('Share of a Service’s traffic, relative to its other instances.'),
    run: run.optional().describe('How `heddle up` starts the application; without it, it only starts the proxy.'),
    upstreams: uniqueBy(z.array(upstream).max(100), 'port')
      .default([])
      .describe('Local ports that lead to Services, for hosts without interception.'),
  }),
  {
    holds: ({ ports }) => {
      const names = ports.flatMap(({ name }) => (name === undefined ? [] : [name]))
      return new Set(names).size === names.length
    },
    message: 'port names must differ from each other',
    path: ['ports'],
    cel: '!has(self.ports) || self.ports.all(a, !has(a.name) || self.ports.exists_one(b, has(b.name) && a.name == b.name))',
  },
)

const schema = z.object({ ...typeFields, spec: spec.prefault({}) })

export type Workload = z.infer<typeof schema>
export type WorkloadPort = z.infer<typeof port>
export type WorkloadUpstream = z.infer<typeof upstream>
export type Locality = z.infer<typeof locality>

export const workloadKind = defineKind<Workload>({
  group: heddleGroup,
  kind: 'Workload',
  plural: 'workloads',
  ours: true,
  shortNames: ['wl'],
  statusShape: 'Object',
  statusConditions: ['Accepted', 'Programmed'],
  printerColumns: [
    { name: 'Service account', type: 'string', jsonPath: '.spec.serviceAccount' },
    { name: 'Address', type: 'string', jsonPath: '.spec.address' },
  ],
  schemas: { [heddleVersion]: schema },
  description: 'An instance of an application outside Kubernetes: what a Pod is inside.',
})
