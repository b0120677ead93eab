/** Rules and policies that look for trouble: odd characters wherever the schemas let them pass, bounds, odd combinations. */
import fc from 'fast-check'

const from = (characters: string, minLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters.split('')), minLength, maxLength: 12 })

const odd = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom(
    '',
    ' ',
    '\n',
    'a\r\nb',
    '%',
    '%REQ(x)%',
    '\\1',
    '$1',
    '"',
    ';',
    'ü',
    '\u0000',
    '/',
    '//',
    '/a/',
    'a?b#c',
  ),
)
const token = from("abcXYZ019!#$%&'*+-.^_`|~", 1)
const value = from('abc%"\\;,:{}()[]', 1)
const path = from("abc/-._~!$&'()*+,;=:@", 0).map((text) => `/${text}`)
const regex = fc.constantFrom('/a', '/[a-z]+/.*', '(/a|/b;c)/d', '(?i)/x', '/a{50}', '^/(?P<name>b)$', '.*', ';')
const duration = fc.constantFrom('0s', '1ms', '15s', '1h30m', '99999h99999h99999h99999h')
const percentage = fc.oneof(fc.constantFrom(0, 100, 0.00001), fc.double({ min: 0, max: 100, noNaN: true }))
const some = <T extends object>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] })
const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 2 })

const header = fc.record({ name: fc.oneof(token, fc.constantFrom('Host', 'x-heddle-dst', 'Cookie')), value })
const modifier = some({ set: few(header), add: few(header), remove: few(odd) })
const pathModifier = fc.oneof(
  fc.record({ type: fc.constant('ReplaceFullPath'), replaceFullPath: odd }),
  fc.record({ type: fc.constant('ReplacePrefixMatch'), replacePrefixMatch: odd }),
)
const origin = fc.constantFrom(
  'http://*',
  'https://a.*.b',
  'http://*.x:99999',
  'https://-',
  'http://*.A.b:80',
  'https://a:443',
)

const modifiers = fc.oneof(
  fc.record({ type: fc.constant('RequestHeaderModifier'), requestHeaderModifier: modifier }),
  fc.record({ type: fc.constant('ResponseHeaderModifier'), responseHeaderModifier: modifier }),
)
const filter = fc.oneof(
  modifiers,
  fc.record({
    type: fc.constant('URLRewrite'),
    urlRewrite: some({ path: pathModifier, hostname: fc.constantFrom('a.b', 'x') }),
  }),
  fc.record({
    type: fc.constant('RequestMirror'),
    requestMirror: fc.record({
      backendRef: fc.record({ name: fc.constantFrom('a', 'missing'), port: fc.constant(80) }),
      fraction: fc.record({ numerator: fc.nat(1000), denominator: fc.integer({ min: 1000, max: 2_147_483_647 }) }),
    }),
  }),
  fc.record({
    type: fc.constant('CORS'),
    cors: some({
      allowOrigins: few(origin),
      allowCredentials: fc.boolean(),
      allowMethods: fc.constantFrom(['*'], ['GET', 'PUT']),
      allowHeaders: few(token),
      exposeHeaders: few(token),
      maxAge: fc.integer({ min: 1, max: 2_147_483_647 }),
    }),
  }),
)
const redirect = fc.record({
  type: fc.constant('RequestRedirect'),
  requestRedirect: some({
    path: pathModifier,
    port: fc.integer({ min: 1, max: 65_535 }),
    scheme: fc.constantFrom('http', 'https'),
    statusCode: fc.constantFrom(301, 302, 303, 307, 308),
  }),
})

const match = some({
  path: fc.oneof(
    fc.record({ value: path }),
    fc.record({ type: fc.constant('Exact'), value: path }),
    fc.record({ type: fc.constant('RegularExpression'), value: regex }),
  ),
  method: fc.constantFrom('GET', 'OPTIONS', 'CONNECT'),
  headers: few(fc.oneof(header, fc.record({ type: fc.constant('RegularExpression'), name: token, value: regex }))),
  queryParams: few(fc.record({ name: token, value: fc.oneof(value, odd) })),
})
const backend = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'missing'),
    port: fc.constant(80),
    weight: fc.constantFrom(0, 1, 1_000_000),
    filters: fc.array(fc.oneof(modifiers, filter), { maxLength: 1 }),
  },
  { requiredKeys: ['name', 'port'] },
)
const common = {
  matches: fc.array(match, { minLength: 1, maxLength: 2 }),
  timeouts: some({ request: duration, backendRequest: duration }),
  retry: some({
    codes: few(fc.integer({ min: 400, max: 599 })),
    attempts: fc.constantFrom(1, 5, 9_007_199_254_740_991),
    backoff: duration,
  }),
  sessionPersistence: some({
    sessionName: odd,
    absoluteTimeout: duration,
    type: fc.constantFrom('Cookie', 'Header'),
  }),
}

/** Rules of an HTTPRoute; some the schema refuses. */
export const httpRule = fc.oneof(
  some({ ...common, filters: few(filter), backendRefs: fc.array(backend, { maxLength: 3 }) }),
  some({ ...common, filters: fc.tuple(redirect) }),
)

const consistentHash = fc.oneof(
  fc.record({
    type: fc.constant('Cookie'),
    cookie: fc.record(
      { name: token, ttl: duration, path, attributes: few(fc.record({ name: token, value })) },
      { requiredKeys: ['name'] },
    ),
  }),
  fc.record({ type: fc.constant('Header'), header: fc.record({ name: token }) }),
  fc.record({ type: fc.constant('QueryParam'), queryParam: fc.record({ name: odd }) }),
)

/** Stanzas of a TrafficPolicy that speak of requests; some the schema refuses. */
export const requestPolicy = some({
  loadBalancer: fc.record({ type: fc.constantFrom('RingHash', 'Maglev'), consistentHash }),
  timeout: fc.record({
    http: some({ requestTimeout: duration, streamIdleTimeout: duration, maxStreamDuration: duration }),
  }),
  retry: some({
    numRetries: fc.nat(100),
    retryOn: some({ triggers: fc.subarray(['5xx', 'reset', 'retriable-status-codes', 'cancelled', 'unavailable']) }),
    perRetry: some({ timeout: duration, backOff: some({ baseInterval: duration, maxInterval: duration }) }),
    hostSelection: some({ avoidPrevious: fc.boolean(), maxAttempts: fc.integer({ min: 1, max: 100 }) }),
  }),
  faultInjection: some({
    delay: fc.record({ fixedDelay: duration, percentage }),
    abort: fc.record({ httpStatus: fc.integer({ min: 200, max: 599 }), percentage }),
  }),
})
