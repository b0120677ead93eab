/** Valid objects that between them have every field of the Gateway API routes; mutations start from these. */

const parentRefs = [
  { group: '', kind: 'Service', name: 'reviews', namespace: 'shop', port: 80 },
  { group: '', kind: 'Service', name: 'reviews', namespace: 'shop', port: 81 },
  { kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'entry', sectionName: 'https' },
]

const common = { hostnames: ['shop.example.com', '*.example.com'], useDefaultGateways: 'None' }
const backendRef = { group: '', kind: 'Service', name: 'ratings', namespace: 'shop', port: 8080, weight: 3 }
const header = { name: 'x-user', value: 'a b' }

const headerModifiers = [
  {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: { set: [header], add: [header, { name: 'x-more', value: 'c' }], remove: ['x-old'] },
  },
  { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [header], add: [header], remove: ['server'] } },
]
const mirrors = [
  { type: 'RequestMirror', requestMirror: { backendRef: { name: 'shadow', port: 80 }, percent: 42 } },
  {
    type: 'RequestMirror',
    requestMirror: { backendRef: { name: 'shadow', port: 80 }, fraction: { numerator: 3, denominator: 1000 } },
  },
]
const extension = { type: 'ExtensionRef', extensionRef: { group: 'example.com', kind: 'Filter', name: 'mine' } }
const cors = {
  type: 'CORS',
  cors: {
    allowOrigins: ['https://shop.example.com', 'https://*.example.com:8443'],
    allowCredentials: true,
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['x-user', 'x-trace'],
    exposeHeaders: ['x-user'],
    maxAge: 600,
  },
}
const rewriteFull = {
  type: 'URLRewrite',
  urlRewrite: { hostname: 'new.example.com', path: { type: 'ReplaceFullPath', replaceFullPath: '/new' } },
}
const rewritePrefix = {
  type: 'URLRewrite',
  urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' } },
}
const redirectFull = {
  type: 'RequestRedirect',
  requestRedirect: {
    scheme: 'https',
    hostname: 'new.example.com',
    port: 443,
    statusCode: 301,
    path: { type: 'ReplaceFullPath', replaceFullPath: '/new' },
  },
}
const redirectPrefix = {
  type: 'RequestRedirect',
  requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/n' } },
}
const askHttp = {
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'HTTP',
    backendRef: { name: 'auth', port: 80 },
    http: { path: '/check', allowedHeaders: ['x-user'], allowedResponseHeaders: ['x-id'] },
    forwardBody: { maxSize: 1024 },
  },
}
const askGrpc = {
  type: 'ExternalAuth',
  externalAuth: { protocol: 'GRPC', backendRef: { name: 'auth', port: 80 }, grpc: { allowedHeaders: ['x-user'] } },
}
const httpFilters: readonly object[] = [
  ...headerModifiers,
  ...mirrors,
  extension,
  cors,
  askHttp,
  askGrpc,
  rewriteFull,
  rewritePrefix,
  redirectFull,
  redirectPrefix,
]
const prefixMatch = { path: { type: 'PathPrefix', value: '/old' } }
const sessions = {
  sessionName: 'basket',
  type: 'Cookie',
  absoluteTimeout: '1h',
  cookieConfig: { lifetimeType: 'Permanent' },
}

/** Small ones: each verdict looks at the whole object. */
const httpRoutes: readonly object[] = [
  {},
  { ...common, parentRefs, rules: [{ name: 'one' }, { name: 'two' }, {}] },
  ...[
    {
      matches: [
        {
          path: { type: 'Exact', value: '/old/a' },
          headers: [
            { type: 'Exact', ...header },
            { type: 'RegularExpression', name: 'x-other', value: 'a.*' },
          ],
          queryParams: [
            { type: 'RegularExpression', name: 'q', value: 'a+' },
            { name: 'r', value: 'é' },
          ],
          method: 'GET',
        },
        { path: { type: 'RegularExpression', value: '/(a|b)/.*' } },
      ],
    },
    {
      backendRefs: [backendRef, { name: 'other', port: 80 }],
      timeouts: { request: '10s', backendRequest: '2s500ms' },
      retry: { codes: [500, 503], attempts: 3, backoff: '100ms' },
      sessionPersistence: sessions,
    },
    { sessionPersistence: { type: 'Header', sessionName: 'x-session' } },
    { filters: [...headerModifiers, extension, rewriteFull] },
    { backendRefs: [{ ...backendRef, filters: [...headerModifiers, extension, rewriteFull] }] },
    {
      backendRefs: [
        { ...backendRef, filters: [...headerModifiers, ...mirrors, extension, cors, askHttp, rewriteFull] },
      ],
    },
    ...httpFilters.flatMap((filter) => [
      { matches: [prefixMatch], filters: [filter] },
      { matches: [prefixMatch], backendRefs: [{ ...backendRef, filters: [filter] }] },
    ]),
  ].map((rule) => ({ rules: [rule] })),
]

const grpcFilters = [...headerModifiers, ...mirrors, extension]

const grpcRoutes: readonly object[] = [
  {},
  { ...common, parentRefs, rules: [{ name: 'one' }, { name: 'two' }, {}] },
  ...[
    {
      matches: [
        {
          method: { type: 'Exact', service: 'shop.v1.Cart', method: 'GetItems' },
          headers: [
            { type: 'Exact', ...header },
            { type: 'RegularExpression', name: 'x-other', value: 'a.*' },
          ],
        },
        { method: { type: 'RegularExpression', service: 'shop\\..*' } },
        { method: { method: 'GetItems' } },
      ],
    },
    { backendRefs: [backendRef, { name: 'other', port: 80 }], sessionPersistence: sessions },
    { filters: grpcFilters },
    { backendRefs: [{ ...backendRef, filters: headerModifiers }] },
    ...grpcFilters.map((filter) => ({ backendRefs: [{ ...backendRef, filters: [filter] }] })),
  ].map((rule) => ({ rules: [rule] })),
]

const l4Rule = { name: 'all', backendRefs: [backendRef, { name: 'other', port: 80 }] }

const referenceGrant = {
  from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }],
  to: [
    { group: '', kind: 'Service', name: 'ratings' },
    { group: '', kind: 'Service' },
  ],
}

const object = (kind: string, spec: object, version: string): object => ({
  apiVersion: `gateway.networking.k8s.io/${version}`,
  kind,
  metadata: { name: 'one', namespace: 'shop' },
  spec,
})

/** Valid objects of a kind, in a version. */
export function validObjects(kind: string, version: string): readonly object[] {
  const { useDefaultGateways } = common
  switch (kind) {
    case 'HTTPRoute':
      return httpRoutes.map((spec) => object(kind, spec, version))
    case 'GRPCRoute':
      return grpcRoutes.map((spec) => object(kind, spec, version))
    case 'TCPRoute':
      return [object(kind, { parentRefs, useDefaultGateways, rules: [l4Rule] }, version)]
    case 'TLSRoute':
      return [object(kind, { ...common, parentRefs, rules: [l4Rule] }, version)]
    case 'ReferenceGrant':
      return [object(kind, referenceGrant, version)]
    default:
      return []
  }
}

/** Objects for rules that no single mutation breaks. */
export function specialObjects(kind: string, version: string): readonly object[] {
  const many = (count: number, match: object): object[] => Array.from({ length: count }, () => match)
  switch (kind) {
    case 'HTTPRoute':
    case 'GRPCRoute': {
      const match = { headers: [header] }
      const rules = (...sizes: readonly number[]): object => ({
        rules: sizes.map((size) => ({ matches: many(size, match) })),
      })
      return [
        rules(64, 64),
        rules(64, 64, 1),
        rules(64, 63, 1),
        rules(...many(16, {}).map(() => 8)),
        rules(...many(16, {}).map(() => 9)),
      ].map((spec) => object(kind, spec, version))
    }
    case 'TCPRoute':
    case 'TLSRoute': {
      const { hostnames } = common
      const named = (...names: readonly string[]): object => ({
        hostnames,
        rules: names.map((name) => ({ ...l4Rule, name })),
      })
      return [named('a', 'b'), named('a', 'a')].map((spec) => object(kind, spec, version))
    }
    default:
      return []
  }
}
