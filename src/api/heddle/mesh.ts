/** Mesh: the one object of settings, named `default`. Without it, all defaults below apply. */
import { z } from 'zod'
import { heddleGroup, heddleVersion, meshName } from '../constants.ts'
import { duration, durationMs } from '../duration.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { boundedMap, uniqueItems, withRules } from '../rules.ts'
import { cidr, headerName, percentage, portNumber } from '../text.ts'
import { celFault } from './access-log/cel-filter.ts'
import { formatFault } from './access-log/command-operators.ts'
import { tlsMode } from './mesh-tls.ts'
import { trafficStanzas } from './traffic/stanzas.ts'

export const discoveryMode = z.enum(['OnDemand', 'Eager'])

const namespaceOrAll = z
  .string()
  .min(1)
  .max(63)
  .regex(/^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/, 'the name of a namespace, or "*" for all')

const collector = z.object({
  host: z.string().min(1).max(253).describe('Name or address of the collector.'),
  port: portNumber.default(4317).describe('Its port (OTLP over gRPC).'),
})

/** A string that Envoy would refuse every listener for, where there is a fault. */
const checked = (schema: z.ZodString, fault: (text: string) => string | undefined): z.ZodString =>
  schema.superRefine((text, context) => {
    const message = fault(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

const celExpression = (text: string): string | undefined => {
  const fault = celFault(text)
  return fault === undefined ? undefined : `an expression of CEL as Envoy takes it, ${fault}`
}

const format = withRules(
  z.object({
    type: z.enum(['Text', 'JSON']).default('Text').describe('How an entry is written.'),
    text: checked(z.string().min(1).max(4096), formatFault)
      .optional()
      .describe("Entry as text with Envoy's command operators; a common format by default."),
    json: boundedMap(
      z.record(z.string(), checked(z.string().max(1024), formatFault)),
      64,
      /^[^{}]{1,256}$/,
      'at most 256 characters, without braces',
    )
      .optional()
      .describe("Fields of an entry, values with Envoy's command operators."),
  }),
  {
    holds: ({ type, text, json }) => (text === undefined || type === 'Text') && (json === undefined || type === 'JSON'),
    message: 'text goes with type Text, json with type JSON',
    cel: "(!has(self.text) || self.type == 'Text') && (!has(self.json) || self.type == 'JSON')",
  },
)

const accessLog = withRules(
  z.object({
    type: z.enum(['File', 'OpenTelemetry']).describe('Where entries go.'),
    file: z
      .object({
        path: z
          .string()
          .min(1)
          .max(1024)
          .regex(/^\//, 'an absolute path such as /var/log/envoy.log')
          .default('/dev/stdout')
          .describe('Absolute path of the file, in a folder that is there wherever a proxy runs.'),
      })
      .optional()
      .describe('For File.'),
    openTelemetry: collector.optional().describe('For OpenTelemetry.'),
    format: format.prefault({}).describe('How an entry is written.'),
    filter: checked(z.string().min(1).max(1024), celExpression)
      .optional()
      .describe('CEL expression over request and response; only matching requests are logged.'),
    side: z.enum(['Inbound', 'Outbound', 'Both']).default('Both').describe('On which side of the proxy.'),
  }),
  {
    holds: ({ type, openTelemetry }) => (type === 'OpenTelemetry') === (openTelemetry !== undefined),
    message: 'openTelemetry goes with type OpenTelemetry, and only with it',
    path: ['openTelemetry'],
    cel: "(self.type == 'OpenTelemetry') == has(self.openTelemetry)",
  },
  {
    holds: ({ type, file }) => file === undefined || type === 'File',
    message: 'file goes with type File only',
    path: ['file'],
    cel: "!has(self.file) || self.type == 'File'",
  },
)

const customTag = withRules(
  z.object({
    name: z.string().min(1).max(256).describe('Name of the attribute.'),
    type: z.enum(['Literal', 'RequestHeader', 'Environment']).describe('Where its value comes from.'),
    literal: z
      .object({ value: z.string().min(1).max(1024).describe('Value.') })
      .optional()
      .describe('For Literal.'),
    requestHeader: z
      .object({
        name: headerName.describe('Name of the header.'),
        defaultValue: z.string().max(1024).optional().describe('Where the header is missing.'),
      })
      .optional()
      .describe('For RequestHeader.'),
    environment: z
      .object({
        name: z.string().min(1).max(256).describe("Name of the variable of the proxy's environment."),
        defaultValue: z.string().max(1024).optional().describe('Where it is missing.'),
      })
      .optional()
      .describe('For Environment.'),
  }),
  ...(['Literal', 'RequestHeader', 'Environment'] as const).map((type) => {
    const field = ({ Literal: 'literal', RequestHeader: 'requestHeader', Environment: 'environment' } as const)[type]
    return {
      holds: (value: { type: string; literal?: unknown; requestHeader?: unknown; environment?: unknown }) =>
        (value.type === type) === (value[field] !== undefined),
      message: `${field} goes with type ${type}, and only with it`,
      path: [field],
      cel: `(self.type == '${type}') == has(self.${field})`,
    }
  }),
)

const tracing = z.object({
  provider: z
    .object({
      type: z.enum(['OpenTelemetry']).default('OpenTelemetry').describe('What the collector understands.'),
      openTelemetry: collector.describe('The collector.'),
    })
    .describe('Where spans go.'),
  samplingPercent: percentage.default(1).describe('Share of requests traced, where the client has not decided.'),
  customTags: z.array(customTag).max(32).default([]).describe('Attributes added to each span.'),
})

const certificate = withRules(
  z.object({
    lifetime: duration.default('24h').describe('Of a certificate of a workload; it is renewed at half of it.'),
  }),
  {
    holds: ({ lifetime }) => durationMs(lifetime) >= 10_000,
    message: 'must be at least 10s',
    path: ['lifetime'],
    cel: "duration(self.lifetime) >= duration('10s')",
  },
)

const ca = withRules(
  z.object({
    rootLifetime: duration.default('87600h').describe('Of the root certificate.'),
    issuerLifetime: duration.default('8760h').describe('Of the issuing certificate.'),
  }),
  {
    holds: ({ rootLifetime, issuerLifetime }) => durationMs(issuerLifetime) <= durationMs(rootLifetime),
    message: 'issuerLifetime must not be longer than rootLifetime',
    path: ['issuerLifetime'],
    cel: 'duration(self.issuerLifetime) <= duration(self.rootLifetime)',
  },
)

const mtls = withRules(
  z.object({
    mode: tlsMode.default('Permissive').describe('Where no MeshTLS says otherwise.'),
    certificate: certificate.prefault({}).describe('Certificates of workloads.'),
    ca: ca.prefault({}).describe('Certificates of the authority.'),
  }),
  {
    holds: (value) => durationMs(value.certificate.lifetime) <= durationMs(value.ca.issuerLifetime),
    message: 'certificate.lifetime must not be longer than ca.issuerLifetime: no certificate outlives its issuer',
    path: ['certificate', 'lifetime'],
    cel: 'duration(self.certificate.lifetime) <= duration(self.ca.issuerLifetime)',
  },
)

const spec = z.object({
  trustDomain: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[a-z0-9._-]+$/, 'a trust domain: lower case letters, digits, ".", "-" and "_"')
    .default('cluster.local')
    .describe('Trust domain of all SPIFFE IDs.'),
  addressRanges: uniqueItems(z.array(cidr).max(64))
    .default([])
    .describe(
      'Addresses that belong to the mesh besides those it knows (Services, Workloads, and in a cluster its own ranges).',
    ),
  serviceRange: cidr
    .default('10.96.0.0/16')
    .describe('Where a Service without clusterIP gets a stable address from, outside Kubernetes.'),
  workloadRange: cidr
    .default('10.244.0.0/16')
    .describe('Where the standalone runner gives a Workload without address one from.'),
  outbound: z
    .object({
      discovery: discoveryMode
        .default('OnDemand')
        .describe(
          'Whether proxies ask for what they use, or are sent everything visible. A Namespace chooses by the annotation `heddle.dev/discovery`.',
        ),
      unknownDestinations: z
        .enum(['Passthrough', 'Refuse'])
        .default('Passthrough')
        .describe(
          'What happens to TCP connections that lead neither into the mesh nor to an ExternalService. UDP is not intercepted.',
        ),
    })
    .prefault({})
    .describe('The outbound side of proxies.'),
  mtls: mtls.prefault({}).describe('Mutual TLS.'),
  authorization: z
    .object({ default: z.enum(['Allow', 'Deny']).default('Allow').describe('For instances without an ALLOW policy.') })
    .prefault({})
    .describe('Authorization.'),
  defaults: z.object(trafficStanzas).prefault({}).describe('Stanzas of a TrafficPolicy, where no policy sets them.'),
  accessLogs: z.array(accessLog).max(8).default([]).describe('Access logs; none by default.'),
  tracing: tracing.optional().describe('Tracing; none by default.'),
  envoyPatch: z
    .object({
      allowedNamespaces: uniqueItems(z.array(namespaceOrAll).max(256))
        .default([])
        .describe('Namespaces whose EnvoyPatch objects count; `*` for all.'),
    })
    .prefault({})
    .describe('The escape hatch.'),
  warmSet: z
    .object({
      maxEntries: z
        .int32()
        .min(0)
        .max(10_000)
        .default(200)
        .describe('Destinations remembered for each workload; 0 for none.'),
      maxAge: duration.default('168h').describe('A destination that was not used for this long is forgotten.'),
    })
    .prefault({})
    .describe('What a workload used before is sent ahead to its new proxies.'),
})

const schema = withRules(z.object({ ...typeFields, spec: spec.prefault({}) }), {
  holds: ({ metadata }) => metadata.name === meshName,
  message: `there is one Mesh, and its name is "${meshName}"`,
  path: ['metadata', 'name'],
  cel: `self.metadata.name == '${meshName}'`,
})

export type Mesh = z.infer<typeof schema>
export type AccessLog = z.infer<typeof accessLog>
export type Tracing = z.infer<typeof tracing>
export type DiscoveryMode = z.infer<typeof discoveryMode>

export const meshKind = defineKind<Mesh>({
  group: heddleGroup,
  kind: 'Mesh',
  plural: 'meshes',
  scope: 'Cluster',
  ours: true,
  statusShape: 'Object',
  statusConditions: ['Accepted', 'Programmed'],
  printerColumns: [
    { name: 'Trust domain', type: 'string', jsonPath: '.spec.trustDomain' },
    { name: 'mTLS', type: 'string', jsonPath: '.spec.mtls.mode' },
    { name: 'Discovery', type: 'string', jsonPath: '.spec.outbound.discovery' },
  ],
  schemas: { [heddleVersion]: schema },
  description: 'Settings of the mesh: one object, named `default`. Without it, all defaults apply.',
})
