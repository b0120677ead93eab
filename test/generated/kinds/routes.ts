/** Routes with every match and filter, within the rules of Gateway API. */
import fc from 'fast-check'
import {
  aDuration,
  aHeaderName,
  aHeaderValue,
  aHost,
  aName,
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

const GATEWAY = 'gateway.networking.k8s.io'

const parent = fc
  .record({ name: aReferred, rest: some({ namespace: aNamespace, port: aPort }) })
  .map(({ name, rest }) => ({
    group: '',
    kind: 'Service',
    name,
    ...rest,
  }))

/** References to one parent: all with a port, or just one without. */
const parents = distinct(parent, (own) => own, 3, 1).map((all) => {
  const key = (own: { readonly name: string; readonly namespace?: string }): string =>
    `${own.namespace ?? ''}/${own.name}`
  const kept = all.filter((own, at) => {
    const [first] = all.filter((other) => key(other) === key(own))
    return first === own || (first?.port !== undefined && own.port !== undefined && at > all.indexOf(first))
  })
  return [...kept, { group: GATEWAY, kind: 'Gateway', name: 'entry' }].slice(0, kept.length + (kept.length % 2))
})

const backendObject = fc
  .record({ name: aReferred, port: aPort, rest: some({ namespace: aNamespace }) })
  .map(({ rest, ...own }) => ({
    ...own,
    ...rest,
  }))

const header = fc.record({ name: aHeaderName, value: aHeaderValue })
const byName = ({ name }: { readonly name: string }): string => name

const modifier = some({
  set: distinct(header, byName),
  add: distinct(header, byName),
  remove: distinct(aHeaderName, String),
})

const mirror = fc
  .record({
    backendRef: backendObject,
    share: fc.oneof<fc.Arbitrary<object>[]>(
      fc.constant({}),
      fc.integer({ min: 0, max: 100 }).map((percent) => ({ percent })),
      fc
        .constantFrom([0, 1], [1, 3], [3, 1000], [1, 2_147_483_647], [2_147_483_646, 2_147_483_647], [7, 7])
        .map(([numerator, denominator]) => ({
          fraction: { numerator, denominator },
        })),
    ),
  })
  .map(({ backendRef, share }) => ({ type: 'RequestMirror', requestMirror: { backendRef, ...share } }))

const replacement = fc.constantFrom('/new', '/', '', '/a b', '/100%', '/x?y=1', '/ä', String.raw`/\1`, '/new/')

const redirect = (path: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  some({
    scheme: fc.constantFrom('http', 'https'),
    hostname: aName,
    port: aPort,
    statusCode: fc.constantFrom(301, 302, 303, 307, 308),
    path,
  }).map((requestRedirect) => ({ type: 'RequestRedirect', requestRedirect }))

const rewrite = (path: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  some({ hostname: aName, path }).map((urlRewrite) => ({ type: 'URLRewrite', urlRewrite }))

const fullPath = replacement.map((replaceFullPath) => ({ type: 'ReplaceFullPath', replaceFullPath }))
const prefixPath = replacement.map((replacePrefixMatch) => ({ type: 'ReplacePrefixMatch', replacePrefixMatch }))

const cors = some({
  allowOrigins: fc.oneof(
    fc.constant(['*']),
    fc.subarray(['https://shop.example.com', 'http://*.example.com:8443', 'https://*', 'http://localhost:3000']),
  ),
  allowCredentials: fc.boolean(),
  allowMethods: fc.oneof(fc.constant(['*']), fc.subarray(['GET', 'POST', 'CONNECT'])),
  allowHeaders: fc.oneof(fc.constant(['*']), distinct(aHeaderName, String)),
  exposeHeaders: fc.oneof(fc.constant(['*']), distinct(aHeaderName, String)),
  maxAge: fc.constantFrom(1, 600, 2_147_483_647),
}).map((own) => ({ type: 'CORS', cors: own }))

const externalAuth = backendObject.map((backendRef) => ({
  type: 'ExternalAuth',
  externalAuth: { protocol: 'HTTP', backendRef, http: { path: '/check' } },
}))

const extensionRef = fc.constant({
  type: 'ExtensionRef',
  extensionRef: { group: 'example.com', kind: 'Filter', name: 'mine' },
})

const requestModifier = modifier.map((own) => ({ type: 'RequestHeaderModifier', requestHeaderModifier: own }))
const responseModifier = modifier.map((own) => ({ type: 'ResponseHeaderModifier', responseHeaderModifier: own }))

/** A filter of each type at most, mirrors excepted. */
const filtersOf = (
  singles: readonly fc.Arbitrary<object>[],
  rarities: readonly fc.Arbitrary<object>[],
): fc.Arbitrary<object[]> =>
  fc
    .record({
      singles: fc.tuple(...singles.map((single) => fc.option(single, { nil: undefined }))),
      mirrors: few(mirror, 2),
      rare: fc.oneof(
        { weight: 9, arbitrary: fc.constant(undefined) },
        ...rarities.map((arbitrary) => ({ weight: 1, arbitrary })),
      ),
    })
    .map((given) => [...given.singles, ...given.mirrors, given.rare].filter((filter) => filter !== undefined))

const grpcFilters = filtersOf([requestModifier, responseModifier], [extensionRef])

const httpFilters = (prefix: boolean): fc.Arbitrary<object[]> =>
  filtersOf(
    [requestModifier, responseModifier, cors, rewrite(prefix ? fc.oneof(fullPath, prefixPath) : fullPath)],
    [extensionRef, externalAuth],
  )

/** A redirection stands alone: such a rule has no backends. */
const redirecting = (prefix: boolean): fc.Arbitrary<object[]> =>
  fc
    .tuple(
      redirect(prefix ? fc.oneof(fullPath, prefixPath) : fullPath),
      filtersOf([requestModifier, responseModifier, cors], []),
    )
    .map(([own, others]) => [...others, own])

const literalPath = fc.constantFrom(
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/%20',
  '/a%2Bb',
  "/-._~!$&'()*+,;=:@",
  `/${'long/'.repeat(60)}x`,
)

const pathMatch = fc.oneof<fc.Arbitrary<object>[]>(
  fc.record({ type: fc.constantFrom('Exact', 'PathPrefix'), value: literalPath }),
  fc.record({ type: fc.constant('RegularExpression'), value: aRegex }),
  literalPath.map((value) => ({ value })),
)

const compared = (
  name: fc.Arbitrary<string>,
  value: fc.Arbitrary<string>,
): fc.Arbitrary<{ name: string; value: string }> =>
  fc.oneof(
    fc.record({ name, value }),
    fc.record({
      type: fc.constant('RegularExpression'),
      name,
      value: aRegex.filter((pattern) => /^[!-~]+$/.test(pattern)),
    }),
  )

const aParam = fc.constantFrom('q', 'Q', 'a.b', 'x~y')
const httpMatch = some({
  path: pathMatch,
  headers: distinct(compared(aHeaderName, aHeaderValue), byName),
  queryParams: distinct(compared(aParam, fc.constantFrom('1', 'é', 'a b', '%', '=&')), byName, 2),
  method: fc.constantFrom('GET', 'POST', 'CONNECT', 'OPTIONS', 'TRACE', 'HEAD'),
})

const persistence = fc.oneof<fc.Arbitrary<object>[]>(
  some({
    sessionName: fc.constantFrom('basket', 'a b', 'x;y', '', 'ä', 's'.repeat(128)),
    absoluteTimeout: aDuration,
  }).map((own) => ({ ...own, type: 'Cookie' })),
  fc.record({
    sessionName: fc.constantFrom('basket', 'b-2'),
    absoluteTimeout: aDuration,
    cookieConfig: fc.constantFrom({ lifetimeType: 'Permanent' }, { lifetimeType: 'Session' }, {}),
  }),
  some({ sessionName: fc.constantFrom('x-session', 'a b', ':path', ''), absoluteTimeout: aDuration }).map((own) => ({
    ...own,
    type: 'Header',
  })),
)

const timeouts = fc.constantFrom<object>(
  {},
  { request: '10s' },
  { request: '10s', backendRequest: '2s500ms' },
  { request: '0s', backendRequest: '1h' },
  { backendRequest: '0s' },
  { request: '99999h99999h', backendRequest: '99999h' },
  { request: '1ms' },
)

const httpRetry = some({
  codes: fc.uniqueArray(fc.integer({ min: 400, max: 599 }), { maxLength: 3 }),
  attempts: fc.constantFrom(1, 3, 4_294_967_295, 9_007_199_254_740_991),
  backoff: aDuration,
})

const weight = some({ weight: fc.constantFrom(0, 1, 2, 90, 1_000_000) })

const backends = (filters: fc.Arbitrary<object[]>): fc.Arbitrary<object[]> =>
  few(
    fc
      .record({
        ref: fc.oneof(
          { weight: 9, arbitrary: backendObject },
          { weight: 1, arbitrary: fc.constant({ group: 'example.com', kind: 'Bucket', name: 'b' }) },
        ),
        weight,
        rest: some({ filters }),
      })
      .map((given) => ({ ...given.ref, ...given.weight, ...given.rest })),
    3,
  )

const ruleExtras = some({ timeouts, retry: httpRetry, sessionPersistence: persistence })

const httpRule: fc.Arbitrary<object> = fc
  .record({
    prefix: fc.boolean(),
    redirects: fc.integer({ min: 0, max: 5 }),
  })
  .chain(({ prefix, redirects }) =>
    fc
      .record({
        matches: prefix
          ? literalPath.map((value) => [{ path: { type: 'PathPrefix', value } }])
          : fc.option(few(httpMatch, 3, 1), { nil: undefined }),
        filters: redirects === 0 ? redirecting(prefix) : httpFilters(prefix),
        backendRefs: redirects === 0 ? fc.constant([]) : backends(httpFilters(prefix)),
        extras: ruleExtras,
      })
      .map(({ matches, extras, ...own }) => ({ ...own, ...extras, ...(matches !== undefined && { matches }) })),
  )

/** Some rules have names, each its own. */
const named = (rules: fc.Arbitrary<object[]>): fc.Arbitrary<object[]> =>
  fc.record({ rules, names: distinct(fc.option(aRuleName), (name) => name ?? Math.random()) }).map((given) =>
    given.rules.map((rule, at) => {
      const name = given.names[at]
      return name === undefined || name === null ? rule : { name, ...rule }
    }),
  )

const routeName = fc.constantFrom('r1', 'r2', 'r3')

export const httpRoute: fc.Arbitrary<Raw> = objectOf(
  `${GATEWAY}/v1`,
  'HTTPRoute',
  routeName,
  fc
    .record({
      parentRefs: parents,
      rules: named(few(httpRule, 3, 1)),
      rest: some({ hostnames: distinct(aHost, String) }),
    })
    .map(({ rest, ...spec }) => ({ spec: { ...spec, ...rest } })),
)

const grpcMethod = fc.oneof<fc.Arbitrary<object>[]>(
  fc.constant({ service: 'shop.v1.Cart', method: 'Get' }),
  fc.constant({ type: 'Exact', service: 'shop.v1.Cart' }),
  fc.constant({ method: 'Get' }),
  aRegex.map((service) => ({ type: 'RegularExpression', service })),
  fc.tuple(aRegex, aRegex).map(([service, method]) => ({ type: 'RegularExpression', service, method })),
  aRegex.map((method) => ({ type: 'RegularExpression', method })),
)

export const grpcRoute: fc.Arbitrary<Raw> = objectOf(
  `${GATEWAY}/v1`,
  'GRPCRoute',
  routeName,
  fc
    .record({
      parentRefs: parents,
      rules: named(
        few(
          fc
            .record({
              filters: grpcFilters,
              backendRefs: backends(grpcFilters),
              rest: some({
                matches: few(
                  some({ method: grpcMethod, headers: distinct(compared(aHeaderName, aHeaderValue), byName) }),
                ),
                sessionPersistence: persistence,
              }),
            })
            .map(({ rest, ...rule }) => ({ ...rule, ...rest })),
          3,
          1,
        ),
      ),
    })
    .map((spec) => ({ spec })),
)

const l4Backends = few(
  fc.record({ ref: backendObject, weight }).map((given) => ({ ...given.ref, ...given.weight })),
  3,
  1,
)
const l4Rule = fc.record({ backendRefs: l4Backends })

export const tcpRoute: fc.Arbitrary<Raw> = fc.oneof(
  objectOf(
    `${GATEWAY}/v1`,
    'TCPRoute',
    routeName,
    fc.record({ parentRefs: parents, rules: few(l4Rule, 1, 1) }).map((spec) => ({ spec })),
  ),
  objectOf(
    `${GATEWAY}/v1alpha2`,
    'TCPRoute',
    routeName,
    fc.record({ parentRefs: parents, rules: named(few(l4Rule, 2, 1)) }).map((spec) => ({ spec })),
  ),
)

export const tlsRoute: fc.Arbitrary<Raw> = objectOf(
  `${GATEWAY}/v1`,
  'TLSRoute',
  routeName,
  fc
    .record({ parentRefs: parents, hostnames: distinct(aHost, String, 3, 1), rules: few(l4Rule, 1, 1) })
    .map((spec) => ({ spec })),
)
