// The inbound listener of a workload. A port declared HTTP is HTTP or nothing: late bytes never pass it as TCP, by which they
// would pass every rule about requests. Mesh TLS is told by the ALPN that the client offers, so that an application's own TLS
// passes in permissive mode. In strict mode there is simply no chain that takes plaintext, on undeclared ports neither.
import type { WorkloadPort } from '../../mesh/model.ts'
import { type Mtls, modeOf } from '../../mesh/mtls.ts'
import type { Settings } from '../../mesh/settings.ts'
import { extension, type Extension, type Message } from '../../proto/types.ts'
import { accessLogs } from '../access-log.ts'
import { inboundHttpFilters, networkRbacFilters } from '../inbound-filters.ts'
import { connectionManager } from '../hcm.ts'
import { socketAddresses } from '../messages.ts'
import { ALPN_HTTP, ALPN_TCP, INBOUND, INBOUND_PORT, inboundName, REFUSED } from '../names.ts'
import { downstreamTls } from '../tls.ts'
import { HTTP_PROTOCOLS, httpInspector, INSPECTION, originalDst, tlsInspector } from './filters.ts'

type FilterChain = Message<'envoy.config.listener.v3.FilterChain'>
type NetworkFilter = Message<'envoy.config.listener.v3.Filter'>
type Match = Message<'envoy.config.listener.v3.FilterChainMatch'>

export interface InboundOptions {
  readonly ports: readonly WorkloadPort[]
  readonly mtls: Mtls
  readonly settings: Settings
  readonly ipv6: boolean
  /** Absent where the kernel redirects; else the address of the workload whose declared ports the proxy itself binds. */
  readonly bind: string | undefined
}

export function inboundListener(options: InboundOptions): Message<'envoy.config.listener.v3.Listener'> | undefined {
  const { ports, mtls, settings, bind } = options
  const tcpOnly = ports.filter(({ protocol }) => protocol === 'tcp' || protocol === 'tls')
  const declared = ports.flatMap((port) => portChains(port, modeOf(mtls, port.port), settings))
  const [first, ...others] = ports
  if (bind !== undefined && first === undefined) return undefined
  const listening =
    bind === undefined
      ? socketAddresses('0.0.0.0', options.ipv6 ? '::' : undefined, INBOUND_PORT)
      : {
          address: { socket_address: { address: bind, port_value: first?.port ?? 0 } },
          ...(others.length > 0 && {
            additional_addresses: others.map((port) => ({
              address: { socket_address: { address: bind, port_value: port.port } },
            })),
          }),
        }
  // a port with a mode of its own that is not declared has chains of its own too
  const extra = mtls.ports.filter(({ port }) => !ports.some((own) => own.port === port))
  return {
    name: INBOUND,
    ...listening,
    traffic_direction: 'INBOUND',
    listener_filters: [
      ...(bind === undefined ? [originalDst()] : []),
      tlsInspector(),
      { ...httpInspector(), ...(tcpOnly.length > 0 && { filter_disabled: anyPort(tcpOnly.map(({ port }) => port)) }) },
    ],
    ...INSPECTION,
    filter_chains: [
      ...declared,
      ...(bind === undefined
        ? [
            ...extra.flatMap(({ port, mode }) =>
              chains({ destination_port: port }, `${port}-`, 'auto', mode, INBOUND, settings),
            ),
            ...chains({}, '', 'auto', mtls.mode, INBOUND, settings),
            // a direct connection to the listener itself would be sent round in circles
            {
              name: 'self',
              filter_chain_match: { destination_port: INBOUND_PORT },
              filters: [tcpProxy(REFUSED, 'self', settings)],
            },
          ]
        : []),
    ],
  }
}

function portChains(port: WorkloadPort, mode: 'Strict' | 'Permissive', settings: Settings): FilterChain[] {
  return chains({ destination_port: port.port }, `${port.port}-`, port.protocol, mode, inboundName(port.port), settings)
}

function chains(
  match: Match,
  prefix: string,
  protocol: WorkloadPort['protocol'],
  mode: 'Strict' | 'Permissive',
  target: string,
  settings: Settings,
): FilterChain[] {
  const http = (): NetworkFilter[] => [
    connectionManager({
      statPrefix: target,
      routes: target,
      side: 'Inbound',
      settings,
      filters: inboundHttpFilters(),
    }),
  ]
  const tcp = (): NetworkFilter[] => [...networkRbacFilters(), tcpProxy(target, target, settings)]
  const tls = { transport_socket: downstreamTls(settings.trustDomain) }
  const mesh = (alpn: readonly string[], filters: NetworkFilter[], name: string): FilterChain => ({
    name: `${prefix}${name}`,
    filter_chain_match: { ...match, transport_protocol: 'tls', application_protocols: alpn },
    ...tls,
    filters,
  })
  const plain = (more: Match, filters: NetworkFilter[], name: string): FilterChain => ({
    name: `${prefix}${name}`,
    filter_chain_match: { ...match, ...more },
    filters,
  })
  const permissive = mode === 'Permissive'
  // Envoy does not backtrack: once a chain names a transport protocol, those that name none are not looked at for it any more. So
  // an application's own TLS has a chain of its own beside that of mesh TLS.
  switch (protocol) {
    case 'http':
    case 'http2':
      return [
        mesh([ALPN_HTTP, ALPN_TCP], http(), 'mtls'),
        ...(permissive ? [plain({ transport_protocol: 'raw_buffer' }, http(), 'plaintext')] : []),
      ]
    case 'tcp':
    case 'tls':
      return [
        mesh([ALPN_HTTP, ALPN_TCP], tcp(), 'mtls'),
        ...(permissive
          ? [
              plain({ transport_protocol: 'raw_buffer' }, tcp(), 'plaintext'),
              plain({ transport_protocol: 'tls' }, tcp(), 'tls'),
            ]
          : []),
      ]
    case 'auto':
      return [
        mesh([ALPN_HTTP], http(), 'mtls-http'),
        mesh([ALPN_TCP], tcp(), 'mtls-tcp'),
        ...(permissive
          ? [
              plain(
                { transport_protocol: 'raw_buffer', application_protocols: HTTP_PROTOCOLS },
                http(),
                'plaintext-http',
              ),
              plain({ transport_protocol: 'raw_buffer' }, tcp(), 'plaintext-tcp'),
              plain({ transport_protocol: 'tls' }, tcp(), 'tls'),
            ]
          : []),
      ]
  }
}

function tcpProxy(cluster: string, statPrefix: string, settings: Settings): Extension {
  return extension('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: statPrefix,
    cluster,
    // Envoy would close a connection over which nothing goes for an hour
    idle_timeout: '0s',
    access_log: accessLogs(settings, 'Inbound'),
  })
}

type Predicate = Message<'envoy.config.listener.v3.ListenerFilterChainMatchPredicate'>

/** Servers on these ports may speak first: nobody waits to see whether the client speaks HTTP. */
function anyPort(ports: readonly number[]): Predicate {
  const rules = ports.map((port): Predicate => ({ destination_port_range: { start: port, end: port + 1 } }))
  const [only] = rules
  return rules.length === 1 && only !== undefined ? only : { or_match: { rules } }
}
