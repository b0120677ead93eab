// Ports of a workload that stand for services, where nothing is intercepted: each writes its Service's address where the
// intercepting listener writes the one that was dialled, and takes the same path from there.
import type { Settings } from '../../mesh/settings.ts'
import type { Extension, Message } from '../../proto/types.ts'
import { HTTP_PROTOCOLS, httpInspector, INSPECTION, tlsInspector } from './filters.ts'
import { outboundHttp, tcpFilters, tlsFilters } from './outbound.ts'

type FilterChain = Message<'envoy.config.listener.v3.FilterChain'>

export interface UpstreamOptions {
  readonly name: string
  /** Where it listens: the workload's own loopback address. */
  readonly address: string
  readonly port: number
  /** `address:port` of the Service's port. */
  readonly destination: string
  readonly onDemand: boolean
  readonly settings: Settings
  /** Host names of TLSRoutes: for a client that cannot ask for a cluster by the SNI that it meets. */
  readonly tlsNames: readonly string[]
}

export function upstreamListener(options: UpstreamOptions): Message<'envoy.config.listener.v3.Listener'> {
  const { settings, onDemand, destination, tlsNames } = options
  return {
    name: options.name,
    address: { socket_address: { address: options.address, port_value: options.port } },
    traffic_direction: 'OUTBOUND',
    listener_filters: [tlsInspector(), httpInspector()],
    ...INSPECTION,
    filter_chains: [
      {
        name: 'http',
        filter_chain_match: { application_protocols: HTTP_PROTOCOLS },
        filters: [outboundHttp(settings, onDemand, destination)],
      },
      ...(onDemand
        ? [tlsChain('', tlsFilters(destination, '%REQUESTED_SERVER_NAME%', settings, true))]
        : tlsNames.length === 0
          ? [tlsChain('', tcpFilters(destination, settings, false))]
          : [...new Set([...tlsNames, ''])].map((sni) => tlsChain(sni, tlsFilters(destination, sni, settings, false)))),
    ],
    default_filter_chain: { name: 'tcp', filters: tcpFilters(destination, settings, onDemand) },
  }
}

const tlsChain = (sni: string, filters: Extension[]): FilterChain => ({
  name: sni === '' ? 'tls' : `tls|${sni}`,
  filter_chain_match: { transport_protocol: 'tls', ...(sni !== '' && { server_names: [sni] }) },
  filters,
})
