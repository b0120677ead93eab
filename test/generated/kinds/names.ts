/** The small pools that generated objects take their names and values from, so that things really attach, conflict and dangle. */
import fc from 'fast-check'

export const NAMESPACES = ['shop', 'pay', 'heddle-system'] as const
export const SERVICES = ['web', 'cart', 'db'] as const
export const PORTS = [80, 443, 8080, 9000] as const
export const ACCOUNTS = ['default', 'web', 'cart'] as const

export const aNamespace = fc.constantFrom<string>('shop', 'shop', 'shop', 'pay', 'heddle-system')
export const aService = fc.constantFrom<string>(...SERVICES)
/** A Service that is there most of the time. */
export const aReferred = fc.constantFrom<string>('web', 'web', 'cart', 'cart', 'db', 'db', 'nobody')
export const aPort = fc.constantFrom<number>(...PORTS)
export const anAccount = fc.constantFrom<string>(...ACCOUNTS)
export const aRuleName = fc.constantFrom<string>('first', 'second', 'third')

/** Service addresses; two Services may claim the same. */
export const anIPv4 = fc.constantFrom('10.96.0.1', '10.96.0.2', '10.96.0.3', '10.96.0.4', '10.96.0.5', '10.96.0.6')
export const anIPv6 = fc.constantFrom('fd00::1', 'fd00::2', 'fd00:0:0::3', 'FD00::A')
export const anInstance = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('10.244.0.1', '10.244.0.2', '10.244.0.3', '10.244.0.4', '127.0.0.9') },
  { weight: 1, arbitrary: fc.constantFrom('fd01::1', 'fd01::2', 'FD01::0:3') },
)
export const aCidr = fc.constantFrom('10.0.0.0/8', '10.244.0.1/32', '0.0.0.0/0', 'fd00::/8', '::/0', '192.168.1.77/24')

export const aLocality = fc.constantFrom<{
  readonly region?: string
  readonly zone?: string
  readonly subZone?: string
}>(
  {},
  { region: 'eu' },
  { region: 'eu', zone: 'a' },
  { region: 'eu', zone: 'b', subZone: 'rack-1' },
  { region: 'us', zone: 'a' },
  { zone: 'a' },
)

export const labelsOf = fc.record({ app: aService, version: fc.constantFrom('v1', 'v2') }, { requiredKeys: ['app'] })

export const anAppProtocol = fc.constantFrom(
  'http',
  'http2',
  'grpc',
  'kubernetes.io/h2c',
  'tcp',
  'tls',
  'https',
  'mongo',
  'kubernetes.io/ws',
)

/** From nothing to more than anyone waits, units mixed. */
export const aDuration = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('1ms', '250ms', '1s', '2s500ms', '5s', '1m', '1h30m') },
  { weight: 1, arbitrary: fc.constantFrom('0s', '0ms', '24h', '999ms', '99999h', '99999h99999h99999h99999h') },
)
export const aPositiveDuration = aDuration.filter((text) => !/^0m?s$/.test(text))
export const aPercentage = fc.constantFrom(0, 0.0001, 0.5, 1, 12.5, 33.333_333, 50, 99.999, 100)

/** Names of header fields as people write them, also those of which a proxy is particular. */
export const aHeaderName = fc.constantFrom(
  'x-user',
  'X-Mixed-Case',
  'x-trace',
  'cookie',
  'content-length',
  'Host',
  'host',
  'authorization',
  'te',
  'connection',
  'x-heddle-dst',
  'x-envoy-max-retries',
  "!#$%&'*+-.^_`|~",
)
/** Values of header fields; several look like a command operator of Envoy's and are none. */
export const aHeaderValue = fc.constantFrom(
  'a',
  'a b',
  '100%',
  '%',
  '%%',
  '%REQ(x-user)%',
  '%NO_SUCH_OPERATOR%',
  'q="1", *;p=\\',
  'v'.repeat(300),
)
export const aRegex = fc
  .constantFrom(
    'a.*',
    '(a|b)+',
    '^/v[0-9]+/.*$',
    '(?i)abc',
    String.raw`\d{1,3}\.\pL+`,
    '.{0,1000}',
    '(?P<name>x)?',
    '[^/]*',
    '',
  )
  .filter((pattern) => pattern !== '')

export const aHost = fc.constantFrom(
  'api.example.com',
  'www.example.com',
  '*.example.com',
  '*.b.example.com',
  'localhost',
  'xn--bcher-kva.example',
)
export const aName = aHost.filter((host) => !host.startsWith('*'))

const aTime = fc.constantFrom('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z')

/** An object as it is written; what is beside these fields is the kind's own. */
export interface Raw extends Readonly<Record<string, unknown>> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string } & Readonly<Record<string, unknown>>
}

/** An object of a kind, in some namespace. */
export function objectOf(
  apiVersion: string,
  kind: string,
  name: fc.Arbitrary<string>,
  rest: fc.Arbitrary<object>,
  metadata: fc.Arbitrary<object> = fc.constant({}),
): fc.Arbitrary<Raw> {
  return fc
    .record({ name, namespace: aNamespace, time: fc.option(aTime, { nil: undefined }), rest, metadata })
    .map((given) => ({
      apiVersion,
      kind,
      metadata: {
        name: given.name,
        namespace: given.namespace,
        ...(given.time !== undefined && { creationTimestamp: given.time }),
        ...given.metadata,
      },
      ...given.rest,
    }))
}

/** Each key there or not. */
export function some<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
}

/** A short list; never empty with `least`. */
export function few<T>(item: fc.Arbitrary<T>, most = 3, least = 0): fc.Arbitrary<T[]> {
  return fc.array(item, { minLength: least, maxLength: most, size: 'max' })
}

/** A short list of which no two agree in what `by` says. */
export function distinct<T>(item: fc.Arbitrary<T>, by: (value: T) => unknown, most = 3, least = 0): fc.Arbitrary<T[]> {
  return fc.uniqueArray(item, {
    minLength: least,
    maxLength: most,
    size: 'max',
    selector: (value) => JSON.stringify(by(value)),
  })
}
