// Which requests a rule of a rate limit counts, as Envoy's rate-limit actions. A request takes from a bucket once for every
// descriptor that it yields, even for equal ones, and actions know no "or". So the selectors of a rule become lists of actions of
// which at most one holds: each selector but the first says also that those before it do not match. All lists of a rule yield the
// same descriptor, padded to the same length, and so share one bucket.
import type { RateLimitRule } from '../../api/index.ts'
import { canonicalRange } from '../../mesh/address.ts'
import type { Message } from '../../proto/types.ts'

type Action = Message<'envoy.config.route.v3.RateLimit.Action'>
type HeaderMatcher = Message<'envoy.config.route.v3.HeaderMatcher'>
type Entry = Message<'envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry'>
type Selector = NonNullable<RateLimitRule['clientSelectors']>[number]

/** Requests that take from one bucket, or from one bucket for each value of `Distinct` headers. */
export interface Limit {
  /** What requests yield; an entry without value stands for any, each counted apart. */
  readonly entries: readonly Entry[]
  /** Lists of actions, of which a request fulfils one at most. */
  readonly matches: readonly (readonly Action[])[]
}

const RULE = 'rule'

/** A rule's selectors that count together, and one by one those that count each value of a header apart. */
export function limitActions({ clientSelectors = [] }: RateLimitRule, index: number): readonly Limit[] {
  const entry = { key: RULE, value: String(index) }
  if (clientSelectors.length === 0) return [{ entries: [entry], matches: [[padding(entry)]] }]
  const together = clientSelectors.filter((selector) => distinctHeaders(selector).length === 0)
  const apart = clientSelectors.filter((selector) => distinctHeaders(selector).length > 0)
  return [
    ...(together.length === 0
      ? []
      : [
          {
            entries: together.map(() => entry),
            matches: together.map((selector, at) => [
              matchAction(entry, conditions(selector), true),
              ...together.slice(0, at).map((earlier) => matchAction(entry, conditions(earlier), false)),
              ...together.slice(at + 1).map(() => padding(entry)),
            ]),
          },
        ]),
    ...apart.map((selector, at) => distinctLimit(selector, { key: RULE, value: `${index}.${at}` })),
  ]
}

function distinctLimit(selector: Selector, entry: Required<Entry>): Limit {
  const fixed = conditions(selector)
  const names = distinctHeaders(selector)
  return {
    entries: [entry, ...names.map((key) => ({ key }))],
    matches: [
      [
        fixed.length === 0 ? padding(entry) : matchAction(entry, fixed, true),
        // a request without the header yields nothing, and is not counted
        ...names.map((name): Action => ({ request_headers: { header_name: name, descriptor_key: name } })),
      ],
    ],
  }
}

const padding = ({ key, value }: Required<Entry>): Action => ({
  generic_key: { descriptor_key: key, descriptor_value: value },
})

/** All of `headers` match, or not all of them. */
function matchAction({ key, value }: Required<Entry>, headers: readonly HeaderMatcher[], expect: boolean): Action {
  return {
    header_value_match: {
      descriptor_key: key,
      descriptor_value: value,
      ...(!expect && { expect_match: false }),
      headers,
    },
  }
}

const distinctHeaders = ({ headers = [] }: Selector): string[] =>
  [...new Set(headers.filter(({ type }) => type === 'Distinct').map(({ name }) => name.toLowerCase()))].toSorted()

/** What must be so for a selector to match, but for the presence of `Distinct` headers. */
function conditions({ headers = [], sourceCIDR }: Selector): HeaderMatcher[] {
  const matchers = headers.flatMap(({ name, type, value = '' }): HeaderMatcher[] => {
    switch (type) {
      case 'Distinct':
        return []
      case 'Exact':
        return [{ name: name.toLowerCase(), string_match: { exact: value } }]
      case 'RegularExpression':
        return [{ name: name.toLowerCase(), string_match: { safe_regex: { regex: value } } }]
    }
  })
  if (sourceCIDR !== undefined) {
    const { bits, range } = canonicalRange(sourceCIDR)
    matchers.push({ name: sourceHeader(bits), string_match: { exact: range } })
  }
  return matchers
}

/** Lengths of the prefixes that any rule compares addresses by. */
export function sourceMasks(rules: readonly RateLimitRule[]): readonly number[] {
  const ranges = rules.flatMap(({ clientSelectors = [] }) =>
    clientSelectors.flatMap(({ sourceCIDR }) => sourceCIDR ?? []),
  )
  return [...new Set(ranges.map((range) => canonicalRange(range).bits))].toSorted((a, b) => a - b)
}

/**
 * The header that holds the range of so many bits in which the peer is. Envoy's actions compare only the address that
 * X-Forwarded-For names, which is the client's to choose; the peer's own can be had as a header alone.
 */
export const sourceHeader = (bits: number): string => `x-heddle-source-${bits}`
