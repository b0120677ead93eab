/** ExternalService: hosts outside the mesh that its workloads may use, and TLS towards them. */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { uniqueBy, uniqueItems, withRules } from '../rules.ts'
import { appProtocol, dnsLabel, dnsSubdomain, ipAddress, objectName, portNumber, wildcardHostname } from '../text.ts'
import { locality } from './workload.ts'

const port = z.object({
  port: portNumber.describe('The port that clients dial.'),
  name: dnsLabel.optional().describe('Name, to which policies refer as sectionName.'),
  protocol: z.enum(['TCP']).default('TCP').describe('Transport protocol.'),
  appProtocol: appProtocol.optional().describe('What clients speak on the port, e.g. `http`, `grpc`, `tls`, `tcp`.'),
  targetPort: portNumber.optional().describe('The port of the host; the same as `port` by default.'),
})

const endpoint = z.object({
  address: z
    .string()
    .min(1)
    .max(253)
    .regex(
      /^([0-9a-fA-F:.]+|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$/,
      'an IP address or a DNS name',
    )
    .describe('IP address (Static) or name (DNS).'),
  port: portNumber.optional().describe('Its port; the targetPort by default.'),
  weight: z.int32().min(0).max(1_000_000).default(1).describe('Share of the traffic.'),
  locality: locality.optional().describe('Where it is.'),
})

const subjectAltName = withRules(
  z.object({
    type: z.enum(['Hostname', 'URI']).describe('What is compared.'),
    hostname: wildcardHostname.optional().describe('A DNS name.'),
    uri: z.string().min(1).max(2048).optional().describe('A URI, e.g. a SPIFFE ID.'),
  }),
  ...(['Hostname', 'URI'] as const).map((type) => {
    const field = type === 'URI' ? 'uri' : 'hostname'
    return {
      holds: (value: { type: string; hostname?: unknown; uri?: unknown }) =>
        (value.type === type) === (value[field] !== undefined),
      message: `${field} goes with type ${type}, and only with it`,
      path: [field],
      cel: `(self.type == '${type}') == has(self.${field})`,
    }
  }),
)

const localReference = (kinds: readonly [string, ...string[]]) =>
  z.object({
    group: z.literal('').default('').describe('The core group.'),
    kind: z.enum(kinds).default(kinds[0]).describe('Kind of the object.'),
    name: objectName.describe('Name of the object, in the same namespace.'),
  })

const tls = withRules(
  z.object({
    mode: z
      .enum(['Originate'])
      .default('Originate')
      .describe('The proxy speaks TLS to the host; clients speak plaintext to the proxy.'),
    sni: dnsSubdomain.optional().describe('Name asked for; the first host by default.'),
    wellKnownCACertificates: z.enum(['System']).optional().describe("Trusts the proxy's own system certificates."),
    caCertificateRefs: z
      .array(localReference(['ConfigMap', 'Secret']))
      .min(1)
      .max(8)
      .optional()
      .describe('Trusts the certificates in the key `ca.crt` of these.'),
    caCertificates: z
      .string()
      .min(1)
      .max(65_536)
      .regex(/-----BEGIN CERTIFICATE-----/, 'certificates in PEM')
      // someone's slip could put a private key here
      .meta({ sensitive: true })
      .optional()
      .describe('Trusts these certificates (PEM).'),
    subjectAltNames: z
      .array(subjectAltName)
      .min(1)
      .max(5)
      .optional()
      .describe("Names of which the host's certificate must have one; the SNI by default."),
    clientCertificateRef: localReference(['Secret'])
      .optional()
      .describe('A Secret of type kubernetes.io/tls with which the proxy presents itself.'),
    minVersion: z.enum(['1.2', '1.3']).default('1.2').describe('Least TLS version.'),
    alpnProtocols: uniqueItems(z.array(z.string().min(1).max(255)).max(8))
      .optional()
      .describe('ALPN; follows from the appProtocol by default.'),
  }),
  {
    holds: ({ wellKnownCACertificates, caCertificateRefs, caCertificates }) =>
      [wellKnownCACertificates, caCertificateRefs, caCertificates].filter((value) => value !== undefined).length === 1,
    message: 'give exactly one of wellKnownCACertificates, caCertificateRefs and caCertificates',
    cel: '(has(self.wellKnownCACertificates) ? 1 : 0) + (has(self.caCertificateRefs) ? 1 : 0) + (has(self.caCertificates) ? 1 : 0) == 1',
  },
)

const isAddress = (text: string): boolean => ipAddress.safeParse(text).success

const spec = withRules(
  z.object({
    hosts: uniqueItems(z.array(wildcardHostname).min(1).max(64)).describe(
      'Names that clients use, the first label possibly `*`.',
    ),
    addresses: uniqueItems(z.array(ipAddress).max(64))
      .default([])
      .describe(
        "Addresses that clients dial for it. Without any, it has a stable address of the Mesh's serviceRange where names are resolved by Heddle, and is recognised by SNI or Host.",
      ),
    ports: uniqueBy(z.array(port).min(1).max(32), 'port').describe('Ports that clients use.'),
    resolution: z
      .enum(['Static', 'DNS', 'Passthrough'])
      .default('DNS')
      .describe(
        '`Static` uses the endpoints (or addresses), `DNS` resolves the names in the proxy, `Passthrough` resolves the name that a request carries, for wildcards.',
      ),
    endpoints: z.array(endpoint).max(256).default([]).describe('Where traffic really goes, instead of the hosts.'),
    tls: tls.optional().describe('TLS from the proxy to the host.'),
  }),
  {
    holds: ({ resolution, endpoints, addresses }) =>
      resolution !== 'Static' ||
      (endpoints.length > 0 ? endpoints.every(({ address }) => isAddress(address)) : addresses.length > 0),
    message: 'Static needs endpoints that are IP addresses, or addresses',
    path: ['endpoints'],
    cel: "self.resolution != 'Static' || (size(self.endpoints) > 0 ? self.endpoints.all(e, isIP(e.address)) : size(self.addresses) > 0)",
  },
  {
    holds: ({ resolution, hosts, endpoints }) =>
      resolution !== 'DNS' || endpoints.length > 0 || hosts.every((name) => !name.startsWith('*')),
    message: 'a name with "*" cannot be resolved: use resolution Passthrough, or give endpoints',
    path: ['resolution'],
    cel: "self.resolution != 'DNS' || size(self.endpoints) > 0 || self.hosts.all(h, !h.startsWith('*'))",
  },
  {
    holds: ({ resolution, endpoints }) => resolution !== 'Passthrough' || endpoints.length === 0,
    message: 'Passthrough has no endpoints: each request names its own',
    path: ['endpoints'],
    cel: "self.resolution != 'Passthrough' || size(self.endpoints) == 0",
  },
)

const schema = z.object({ ...typeFields, spec })

export type ExternalService = z.infer<typeof schema>
export type ExternalServicePort = z.infer<typeof port>
export type ExternalServiceEndpoint = z.infer<typeof endpoint>
export type ExternalServiceTls = z.infer<typeof tls>

export const externalServiceKind = defineKind<ExternalService>({
  group: heddleGroup,
  kind: 'ExternalService',
  plural: 'externalservices',
  ours: true,
  statusShape: 'Object',
  statusConditions: ['Accepted', 'ResolvedRefs', 'Programmed'],
  printerColumns: [
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts' },
    { name: 'Resolution', type: 'string', jsonPath: '.spec.resolution' },
  ],
  schemas: { [heddleVersion]: schema },
  description: 'Hosts outside the mesh that its workloads may use, and TLS towards them.',
})
