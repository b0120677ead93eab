/** Every stanza of a TrafficPolicy, with its least and largest values. */
import fc from 'fast-check'
import {
  aCidr,
  aDuration,
  aHeaderName,
  aHeaderValue,
  aHost,
  aPercentage,
  aPositiveDuration,
  aRegex,
  few,
  some,
} from './names.ts'

const MOST = 2_147_483_647

const cookie = fc
  .record({
    name: fc.constantFrom('user', 'a.b', "!#$%&'*+-.^_`|~"),
    rest: some({
      ttl: aDuration,
      path: fc.constantFrom('/', '/a%20b', '/=,"'),
      attributes: few(
        fc.record({ name: fc.constantFrom('SameSite', 'Secure'), value: fc.constantFrom('Strict', '', '100%') }),
        2,
      ),
    }),
  })
  .map(({ name, rest }) => ({ name, ...rest }))

const hashSource = fc.oneof<fc.Arbitrary<object>[]>(
  fc.constant({ type: 'SourceIP' }),
  fc.constant({ type: 'Hostname' }),
  aHeaderName.map((name) => ({ type: 'Header', header: { name } })),
  cookie.map((own) => ({ type: 'Cookie', cookie: own })),
  fc.constantFrom('user', 'a b').map((name) => ({ type: 'QueryParam', queryParam: { name } })),
)

const slowStart = fc
  .record({
    window: aDuration,
    rest: some({ aggression: fc.constantFrom(1, 1.5, 100), minWeightPercent: aPercentage }),
  })
  .map(({ window, rest }) => ({ window, ...rest }))

const place = fc.constantFrom('eu', 'eu/a', 'eu/b/rack-1', 'us', 'us/a')
const failover = few(fc.record({ from: place, to: place }))
const preferLocal = some({
  minEndpointsThreshold: fc.constantFrom(1, 6, 1_000_000),
  percentageEnabled: aPercentage,
  force: fc.constantFrom({}, { minEndpointsInZoneThreshold: 2 }),
})

const loadBalancer = fc.oneof<fc.Arbitrary<object>[]>(
  some({ slowStart, zoneAware: some({ preferLocal, failover }) }).map((own) => ({ type: 'RoundRobin', ...own })),
  some({
    leastRequest: fc.constantFrom({}, { choiceCount: 2 }, { choiceCount: 100 }),
    slowStart,
    zoneAware: some({ preferLocal, failover }),
  }).map((own) => ({ type: 'LeastRequest', ...own })),
  some({ zoneAware: some({ preferLocal, failover }) }).map((own) => ({ type: 'Random', ...own })),
  fc.record({
    type: fc.constant('Maglev'),
    consistentHash: fc
      .tuple(hashSource, some({ tableSize: fc.constantFrom(2, 101, 65_537) }))
      .map(([a, b]) => ({ ...a, ...b })),
    zoneAware: some({ failover }),
  }),
  fc.record({
    type: fc.constant('RingHash'),
    consistentHash: fc
      .tuple(
        hashSource,
        fc.constantFrom(
          {},
          { minimumRingSize: 1, maximumRingSize: 1 },
          { minimumRingSize: 2000 },
          { maximumRingSize: 100 },
        ),
      )
      .map(([a, b]) => ({ ...a, ...b })),
    zoneAware: some({ failover }),
  }),
  fc.constant({}),
)

const timeout = some({
  tcp: some({ connectTimeout: aPositiveDuration }),
  http: some({
    requestTimeout: aDuration,
    streamIdleTimeout: aDuration,
    maxStreamDuration: aDuration,
    connectionIdleTimeout: aDuration,
    maxConnectionDuration: aDuration,
  }),
})

const triggers = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]

const retry = some({
  numRetries: fc.constantFrom(0, 1, 100),
  retryOn: fc.oneof<fc.Arbitrary<object>[]>(
    fc.subarray(triggers).map((chosen) => ({ triggers: chosen })),
    fc
      .tuple(fc.subarray(triggers), fc.uniqueArray(fc.constantFrom(100, 200, 404, 503, 599), { maxLength: 3 }))
      .map(([chosen, httpStatusCodes]) => ({ triggers: [...chosen, 'retriable-status-codes'], httpStatusCodes })),
  ),
  perRetry: some({
    timeout: aDuration,
    backOff: fc.constantFrom<object>(
      {},
      { baseInterval: '1ms' },
      { baseInterval: '100ms', maxInterval: '100ms' },
      { baseInterval: '99999h' },
      { baseInterval: '1s', maxInterval: '99999h99999h' },
    ),
  }),
  budget: some({ percent: aPercentage, minRetryConcurrency: fc.constantFrom(0, 3, 1_000_000) }),
  hostSelection: some({ avoidPrevious: fc.boolean(), maxAttempts: fc.constantFrom(1, 100) }),
})

const limit = fc.constantFrom(0, 1, 1024, MOST)
const circuitBreaker = some({
  maxConnections: limit,
  maxPendingRequests: limit,
  maxParallelRequests: limit,
  maxParallelRetries: limit,
  maxRequestsPerConnection: fc.constantFrom(1, 100, MOST),
})

const payload = fc.constantFrom<object>(
  { text: 'ping' },
  { type: 'Text', text: 'ä %' },
  { type: 'Binary', binary: 'cGluZw==' },
)
const active = fc
  .record({
    kind: fc.oneof<fc.Arbitrary<object>[]>(
      some({
        path: fc.constantFrom('/', '/healthz?a=b', '/a%20b'),
        method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
        hostname: aHost,
        expectedStatuses: fc.uniqueArray(fc.constantFrom(100, 101, 200, 204, 599), { minLength: 1, maxLength: 3 }),
        expectedResponse: payload,
      }).map((http) => ({ type: 'HTTP', http })),
      fc.constant({ type: 'HTTP' }),
      some({ send: payload, receive: payload }).map((tcp) => ({ type: 'TCP', tcp })),
      fc.constantFrom({ type: 'TCP' }, { type: 'GRPC' }, { type: 'GRPC', grpc: { service: 'shop.v1.Cart' } }),
    ),
    rest: some({
      timeout: fc.constantFrom('1ms', '100ms', '1s'),
      interval: aPositiveDuration,
      initialJitter: fc.constantFrom('0s', '1ms', '10ms'),
      unhealthyThreshold: fc.constantFrom(1, 1000),
      healthyThreshold: fc.constantFrom(1, 1000),
    }),
  })
  .map(({ kind, rest }) => ({ ...kind, ...rest }))

const consecutive = fc.constantFrom(0, 1, 5, 1_000_000)
const passive = fc
  .tuple(
    some({
      consecutive5XxErrors: consecutive,
      consecutiveGatewayErrors: consecutive,
      splitExternalLocalOriginErrors: fc.boolean(),
      consecutiveLocalOriginFailures: consecutive,
      interval: aPositiveDuration,
      maxEjectionPercent: fc.constantFrom(0, 10, 100),
    }),
    fc.constantFrom<object>(
      {},
      { baseEjectionTime: '1ms' },
      { baseEjectionTime: '1h' },
      { baseEjectionTime: '99999h' },
      { maxEjectionTime: '1m' },
      { baseEjectionTime: '10s', maxEjectionTime: '10s' },
    ),
  )
  .map(([a, b]) => ({ ...a, ...b }))

const healthCheck = some({ active, passive, panicThreshold: fc.constantFrom(0, 30, 100) })

const tcpKeepalive = some({
  probes: fc.constantFrom(1, 255),
  idleTime: aDuration,
  interval: aDuration,
})

const http2 = some({
  maxConcurrentStreams: fc.constantFrom(1, 100, MOST),
  initialStreamWindowSize: fc.constantFrom(65_535, 1_048_576, MOST),
  initialConnectionWindowSize: fc.constantFrom(65_535, MOST),
  keepalive: some({ interval: aPositiveDuration, timeout: aPositiveDuration }),
})

const limitedHeader = fc.oneof(
  fc.record({ name: aHeaderName, value: aHeaderValue }),
  fc.record({ name: aHeaderName, type: fc.constant('RegularExpression'), value: aRegex }),
  fc.record({ name: aHeaderName, type: fc.constant('Distinct') }),
)

const rateLimit = few(
  fc
    .record({
      limit: fc.record({
        requests: fc.constantFrom(1, 100, MOST),
        unit: fc.constantFrom('Second', 'Minute', 'Hour', 'Day'),
      }),
      rest: some({
        clientSelectors: few(
          fc.oneof<fc.Arbitrary<object>[]>(
            aCidr.map((sourceCIDR) => ({ sourceCIDR })),
            few(limitedHeader, 3, 1).map((headers) => ({ headers })),
            fc.record({ headers: few(limitedHeader, 2, 1), sourceCIDR: aCidr }),
          ),
        ),
      }),
    })
    .map(({ limit: own, rest }) => ({ limit: own, ...rest })),
  4,
  1,
).map((rules) => ({ local: { rules } }))

const abort = fc
  .tuple(
    fc.constantFrom<object>(
      { httpStatus: 200 },
      { httpStatus: 503 },
      { httpStatus: 599 },
      { grpcStatus: 0 },
      { grpcStatus: 16 },
    ),
    some({ percentage: aPercentage }),
  )
  .map(([a, b]) => ({ ...a, ...b }))
const delay = fc
  .record({ fixedDelay: aDuration, rest: some({ percentage: aPercentage }) })
  .map(({ fixedDelay, rest }) => ({ fixedDelay, ...rest }))
const faultInjection = fc.oneof<fc.Arbitrary<object>[]>(
  fc.record({ abort }),
  fc.record({ delay }),
  fc.record({ abort, delay }),
)

/** Any of the stanzas, few at a time. */
export const stanzas: fc.Arbitrary<object> = fc
  .tuple(
    fc.option(loadBalancer, { nil: undefined, freq: 2 }),
    fc.option(timeout, { nil: undefined, freq: 2 }),
    fc.option(retry, { nil: undefined, freq: 2 }),
    fc.option(circuitBreaker, { nil: undefined, freq: 2 }),
    fc.option(healthCheck, { nil: undefined, freq: 2 }),
    fc.option(tcpKeepalive, { nil: undefined, freq: 2 }),
    fc.option(http2, { nil: undefined, freq: 2 }),
    fc.option(rateLimit, { nil: undefined, freq: 2 }),
    fc.option(faultInjection, { nil: undefined, freq: 2 }),
  )
  .map((values) =>
    Object.fromEntries(
      [
        'loadBalancer',
        'timeout',
        'retry',
        'circuitBreaker',
        'healthCheck',
        'tcpKeepalive',
        'http2',
        'rateLimit',
        'faultInjection',
      ]
        .map((name, at) => [name, values[at]] as const)
        .filter(([, value]) => value !== undefined),
    ),
  )
