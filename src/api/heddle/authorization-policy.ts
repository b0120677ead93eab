/**
 * AuthorizationPolicy: who may talk to which instances, in the shape of GEP-3779, with DENY, a dry run, further kinds
 * of source, and HTTP attributes. DENY comes first; an instance with an ALLOW policy refuses what none allows.
 */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { regexRule } from '../re2.ts'
import { withRules } from '../rules.ts'
import { cidr, dnsLabel, headerName, portNumber } from '../text.ts'
import { instanceTargets } from './selector.ts'

const trustDomain = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[a-z0-9._-]+$/, 'a trust domain such as cluster.local')

const sourceFields = {
  ServiceAccount: 'serviceAccount',
  SPIFFE: 'spiffe',
  Namespace: 'namespace',
  TrustDomain: 'trustDomain',
  CIDR: 'cidr',
} as const

type SourceField = (typeof sourceFields)[keyof typeof sourceFields]

const source = withRules(
  z.object({
    type: z
      .enum(['ServiceAccount', 'SPIFFE', 'Namespace', 'TrustDomain', 'CIDR', 'Authenticated'])
      .describe('What is compared. `Authenticated` is anyone with a verified identity; all but CIDR need mesh TLS.'),
    serviceAccount: z
      .object({
        namespace: dnsLabel.optional().describe("Its namespace; the policy's own by default."),
        name: z
          .string()
          .min(1)
          .max(253)
          .regex(
            /^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$/,
            'the name of a ServiceAccount, or "*" for all of the namespace',
          )
          .describe('Its name, or `*` for all of the namespace.'),
      })
      .optional()
      .describe("A ServiceAccount of the mesh's own trust domain."),
    spiffe: z
      .string()
      .min(11)
      .max(2048)
      .regex(
        /^spiffe:\/\/[a-z0-9._-]+\/([^*]*\*?)$/,
        'a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/web, possibly ending in "*"',
      )
      .optional()
      .describe('A SPIFFE ID; one that ends in `*` is a prefix.'),
    namespace: dnsLabel.optional().describe("All identities of a namespace of the mesh's own trust domain."),
    trustDomain: trustDomain.optional().describe('All identities of a trust domain.'),
    cidr: cidr.optional().describe('Range in which the address of the peer must be.'),
  }),
  ...Object.entries(sourceFields).map(([type, field]) => ({
    holds: (value: { type: string } & { readonly [name in SourceField]?: unknown }) =>
      (value.type === type) === (value[field] !== undefined),
    message: `${field} goes with type ${type}, and only with it`,
    path: [field],
    cel: `(self.type == '${type}') == has(self.${field === 'namespace' ? '__namespace__' : field})`,
  })),
)

const ports = z.array(portNumber).min(1).max(64).optional()

const networkAttributes = z.object({
  ports: ports.describe('Ports of the instance; any of these. All by default.'),
  notPorts: ports.describe('None of these.'),
})

const pathMatch = withRules(
  z.object({
    type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('Exact').describe('How the path is compared.'),
    value: z
      .string()
      .min(1)
      .max(1024)
      .describe(
        'The path without query, a prefix of it by whole segments, or a regular expression (RE2) for all of it.',
      ),
  }),
  regexRule('value'),
  {
    holds: ({ type, value }) => type === 'RegularExpression' || value.startsWith('/'),
    message: 'value must be an absolute path: begin it with "/"',
    path: ['value'],
    cel: "self.type == 'RegularExpression' || self.value.startsWith('/')",
  },
)

const headerMatch = withRules(
  z.object({
    name: headerName.describe('Name of the header.'),
    type: z
      .enum(['Exact', 'Prefix', 'RegularExpression', 'Present'])
      .default('Exact')
      .describe('How the value is compared.'),
    value: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('The value, its prefix, or a regular expression (RE2) for all of it.'),
  }),
  regexRule('value'),
  {
    holds: ({ type, value }) => (type === 'Present') === (value === undefined),
    message: 'value is needed, but for type Present, which takes none',
    path: ['value'],
    cel: "(self.type == 'Present') != has(self.value)",
  },
)

const method = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Z][A-Z0-9_-]*$/, 'an HTTP method in upper case, such as GET')

const host = z
  .string()
  .min(1)
  .max(260)
  .regex(
    /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[0-9]{1,5})?$/,
    'a host name in lower case, the first label possibly "*", possibly with a port',
  )

const methods = z.array(method).min(1).max(32).optional()
const paths = z.array(pathMatch).min(1).max(64).optional()
const hosts = z.array(host).min(1).max(64).optional()
const headers = z.array(headerMatch).min(1).max(32).optional()

const http = withRules(
  z.object({
    methods: methods.describe('Any of these methods.'),
    notMethods: methods.describe('None of these methods.'),
    paths: paths.describe('Any of these paths.'),
    notPaths: paths.describe('None of these paths.'),
    hosts: hosts.describe('Any of these hosts. A client chooses it freely: no protection by itself.'),
    notHosts: hosts.describe('None of these hosts.'),
    headers: headers.describe('All of these headers.'),
    notHeaders: headers.describe('None of these headers.'),
  }),
  {
    holds: (value) => Object.values(value).some((list) => list !== undefined),
    message: 'at least one of methods, paths, hosts, headers or their not… forms',
    cel: ['methods', 'paths', 'hosts', 'headers']
      .flatMap((name) => [`has(self.${name})`, `has(self.not${name[0]?.toUpperCase()}${name.slice(1)})`])
      .join(' || '),
  },
)

const rule = z.object({
  sources: z
    .array(source)
    .max(64)
    .optional()
    .describe('Any of these sources. Left out, every source; an empty list, none (GEP-3779).'),
  notSources: z.array(source).min(1).max(64).optional().describe('None of these sources.'),
  networkAttributes: networkAttributes.optional().describe('What the connection is like.'),
  http: http
    .optional()
    .describe('What the request is like. On a connection that is not HTTP, ALLOW does not match and DENY does.'),
})

const spec = withRules(
  z.object({
    targetRefs: instanceTargets,
    action: z
      .enum(['ALLOW', 'DENY'])
      .describe(
        'What happens to what a rule matches. DENY comes first; an instance with an ALLOW policy refuses what none allows.',
      ),
    enforcementLevel: z
      .enum(['Network', 'Application'])
      .optional()
      .describe(
        '`Network` promises that only identities, addresses and ports are compared; follows from the rules by default.',
      ),
    dryRun: z.boolean().default(false).describe('Only counts and logs what would have been refused.'),
    rules: z
      .array(rule)
      .max(64)
      .default([])
      .describe('Any of these rules. An ALLOW policy without rules allows nothing.'),
  }),
  {
    holds: ({ enforcementLevel, rules }) =>
      enforcementLevel !== 'Network' || rules.every(({ http: attributes }) => attributes === undefined),
    message: 'enforcementLevel Network excludes rules with http; use Application',
    path: ['enforcementLevel'],
    cel: "!has(self.enforcementLevel) || self.enforcementLevel != 'Network' || !has(self.rules) || self.rules.all(r, !has(r.http))",
  },
)

const schema = z.object({ ...typeFields, spec })

export type AuthorizationPolicy = z.infer<typeof schema>
export type AuthorizationRule = z.infer<typeof rule>
export type AuthorizationSource = z.infer<typeof source>
export type AuthorizationHttp = z.infer<typeof http>

export const authorizationPolicyKind = defineKind<AuthorizationPolicy>({
  group: heddleGroup,
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  ours: true,
  statusShape: 'Ancestors',
  statusConditions: ['Accepted', 'Programmed'],
  printerColumns: [
    { name: 'Action', type: 'string', jsonPath: '.spec.action' },
    { name: 'Dry run', type: 'boolean', jsonPath: '.spec.dryRun' },
  ],
  schemas: { [heddleVersion]: schema },
  description:
    'Who may talk to which instances, by identity, address, port and HTTP request, in the shape of GEP-3779. DENY comes first; an instance with an ALLOW policy refuses what none allows.',
})
