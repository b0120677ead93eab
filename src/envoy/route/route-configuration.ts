// The one outbound route configuration. It chooses a virtual host by what was dialled, never by a Host header.
import type { Message } from '../../proto/types.ts'
import { ADS } from '../messages.ts'
import { DST_HEADER, OUTBOUND, PASS_HEADER } from '../names.ts'
import { defaultVirtualHost } from './fixed-hosts.ts'
import type { VirtualHost } from './virtual-host.ts'

export type RouteConfiguration = Message<'envoy.config.route.v3.RouteConfiguration'>

export interface RouteConfigurationOptions {
  /** Those that do not come by themselves: all of them, for a client that speaks state-of-the-world. */
  readonly virtualHosts?: readonly VirtualHost[]
  /** Whether virtual hosts come one by one. */
  readonly vhds: boolean
}

export const routeConfiguration = ({ virtualHosts = [], vhds }: RouteConfigurationOptions): RouteConfiguration => ({
  name: OUTBOUND,
  vhost_header: DST_HEADER,
  ...(vhds && { vhds: { config_source: ADS } }),
  // last of all header changes: nothing that a route adds brings them back
  request_headers_to_remove: [DST_HEADER, PASS_HEADER],
  virtual_hosts: [...virtualHosts, defaultVirtualHost()],
})
