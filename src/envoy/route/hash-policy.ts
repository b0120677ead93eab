// What of a request is hashed where its instance is chosen by a ring or a Maglev table.
import type { ConsistentHash } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'
import { toDuration } from '../duration.ts'

type HashPolicy = Message<'envoy.config.route.v3.RouteAction.HashPolicy'>

export function hashPolicies(hash: ConsistentHash | undefined): readonly HashPolicy[] {
  const policy = hash && hashPolicy(hash)
  return policy ? [policy] : []
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
