/** What an Envoy with a static configuration needs to stand for one of the mesh, as far as routes go. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { requestFilters } from '../../../src/envoy/route/http-filters.ts'
import type { RouteConfiguration } from '../../../src/envoy/route/route-configuration.ts'
import { extension, type Message } from '../../../src/proto/types.ts'

const bootstrap = new URL('../../../envoy-bootstrap/sidecar.yaml', import.meta.url)

/** The runtime settings that Heddle's Envoys start with. */
export const layeredRuntime = (): Message<'envoy.config.bootstrap.v3.LayeredRuntime'> =>
  parse(readFileSync(bootstrap, 'utf8')).layered_runtime

/** A listener on a Unix socket whose connection manager has given routes and the filters that they switch on. */
export const listener = (
  name: string,
  pipe: string,
  routes: RouteConfiguration,
): Message<'envoy.config.listener.v3.Listener'> => ({
  name,
  address: { pipe: { path: pipe } },
  filter_chains: [
    {
      filters: [
        extension(
          'envoy.filters.network.http_connection_manager',
          'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
          {
            stat_prefix: name,
            route_config: routes,
            http_filters: [
              ...requestFilters(),
              extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {
                suppress_envoy_headers: true,
              }),
            ],
          },
        ),
      ],
    },
  ],
})
