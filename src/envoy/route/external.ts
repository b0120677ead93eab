// Plain requests to hosts outside the mesh, by the Host that they name. Those that are allowed go to Envoy's own resolution of the
// name; the rest passes on to the address that was dialled, or is refused.
import type { External } from '../../mesh/external.ts'
import type { Settings } from '../../mesh/settings.ts'
import type { Message } from '../../proto/types.ts'
import { DST_HEADER, EXTERNAL, PASS_HEADER, PASSTHROUGH } from '../names.ts'

type Route = Message<'envoy.config.route.v3.Route'>

export function externalRoutes(
  settings: Settings,
  externals: readonly External[],
): Message<'envoy.config.route.v3.RouteConfiguration'> {
  const refuse = settings.outbound.unknownDestinations === 'Refuse'
  const hosts = [
    ...new Set(
      externals
        .filter(({ protocol }) => protocol !== 'tls' && protocol !== 'tcp')
        .flatMap((external) => external.hosts),
    ),
  ]
  const rest: Route = refuse
    ? {
        match: { prefix: '/' },
        direct_response: {
          status: 502,
          body: { inline_string: 'heddle: this destination is neither in the mesh nor an ExternalService\n' },
        },
      }
    : { match: { prefix: '/' }, route: { cluster: PASSTHROUGH, timeout: '0s' } }
  // an application's own forward proxy: what is asked of it is between the two
  const tunnels: Route[] = refuse
    ? []
    : [
        {
          match: { connect_matcher: {} },
          route: { cluster: PASSTHROUGH, timeout: '0s', upgrade_configs: [{ upgrade_type: 'CONNECT' }] },
        },
      ]
  const allowed: Route = { match: { prefix: '/' }, route: { cluster_header: DST_HEADER, timeout: '0s' } }
  return {
    name: EXTERNAL,
    request_headers_to_remove: [DST_HEADER, PASS_HEADER],
    // a Host may name a port; which one is really dialled follows from the connection
    ignore_port_in_host_matching: true,
    virtual_hosts: [
      ...(hosts.length === 0 ? [] : [{ name: 'allowed', domains: hosts.toSorted(), routes: [...tunnels, allowed] }]),
      {
        name: refuse ? 'refused' : 'passthrough',
        domains: ['*'],
        routes: [...tunnels, rest],
      },
    ],
  }
}
