// The one outbound listener. It does not change as services come and go: whatever an application dials becomes the name of a
// cluster, which is asked for when it is first used. Only addresses of the mesh take that path; hosts outside that are allowed by
// name are recognised by SNI or Host; the rest passes or is refused, as the mesh says.
import { contains, type Settings, singleRange } from '../../mesh/settings.ts'
import type { External } from '../../mesh/external.ts'
import { extension, type Extension, type Message } from '../../proto/types.ts'
import { accessLogs } from '../access-log.ts'
import { connectionManager } from '../hcm.ts'
import { ADS, clusterFromFormat, earlyMutation, removeHeader, setHeader, socketAddresses } from '../messages.ts'
import { AGAIN, DST_HEADER, EXTERNAL, OUTBOUND, OUTBOUND_PORT, PASS_HEADER, PASSTHROUGH, REFUSED } from '../names.ts'
import { requestFilters } from '../route/http-filters.ts'
import { HTTP_PROTOCOLS, httpInspector, INSPECTION, originalDst, tlsInspector } from './filters.ts'

type Listener = Message<'envoy.config.listener.v3.Listener'>
type FilterChain = Message<'envoy.config.listener.v3.FilterChain'>
type CidrRange = Message<'envoy.config.core.v3.CidrRange'>

export interface OutboundOptions {
  readonly ipv6: boolean
  readonly onDemand: boolean
  readonly settings: Settings
  /** Address ranges of the mesh. */
  readonly ranges: readonly string[]
  readonly externals: readonly External[]
  /** Host names of TLSRoutes by address: for a client that cannot ask for a cluster by the SNI that it meets. */
  readonly tlsNames: ReadonlyMap<string, readonly string[]>
}

export function outboundListener(options: OutboundOptions): Listener {
  const { settings, onDemand } = options
  // an address with chains of its own stands in no other: Envoy takes each rule once
  const apart = new Set([...options.tlsNames.keys()].map(singleRange))
  const mesh = { prefix_ranges: options.ranges.filter((range) => !apart.has(range)).map(cidrRange) }
  const refuse = settings.outbound.unknownDestinations === 'Refuse'
  return {
    name: OUTBOUND,
    ...socketAddresses('127.0.0.1', options.ipv6 ? '::1' : undefined, OUTBOUND_PORT),
    traffic_direction: 'OUTBOUND',
    listener_filters: [originalDst(), tlsInspector(), httpInspector()],
    ...INSPECTION,
    filter_chains: [
      {
        name: 'mesh-http',
        filter_chain_match: { ...mesh, application_protocols: HTTP_PROTOCOLS },
        filters: [outboundHttp(settings, onDemand)],
      },
      {
        // TLS that offers "http/1.1" is not HTTP: it needs a chain of its own
        name: 'mesh-tls',
        filter_chain_match: { ...mesh, transport_protocol: 'tls' },
        // a proxy that cannot ask has no cluster for every SNI, but for those of TLSRoutes
        filters: onDemand
          ? tlsFilters('%DOWNSTREAM_LOCAL_ADDRESS%', '%REQUESTED_SERVER_NAME%', settings, true)
          : tcpFilters('%DOWNSTREAM_LOCAL_ADDRESS%', settings, false),
      },
      ...[...options.tlsNames].flatMap(([address, names]) => knownTlsChains(address, names, settings)),
      {
        name: 'mesh-tcp',
        filter_chain_match: mesh,
        filters: tcpFilters('%DOWNSTREAM_LOCAL_ADDRESS%', settings, onDemand),
      },
      ...externalChains(options),
      {
        name: 'external-http',
        // TLS that offers "http/1.1" is not HTTP here
        filter_chain_match: { transport_protocol: 'raw_buffer', application_protocols: HTTP_PROTOCOLS },
        filters: [
          connectionManager({
            statPrefix: EXTERNAL,
            routes: EXTERNAL,
            side: 'Outbound',
            settings,
            early: earlyMutation([setHeader(DST_HEADER, 'external|%REQ(:AUTHORITY)%:%DOWNSTREAM_LOCAL_PORT%')]),
            filters: onDemand ? [onDemandFilter()] : [],
          }),
        ],
      },
      // whoever dials the listener itself would be sent round in circles
      {
        name: 'self',
        filter_chain_match: { destination_port: OUTBOUND_PORT },
        filters: [tcpProxy(REFUSED, settings)],
      },
    ],
    default_filter_chain: {
      name: refuse ? REFUSED : PASSTHROUGH,
      filters: [tcpProxy(refuse ? REFUSED : PASSTHROUGH, settings)],
    },
  }
}

/** The second pass of a request that came before its virtual host did: it finds the virtual host now. */
export function againListener(): Listener {
  const mutations = [setHeader(PASS_HEADER, '2'), setHeader(DST_HEADER, '%DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID%')]
  return {
    name: AGAIN,
    internal_listener: {},
    filter_chains: [
      {
        filters: [
          connectionManager({
            statPrefix: AGAIN,
            routes: OUTBOUND,
            side: 'Outbound',
            early: earlyMutation(mutations),
            filters: requestFilters([onDemandFilter()]),
          }),
        ],
      },
    ],
  }
}

/** Requests to the mesh: the destination is what was dialled (or what an upstream's port stands for), never what a client wrote. */
export function outboundHttp(
  settings: Settings,
  onDemand: boolean,
  destination = '%DOWNSTREAM_LOCAL_ADDRESS%',
): Extension {
  return connectionManager({
    statPrefix: OUTBOUND,
    routes: OUTBOUND,
    side: 'Outbound',
    settings,
    early: earlyMutation([setHeader(DST_HEADER, destination), removeHeader(PASS_HEADER)]),
    filters: requestFilters(onDemand ? [onDemandFilter()] : []),
  })
}

const onDemandFilter = (): Extension =>
  extension('envoy.filters.http.on_demand', 'envoy.extensions.filters.http.on_demand.v3.OnDemand', {
    odcds: { source: ADS, timeout: '5s' },
  })

/** TLS to a destination, by what it asks for. */
export function tlsFilters(destination: string, sni: string, settings: Settings, onDemand: boolean): Extension[] {
  return [clusterFromFormat(`tls|${destination}|${sni}`), outboundTcp(settings, onDemand)]
}

/** Any other connection to a destination. */
export function tcpFilters(destination: string, settings: Settings, onDemand: boolean): Extension[] {
  return [clusterFromFormat(`tcp|${destination}`), outboundTcp(settings, onDemand)]
}

/** All chains of one address, with those of its TLSRoutes: Envoy looks at no chain of a wider range any more. */
function knownTlsChains(address: string, names: readonly string[], settings: Settings): FilterChain[] {
  const match = { prefix_ranges: [cidrRange(singleRange(address))] }
  const prefix = `mesh-${address}`
  return [
    {
      name: `${prefix}-http`,
      filter_chain_match: { ...match, application_protocols: HTTP_PROTOCOLS },
      filters: [outboundHttp(settings, false)],
    },
    ...[...new Set([...names, ''])].map((sni): FilterChain => ({
      name: `${prefix}-tls|${sni}`,
      filter_chain_match: { ...match, transport_protocol: 'tls', ...(sni !== '' && { server_names: [sni] }) },
      filters: tlsFilters('%DOWNSTREAM_LOCAL_ADDRESS%', sni, settings, false),
    })),
    {
      name: `${prefix}-tcp`,
      filter_chain_match: match,
      filters: tcpFilters('%DOWNSTREAM_LOCAL_ADDRESS%', settings, false),
    },
  ]
}

/** Connections to the mesh, to the cluster that a filter before this one has named. */
function outboundTcp(settings: Settings, onDemand: boolean): Extension {
  return tcpProxy(REFUSED, settings, onDemand, true)
}

function tcpProxy(cluster: string, settings: Settings, onDemand = false, mesh = false): Extension {
  return extension('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: onDemand ? 'outbound-tcp' : cluster,
    cluster,
    // Envoy would close a connection over which nothing goes for an hour
    idle_timeout: '0s',
    access_log: accessLogs(settings, 'Outbound'),
    // only a cluster that balances by a hash looks at it, and of a connection nothing but its source could be hashed
    ...(mesh && { hash_policy: [{ source_ip: {} }] }),
    // the name is answered in milliseconds or not at all: an application that dials nobody's address waits no longer
    ...(onDemand && { on_demand: { odcds_config: ADS, timeout: '0.5s' } }),
  })
}

/** Chains of its own for each ExternalService: adding one leaves the connections of the others alone. */
function externalChains({ externals, settings, ranges, onDemand }: OutboundOptions): FilterChain[] {
  const byKey = Map.groupBy(externals, ({ key }) => key)
  // one host may have ports of several ExternalServices, but only one chain: which port was dialled is in the cluster's name
  const taken = new Set<string>()
  const free = (name: string): boolean => !taken.has(name) && taken.add(name) !== undefined
  return [...byKey].flatMap(([key, ports]): FilterChain[] => {
    // no chain may match on a port: one that did would hide all others from that port (Envoy does not backtrack)
    const names = ports.flatMap(({ hosts }) => hosts).filter(free)
    const addresses = ports
      .flatMap((port) => port.addresses)
      .filter((address) => !contains(ranges, address))
      .filter(free)
    const match = {
      prefix_ranges: addresses.map((address) => cidrRange(singleRange(address))),
    }
    return [
      ...(names.length === 0
        ? []
        : [
            {
              name: `external/${key}/sni`,
              filter_chain_match: { transport_protocol: 'tls', server_names: names },
              filters: [
                clusterFromFormat('external|%REQUESTED_SERVER_NAME%:%DOWNSTREAM_LOCAL_PORT%'),
                outboundTcp(settings, onDemand),
              ],
            },
          ]),
      ...(addresses.length === 0
        ? []
        : [
            {
              name: `external/${key}/http`,
              filter_chain_match: { ...match, application_protocols: HTTP_PROTOCOLS },
              filters: [outboundHttp(settings, onDemand)],
            },
            ...(['tls', 'tcp'] as const).map((kind) => ({
              name: `external/${key}/${kind}`,
              filter_chain_match: kind === 'tls' ? { ...match, transport_protocol: 'tls' } : match,
              filters: tcpFilters('%DOWNSTREAM_LOCAL_ADDRESS%', settings, onDemand),
            })),
          ]),
    ]
  })
}

export function cidrRange(range: string): CidrRange {
  const [address_prefix = '', bits = ''] = range.split('/')
  return { address_prefix, prefix_len: Number(bits) }
}
