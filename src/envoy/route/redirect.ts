// Redirections. Envoy takes scheme, host and port of the new location from the request where a redirection does not name
// them, and prints a port that is named even where it is the scheme's own; Gateway API wants the port derived from the
// scheme and left out there (HTTPRequestRedirectFilter.port). Where the two differ the `Host` header decides: hence
// sometimes two routes, one for a host with a port, one for a host without.
import type { HeaderModifier, RequestRedirect } from '../../api/index.ts'
import type { HttpMatch } from '../../mesh/http.ts'
import type { Message } from '../../proto/types.ts'
import type { Decision } from './decision.ts'
import type { HeaderMatcher } from './match.ts'
import { pathChange, prefixOf } from './path.ts'

type RedirectAction = Message<'envoy.config.route.v3.RedirectAction'>

const WELL_KNOWN = { http: 80, https: 443 } as const

const STATUS = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
} as const

const HOST_HAS_PORT: HeaderMatcher = { name: ':authority', string_match: { safe_regex: { regex: '.*:[0-9]+' } } }

/**
 * Redirections, to be tried one after the other.
 * @param servicePort the port that was dialled, which is what the listener's port is at a gateway
 * @param response header modifiers for the answer
 */
export function redirections(
  filter: RequestRedirect,
  match: HttpMatch,
  servicePort: number,
  response: readonly HeaderModifier[],
): Decision[] {
  const { scheme, hostname, port } = filter
  // requests reach the proxy in plaintext: their own scheme is http
  const wellKnown = WELL_KNOWN[scheme ?? 'http']
  const target = port ?? (scheme === undefined ? servicePort : wellKnown)
  const as = (port_redirect: number | undefined, also?: HeaderMatcher): Decision => ({
    ...(also && { also: [also] }),
    does: {
      redirect: {
        ...(scheme !== undefined && { scheme_redirect: scheme }),
        ...(hostname !== undefined && { host_redirect: hostname }),
        ...(port_redirect !== undefined && { port_redirect }),
        ...path(filter, match),
        response_code: STATUS[filter.statusCode],
      },
    },
    headers: { request: [], response },
  })
  if (hostname !== undefined) return [as(target === wellKnown ? undefined : target)]
  if (scheme === undefined && port === undefined) {
    // the host as the client knows it, which says the port where one is needed
    return target === wellKnown ? [as(undefined)] : [as(undefined, HOST_HAS_PORT), as(target)]
  }
  return target === wellKnown ? [as(target, HOST_HAS_PORT), as(undefined)] : [as(target)]
}

function path(filter: RequestRedirect, match: HttpMatch): RedirectAction {
  const change = pathChange(filter.path, prefixOf(match))
  switch (change?.kind) {
    case 'full':
      return { path_redirect: change.path }
    case 'literal':
      return { prefix_rewrite: change.prefix }
    case 'pattern':
      return { regex_rewrite: change.pattern }
    case undefined:
      return {}
  }
}
