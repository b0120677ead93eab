/** Heddle's own policies, on targets of every kind. */
import fc from 'fast-check'
import {
  aCidr,
  aHeaderName,
  aHeaderValue,
  anAccount,
  aNamespace,
  aPort,
  aReferred,
  aRegex,
  aRuleName,
  distinct,
  few,
  objectOf,
  type Raw,
  some,
} from './names.ts'
import { stanzas } from './stanzas.ts'

const HEDDLE = 'heddle.dev/v1alpha1'

const portSection = fc.constantFrom('http', 'grpc', '80', '8080', 'nothing')
const sectioned = (section: fc.Arbitrary<string>): fc.Arbitrary<object> => some({ sectionName: section })
const routeKind = fc.constantFrom('HTTPRoute', 'GRPCRoute')
const aRoute = fc.constantFrom('r1', 'r2', 'r3')

const destination = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(aReferred, sectioned(portSection)).map(([name, rest]) => ({ kind: 'Service', name, ...rest })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(routeKind, aRoute, sectioned(aRuleName)).map(([kind, name, rest]) => ({ kind, name, ...rest })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('payments', 'mail'), sectioned(portSection))
      .map(([name, rest]) => ({ kind: 'ExternalService', name, ...rest })),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'Namespace' }, { kind: 'Mesh', name: 'default' }) },
)

export const trafficPolicy: fc.Arbitrary<Raw> = objectOf(
  HEDDLE,
  'TrafficPolicy',
  fc.constantFrom('p1', 'p2', 'p3', 'p4'),
  fc
    .record({
      targetRefs: distinct(destination, (target) => target, 3, 1),
      stanzas,
    })
    .map(({ targetRefs, stanzas: own }) => ({ spec: { targetRefs, ...own } })),
)

const selector = fc.oneof<fc.Arbitrary<object>[]>(
  fc.constantFrom('web', 'cart', 'db').map((app) => ({ matchLabels: { app } })),
  fc.constant({}),
  fc.constant({
    matchExpressions: [
      { key: 'app', operator: 'In', values: ['web', 'cart'] },
      { key: 'version', operator: 'Exists' },
    ],
  }),
  fc.constant({
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'version', operator: 'NotIn', values: ['v1'] },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  }),
)

const instances = few(
  fc.oneof<fc.Arbitrary<object>[]>(
    selector.map((own) => ({ kind: 'Pod', selector: own })),
    selector.map((own) => ({ kind: 'Workload', selector: own })),
    fc.constantFrom('w1', 'w2', 'anchor').map((name) => ({ kind: 'Workload', name })),
    fc.constantFrom({ kind: 'Namespace' }, { kind: 'Mesh' }),
  ),
  3,
  1,
)

const source = fc.oneof<fc.Arbitrary<object>[]>(
  fc.tuple(fc.oneof(anAccount, fc.constant('*')), some({ namespace: aNamespace })).map(([name, rest]) => ({
    type: 'ServiceAccount',
    serviceAccount: { name, ...rest },
  })),
  fc
    .constantFrom(
      'spiffe://cluster.local/ns/shop/*',
      'spiffe://other.example/*',
      'spiffe://x/a.b+c(d',
      'spiffe://cluster.local/',
    )
    .map((spiffe) => ({ type: 'SPIFFE', spiffe })),
  aNamespace.map((namespace) => ({ type: 'Namespace', namespace })),
  fc.constantFrom('cluster.local', '.', '-_.').map((trustDomain) => ({ type: 'TrustDomain', trustDomain })),
  aCidr.map((cidr) => ({ type: 'CIDR', cidr })),
  fc.constant({ type: 'Authenticated' }),
)

const pathMatch = fc.oneof<fc.Arbitrary<object>[]>(
  fc.constantFrom('/', '/a', '/a b', '/%2f', '/a?b').map((value) => ({ value })),
  fc.constantFrom('/', '/a', '/a/').map((value) => ({ type: 'PathPrefix', value })),
  aRegex.map((value) => ({ type: 'RegularExpression', value })),
)
const headerMatch = fc.oneof<fc.Arbitrary<object>[]>(
  fc.record({ name: aHeaderName, value: aHeaderValue }),
  fc.record({ name: aHeaderName, type: fc.constantFrom('Prefix', 'Exact'), value: aHeaderValue }),
  fc.record({ name: aHeaderName, type: fc.constant('RegularExpression'), value: aRegex }),
  fc.record({ name: aHeaderName, type: fc.constant('Present') }),
)
const aMethod = fc.constantFrom('GET', 'POST', 'M-SEARCH', 'X_Y')
const aHostPort = fc.constantFrom('shop', 'shop.example.com:8080', '*.example.com', '*.example.com:80')

const http = some({
  methods: few(aMethod, 2, 1),
  notMethods: few(aMethod, 2, 1),
  paths: few(pathMatch, 2, 1),
  notPaths: few(pathMatch, 2, 1),
  hosts: few(aHostPort, 2, 1),
  notHosts: few(aHostPort, 2, 1),
  headers: few(headerMatch, 2, 1),
  notHeaders: few(headerMatch, 2, 1),
}).map((own) => (Object.keys(own).length === 0 ? { methods: ['GET'] } : own))

const authorizationRule = (withHttp: boolean): fc.Arbitrary<object> =>
  some({
    sources: few(source),
    notSources: few(source, 2, 1),
    networkAttributes: some({ ports: few(aPort, 2, 1), notPorts: few(aPort, 2, 1) }),
    ...(withHttp && { http }),
  })

export const authorizationPolicy: fc.Arbitrary<Raw> = fc
  .constantFrom('Network', 'Application', undefined)
  .chain((level) =>
    objectOf(
      HEDDLE,
      'AuthorizationPolicy',
      fc.constantFrom('a1', 'a2', 'a3', 'a4'),
      fc
        .record({
          targetRefs: instances,
          action: fc.constantFrom('ALLOW', 'DENY'),
          rest: some({ dryRun: fc.boolean(), rules: few(authorizationRule(level !== 'Network')) }),
        })
        .map(({ rest, ...spec }) => ({
          spec: { ...spec, ...rest, ...(level !== undefined && { enforcementLevel: level }) },
        })),
    ),
  )

const mode = fc.constantFrom('Strict', 'Permissive')

export const meshTls: fc.Arbitrary<Raw> = objectOf(
  HEDDLE,
  'MeshTLS',
  fc.constantFrom('m1', 'm2'),
  fc
    .record({
      targetRefs: instances,
      mode,
      rest: some({
        ports: distinct(fc.record({ port: fc.constantFrom(80, 443, 8080, 9999), mode }), ({ port }) => port),
      }),
    })
    .map(({ rest, ...spec }) => ({ spec: { ...spec, ...rest } })),
)

const PREFIX = 'type.googleapis.com/envoy.config'
/** What Envoy takes wherever it can be applied; where it cannot, the resource is served without it. */
const patch = fc.constantFrom<object>(
  { type: `${PREFIX}.cluster.v3.Cluster`, operation: { op: 'add', path: '/connect_timeout', value: '3s' } },
  {
    type: `${PREFIX}.cluster.v3.Cluster`,
    name: '10.96.0.1:80',
    operation: { op: 'add', path: '/per_connection_buffer_limit_bytes', value: 32_768 },
  },
  { type: `${PREFIX}.cluster.v3.Cluster`, operation: { op: 'copy', from: '/name', path: '/alt_stat_name' } },
  { type: `${PREFIX}.cluster.v3.Cluster`, operation: { op: 'replace', path: '/no/such/path', value: null } },
  { type: `${PREFIX}.cluster.v3.Cluster`, operation: { op: 'add', path: '/no_such_field', value: 1 } },
  {
    type: `${PREFIX}.listener.v3.Listener`,
    operation: { op: 'add', path: '/per_connection_buffer_limit_bytes', value: 65_536 },
  },
  {
    type: `${PREFIX}.listener.v3.Listener`,
    name: 'inbound',
    operation: { op: 'test', path: '/name', value: 'outbound' },
  },
  {
    type: `${PREFIX}.route.v3.VirtualHost`,
    operation: { op: 'add', path: '/include_request_attempt_count', value: true },
  },
  {
    type: `${PREFIX}.route.v3.RouteConfiguration`,
    operation: { op: 'add', path: '/most_specific_header_mutations_wins', value: true },
  },
  {
    type: `${PREFIX}.endpoint.v3.ClusterLoadAssignment`,
    operation: { op: 'add', path: '/policy', value: { overprovisioning_factor: 150 } },
  },
  { type: `${PREFIX}.endpoint.v3.ClusterLoadAssignment`, operation: { op: 'remove', path: '/policy' } },
)

export const envoyPatch: fc.Arbitrary<Raw> = objectOf(
  HEDDLE,
  'EnvoyPatch',
  fc.constantFrom('e1', 'e2'),
  fc
    .record({
      targetRefs: instances,
      patches: few(patch, 3, 1),
      rest: some({ priority: fc.constantFrom(-1000, 0, 5) }),
    })
    .map(({ rest, ...spec }) => ({ spec: { ...spec, ...rest } })),
)
