// Pieces of configuration that many resources hold.
import { any, extension, type Extension, type Message } from '../proto/types.ts'

type ConfigSource = Message<'envoy.config.core.v3.ConfigSource'>
type HeaderMutation = Message<'envoy.config.common.mutation_rules.v3.HeaderMutation'>

/** From the one stream. The time-out bounds how long a resource that warms holds back all other discovery (envoy#5887). */
export const ADS: ConfigSource = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '1s' }

/** Sets a header whatever was there. */
export const setHeader = (key: string, value: string): HeaderMutation => ({
  append: { header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
})

export const removeHeader = (key: string): HeaderMutation => ({ remove: key })

/** Writes what was dialled into the internal headers before a route is looked for. */
export function earlyMutation(mutations: readonly HeaderMutation[]): Extension {
  return extension(
    'heddle.destination',
    'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
    {
      mutations,
    },
  )
}

/** A network filter that puts a cluster's name where `tcp_proxy` looks for it. */
export function clusterFromFormat(format: string): Extension {
  return extension('heddle.destination', 'envoy.extensions.filters.network.set_filter_state.v3.Config', {
    on_new_connection: [
      { object_key: 'envoy.tcp_proxy.cluster', format_string: { text_format_source: { inline_string: format } } },
    ],
  })
}

export const router = (): Extension =>
  extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {
    suppress_envoy_headers: true,
  })

export const rawBuffer = (): Extension =>
  extension('envoy.transport_sockets.raw_buffer', 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', {})

/** A place in a workload's own network namespace that listens on both families where there are two. */
export function socketAddresses(ipv4: string, ipv6: string | undefined, port: number) {
  return {
    address: { socket_address: { address: ipv4, port_value: port } },
    ...(ipv6 !== undefined && {
      additional_addresses: [{ address: { socket_address: { address: ipv6, port_value: port } } }],
    }),
  }
}

export { any }
