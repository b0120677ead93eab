// Ports of a workload that stand for services, where nothing is intercepted: each writes its Service's address where the
// intercepting listener writes the one that was dialled, and takes the same path from there.
import type { Settings } from '../../mesh/settings.ts'
import type { Message } from '../../proto/types.ts'
import { clusterFromFormat } from '../messages.ts'
import { HTTP_PROTOCOLS, httpInspector, INSPECTION, tlsInspector } from './filters.ts'
import { outboundHttp, outboundTcp } from './outbound.ts'

export interface UpstreamOptions {
  readonly name: string
  /** Where it listens: the workload's own loopback address. */
  readonly address: string
  readonly port: number
  /** `address:port` of the Service's port. */
  readonly destination: string
  readonly onDemand: boolean
  readonly settings: Settings
}

export function upstreamListener(options: UpstreamOptions): Message<'envoy.config.listener.v3.Listener'> {
  const { settings, onDemand, destination } = options
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
        ? [
            {
              name: 'tls',
              filter_chain_match: { transport_protocol: 'tls' },
              filters: [clusterFromFormat(`tls|${destination}|%REQUESTED_SERVER_NAME%`), outboundTcp(settings, onDemand)],
            },
          ]
        : []),
    ],
    default_filter_chain: {
      name: 'tcp',
      filters: [clusterFromFormat(`tcp|${destination}`), outboundTcp(settings, onDemand)],
    },
  }
}
