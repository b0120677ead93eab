// Local rate limits of the inbound side. A rule is a token bucket that a request takes from if it matches; a request that matches
// several rules takes from the bucket of each, and one that is empty refuses it. All filters are disabled until routes bring their
// work, so that they cost nothing where nothing is limited, and a change of policy drains no connection.
import type { RateLimit, RateLimitRule } from '../../api/index.ts'
import { type Any, any, extension, type Extension, type Message } from '../../proto/types.ts'
import { removeHeader, setHeader } from '../messages.ts'
import { limitActions, sourceHeader, sourceMasks } from './rate-limit-actions.ts'

type Descriptor = Message<'envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor'>
type TokenBucket = Message<'envoy.type.v3.TokenBucket'>

/** Names of the filters, under which a route configuration holds their work. */
export const RATE_LIMIT = 'heddle.rate-limit'
const SOURCE = 'heddle.rate-limit.source'
const SOURCE_REMOVED = 'heddle.rate-limit.source-removed'

const LOCAL_RATE_LIMIT = 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit'
const HEADER_MUTATION = 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation'
const HEADER_MUTATION_PER_ROUTE = 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute'

/** Values of a `Distinct` header that are counted apart at one time; beyond that, the longest unseen is forgotten. */
const DISTINCT_VALUES = 1000

const ALWAYS = { default_value: { numerator: 100 } }

/** The filters as a connection manager holds them: limits, and around them the address of the peer as headers of their own. */
export function localRateLimitFilters(): (Extension & { readonly disabled: true })[] {
  return [
    { ...extension(SOURCE, HEADER_MUTATION, {}), disabled: true },
    { ...extension(RATE_LIMIT, LOCAL_RATE_LIMIT, { stat_prefix: 'rate_limit' }), disabled: true },
    { ...extension(SOURCE_REMOVED, HEADER_MUTATION, {}), disabled: true },
  ]
}

/** What the filters do, as `typed_per_filter_config` holds it. Refused requests get 429, gRPC ones RESOURCE_EXHAUSTED. */
export function localRateLimits({ local: { rules } }: RateLimit): Record<string, Any> {
  const masks = sourceMasks(rules)
  return {
    ...(masks.length > 0 && {
      [SOURCE]: any(HEADER_MUTATION_PER_ROUTE, {
        mutations: {
          request_mutations: masks.map((bits) =>
            setHeader(sourceHeader(bits), `%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT(${bits})%`),
          ),
        },
      }),
      [SOURCE_REMOVED]: any(HEADER_MUTATION_PER_ROUTE, {
        mutations: { request_mutations: masks.map((bits) => removeHeader(sourceHeader(bits))) },
      }),
    }),
    [RATE_LIMIT]: any(LOCAL_RATE_LIMIT, {
      stat_prefix: 'rate_limit',
      filter_enabled: ALWAYS,
      filter_enforced: ALWAYS,
      rate_limited_as_resource_exhausted: true,
      // requests that no rule matches take from this one, which never empties
      token_bucket: { max_tokens: 4_294_967_295, tokens_per_fill: 4_294_967_295, fill_interval: '1s' },
      always_consume_default_token_bucket: false,
      max_dynamic_descriptors: DISTINCT_VALUES,
      ...limits(rules),
    }),
  }
}

/**
 * Envoy takes from the slowest bucket first, so that a request which that one refuses costs the others nothing. What it takes it
 * does not give back when a faster one refuses.
 */
function limits(rules: readonly RateLimitRule[]) {
  const found = rules.map((rule, index) => ({ bucket: tokenBucket(rule), limits: limitActions(rule, index) }))
  return {
    rate_limits: found.flatMap((rule) => rule.limits.flatMap(({ matches }) => matches.map((actions) => ({ actions })))),
    descriptors: found.flatMap(({ bucket, limits: own }): Descriptor[] =>
      own.map(({ entries }) => ({ entries, token_bucket: bucket })),
    ),
  }
}

const UNITS = { Second: '1s', Minute: '60s', Hour: '3600s', Day: '86400s' } as const

/** Filled at an even rate; a client that was idle may take a whole unit's requests at once. */
function tokenBucket({ limit }: RateLimitRule): TokenBucket {
  return { max_tokens: limit.requests, tokens_per_fill: limit.requests, fill_interval: UNITS[limit.unit] }
}
