// Who a peer is, for RBAC. An identity is the URI SAN of the certificate that the peer proved in mutual TLS, never a header. All
// prefixes end in a slash, so that `ns/a` never stands for `ns/ab`; only the prefix that a policy writes itself may end elsewhere.
import type { AuthorizationSource } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'

type Principal = Message<'envoy.config.rbac.v3.Principal'>
type StringMatcher = Message<'envoy.type.matcher.v3.StringMatcher'>

export interface PrincipalContext {
  readonly trustDomain: string
  /** Namespace of the policy. */
  readonly namespace: string
}

/** Any of `sources` (all where undefined, none where empty), and none of `notSources`; undefined where nobody can match. */
export function principal(
  sources: readonly AuthorizationSource[] | undefined,
  notSources: readonly AuthorizationSource[] | undefined,
  context: PrincipalContext,
): Principal | undefined {
  if (sources?.length === 0) return undefined
  const ids: Principal[] = []
  if (sources !== undefined) ids.push(anyOf(sources.map((source) => principalOf(source, context))))
  if (notSources !== undefined && notSources.length > 0)
    ids.push({ not_id: anyOf(notSources.map((source) => principalOf(source, context))) })
  const [only] = ids
  if (only === undefined) return { any: true }
  return ids.length === 1 ? only : { and_ids: { ids } }
}

function anyOf(ids: readonly Principal[]): Principal {
  const [only] = ids
  return ids.length === 1 && only !== undefined ? only : { or_ids: { ids } }
}

/** The schema guarantees the field that goes with each type; without it, nobody is meant. */
function principalOf(source: AuthorizationSource, { trustDomain, namespace }: PrincipalContext): Principal {
  switch (source.type) {
    case 'ServiceAccount': {
      const account = source.serviceAccount
      if (account === undefined) return NOBODY
      const accounts = `spiffe://${trustDomain}/ns/${account.namespace ?? namespace}/sa/`
      return identity(account.name === '*' ? { prefix: accounts } : { exact: accounts + account.name })
    }
    case 'SPIFFE': {
      const id = source.spiffe
      if (id === undefined) return NOBODY
      return identity(id.endsWith('*') ? { prefix: id.slice(0, -1) } : { exact: id })
    }
    case 'Namespace':
      return source.namespace === undefined
        ? NOBODY
        : identity({ prefix: `spiffe://${trustDomain}/ns/${source.namespace}/sa/` })
    case 'TrustDomain':
      return source.trustDomain === undefined ? NOBODY : identity({ prefix: `spiffe://${source.trustDomain}/` })
    case 'Authenticated':
      // an empty `authenticated` would be content with TLS alone, without any identity
      return identity({ prefix: 'spiffe://' })
    case 'CIDR': {
      const [address_prefix, length] = source.cidr?.split('/') ?? []
      // the peer of the connection: what X-Forwarded-For says is the client's to choose
      return address_prefix === undefined
        ? NOBODY
        : { direct_remote_ip: { address_prefix, prefix_len: Number(length) } }
    }
  }
}

const NOBODY: Principal = { not_id: { any: true } }

const identity = (principal_name: StringMatcher): Principal => ({ authenticated: { principal_name } })
