// Cross-origin requests (HTTPCORSFilter, Fetch standard): who may ask, and what a preflight is told.
import type { Cors } from '../../api/index.ts'
import type { HttpMatch } from '../../mesh/http.ts'
import { any, type Message } from '../../proto/types.ts'
import { CORS_FILTER } from './http-filters.ts'
import type { Decision, PerFilter } from './decision.ts'
import type { HeaderMatcher } from './match.ts'
import { quoteRegex } from './path.ts'

type StringMatcher = Message<'envoy.type.matcher.v3.StringMatcher'>

/** Configuration of the CORS filter for a route. */
export function corsPolicy(cors: Cors | undefined): PerFilter {
  if (cors === undefined) return {}
  const credentials = cors.allowCredentials === true
  // to a browser that sends credentials "*" is no wildcard but a name, and nothing stands for "all that there is"
  const exposed = (cors.exposeHeaders ?? []).filter((name) => name !== '*' || !credentials)
  return {
    [CORS_FILTER]: any('envoy.extensions.filters.http.cors.v3.CorsPolicy', {
      allow_origin_string_match: (cors.allowOrigins ?? []).map(originMatcher),
      ...list('allow_methods', cors.allowMethods),
      ...list('allow_headers', cors.allowHeaders),
      ...list('expose_headers', exposed),
      max_age: String(cors.maxAge),
      ...(credentials && { allow_credentials: true }),
    }),
  }
}

const list = <F extends string>(field: F, values: readonly string[] | undefined): { readonly [K in F]?: string } =>
  values === undefined || values.length === 0 ? {} : ({ [field]: values.join(', ') } as { readonly [K in F]?: string })

const DEFAULT_PORT = { http: '80', https: '443' } as const

/** Any host, as an origin spells it: labels, or an IPv6 address in brackets. */
const ANY_HOST = String.raw`(?:\[[0-9a-f:.]+\]|[^/:]+)`

/**
 * Preflights from origins that are not allowed: Envoy would pass them on to the application, or answer them with part of
 * the headers.
 */
export function refusedPreflights(cors: Cors | undefined, { method = 'OPTIONS' }: HttpMatch): Decision[] {
  const { allowOrigins = [] } = cors ?? {}
  if (cors === undefined || method !== 'OPTIONS' || allowOrigins.includes('*')) return []
  const origins = allowOrigins.map((origin): HeaderMatcher => ({
    name: 'origin',
    string_match: originMatcher(origin),
    invert_match: true,
  }))
  return [
    {
      also: [
        { name: ':method', string_match: { exact: 'OPTIONS' } },
        { name: 'access-control-request-method', present_match: true },
        ...(origins.length > 0 ? origins : [{ name: 'origin', present_match: true }]),
      ],
      does: {
        direct_response: { status: 403, body: { inline_string: 'requests from this origin are not allowed\n' } },
      },
    },
  ]
}

/** Browsers write origins in lower case and without the scheme's own port; "*" takes labels to its left as well. */
function originMatcher(origin: string): StringMatcher {
  if (origin === '*') return { safe_regex: { regex: '.*' } }
  const [, scheme = '', host = '', port] = /^(https?):\/\/(.*?)(?::([0-9]+))?$/.exec(origin.toLowerCase()) ?? []
  const suffix = port === undefined || port === DEFAULT_PORT[scheme as keyof typeof DEFAULT_PORT] ? '' : `:${port}`
  if (!host.startsWith('*')) return { exact: `${scheme}://${host}${suffix}` }
  const any = host === '*' ? ANY_HOST : '[^/:]+'
  return { safe_regex: { regex: `${scheme}://${any}${quoteRegex(host.slice(1) + suffix)}` } }
}
