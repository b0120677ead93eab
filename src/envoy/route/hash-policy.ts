// What of a request is hashed where its instance is chosen by a ring or a Maglev table.
import type { ConsistentHash } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'
import { toDuration } from '../duration.ts'

type HashPolicy = Message<'envoy.config.route.v3.RouteAction.HashPolicy'>

/** One for each distinct source of a hash. Envoy mixes them into one, which all backends of the route share. */
export function hashPolicies(hashes: readonly (ConsistentHash | undefined)[]): readonly HashPolicy[] {
  const distinct = new Map<string, HashPolicy>()
  for (const hash of hashes) {
    const policy = hash && hashPolicy(hash)
    if (policy) distinct.set(JSON.stringify(policy), policy)
  }
  return [...distinct.values()]
}

function hashPolicy({ type, header, cookie, queryParam }: ConsistentHash): HashPolicy | undefined {
  switch (type) {
    case 'SourceIP':
      return { connection_properties: { source_ip: true } }
    case 'Hostname':
      return { header: { header_name: ':authority' } }
    case 'Header':
      return header && { header: { header_name: header.name.toLowerCase() } }
    case 'QueryParam':
      return queryParam && { query_parameter: { name: queryParam.name } }
    case 'Cookie':
      return (
        cookie && {
          cookie: {
            name: cookie.name,
            // without a lifetime Envoy sets no cookie; a lifetime of zero makes one that ends with the client's session
            ...(cookie.ttl !== undefined && { ttl: toDuration(cookie.ttl) }),
            ...(cookie.path !== undefined && { path: cookie.path }),
            ...(cookie.attributes && { attributes: cookie.attributes }),
          },
        }
      )
  }
}
