// Redirections. Envoy takes scheme, host and port of the new location from the request where a redirection does not name
// them, and prints a port that is named even where it is the scheme's own; Gateway API wants the port derived from the
// scheme and left out there (HTTPRequestRedirectFilter.port). Where the two differ the `Host` header decides: hence
// sometimes two routes, one for a host with a port, one for a host without.
import type { RequestRedirect } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'
import type { HeaderMatcher } from './match.ts'
import { pathChange } from './path.ts'

type RedirectAction = Message<'envoy.config.route.v3.RedirectAction'>

export interface Redirection {
  readonly redirect: RedirectAction
  /** What the request must look like besides. */
  readonly also?: HeaderMatcher
}

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
 * @param matched the path prefix that the rule matches
 * @param servicePort the port that was dialled, which is what the listener's port is at a gateway
 */
export function redirections(filter: RequestRedirect, matched: string | undefined, servicePort: number): Redirection[] {
  const { scheme, hostname, port } = filter
  // requests reach the proxy in plaintext: their own scheme is http
  const wellKnown = WELL_KNOWN[scheme ?? 'http']
  const target = port ?? (scheme === undefined ? servicePort : wellKnown)
  const common: RedirectAction = {
    ...(scheme !== undefined && { scheme_redirect: scheme }),
    ...(hostname !== undefined && { host_redirect: hostname }),
    ...path(filter, matched),
    response_code: STATUS[filter.statusCode],
  }
  const at = (redirected: number): RedirectAction => ({ ...common, port_redirect: redirected })
  if (hostname !== undefined) return [{ redirect: target === wellKnown ? common : at(target) }]
  if (scheme === undefined && port === undefined) {
    // the host as the client knows it, which says the port where one is needed
    if (target === wellKnown) return [{ redirect: common }]
    return [{ redirect: common, also: HOST_HAS_PORT }, { redirect: at(target) }]
  }
  if (target !== wellKnown) return [{ redirect: at(target) }]
  return [{ redirect: at(target), also: HOST_HAS_PORT }, { redirect: common }]
}

function path(filter: RequestRedirect, matched: string | undefined): RedirectAction {
  const change = pathChange(filter.path, matched)
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
