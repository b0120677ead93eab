/**
 * The packet filter rules that put a proxy between an application and the network, as `iptables-restore` reads them: one for
 * each address family, the same in a workload's network namespace here and in a pod. TCP only: UDP, and with it QUIC and
 * most DNS, passes untouched.
 */
import { INBOUND_PORT, INBOUND_SOURCE, OUTBOUND_PORT } from '../envoy/names.ts'

export type Family = 'ipv4' | 'ipv6'

/** Ports of a sidecar that are its own: peers reach them as they are. */
export const INTROSPECTION_PORT = 15020
export const READY_PORT = 15021
export const PROMETHEUS_PORT = 15090

/** User id of the proxy: what it sends is not intercepted again. */
export const PROXY_UID = 1337

export interface InterceptionOptions {
  readonly proxyUid?: number
  /** Users whose connections leave as they are. */
  readonly excludeUids?: readonly number[]
  /** Destination ports that applications reach directly. */
  readonly excludeOutboundPorts?: readonly number[]
  /** Destination ranges that applications reach directly, of either family. */
  readonly excludeOutboundCidrs?: readonly string[]
  /** If given, only these ranges are intercepted, of either family. */
  readonly includeOutboundCidrs?: readonly string[]
  /** Ports of the application that peers reach directly. */
  readonly excludeInboundPorts?: readonly number[]
  /** If given, only these ports of the application are intercepted. */
  readonly includeInboundPorts?: readonly number[]
}

const familyOf = (cidr: string): Family => (cidr.includes(':') ? 'ipv6' : 'ipv4')

/** Input of `iptables-restore --noflush` (or `ip6tables-restore`). Rules that others have made stay;
 * loading it twice is harmless. */
export function renderInterception(family: Family, options: InterceptionOptions = {}): string {
  const uid = options.proxyUid ?? PROXY_UID
  const loopback = family === 'ipv4' ? '127.0.0.0/8' : '::1/128'
  const source = family === 'ipv4' ? `${INBOUND_SOURCE.ipv4}/32` : `${INBOUND_SOURCE.ipv6}/128`
  const ofFamily = (cidrs: readonly string[]) => cidrs.filter((cidr) => familyOf(cidr) === family)
  const ownPorts = [INTROSPECTION_PORT, READY_PORT, PROMETHEUS_PORT]
  const toOutbound = `-j REDIRECT --to-ports ${OUTBOUND_PORT}`
  const toInbound = `-p tcp -j REDIRECT --to-ports ${INBOUND_PORT}`

  const inbound = [
    ...[...ownPorts, ...(options.excludeInboundPorts ?? [])].map((port) => `-p tcp --dport ${port} -j RETURN`),
    ...(options.includeInboundPorts?.map((port) => `-p tcp --dport ${port} -j REDIRECT --to-ports ${INBOUND_PORT}`) ?? [
      toInbound,
    ]),
  ]
  const outbound = [
    // The inbound side on its way to the application: it binds to this address, a mark that takes no privilege to set.
    `-o lo -s ${source} -j RETURN`,
    // The outbound listener chose this very workload: in by the inbound listener, as from any other caller.
    `-o lo ! -d ${loopback} -m owner --uid-owner ${uid} ${toInbound}`,
    `-m owner --uid-owner ${uid} -j RETURN`,
    ...(options.excludeUids ?? []).map((other) => `-m owner --uid-owner ${other} -j RETURN`),
    // An application that calls itself by localhost or by its own address needs no mesh.
    '-o lo -j RETURN',
    `-d ${loopback} -j RETURN`,
    ...(options.excludeOutboundPorts ?? []).map((port) => `-p tcp --dport ${port} -j RETURN`),
    ...ofFamily(options.excludeOutboundCidrs ?? []).map((cidr) => `-d ${cidr} -j RETURN`),
    ...(options.includeOutboundCidrs === undefined
      ? [`-p tcp ${toOutbound}`]
      : ofFamily(options.includeOutboundCidrs).map((cidr) => `-p tcp -d ${cidr} ${toOutbound}`)),
  ]
  return [
    '*nat',
    ':HEDDLE_INBOUND - [0:0]',
    ':HEDDLE_OUTBOUND - [0:0]',
    '-A PREROUTING -p tcp -j HEDDLE_INBOUND',
    '-A OUTPUT -p tcp -j HEDDLE_OUTBOUND',
    ...inbound.map((rule) => `-A HEDDLE_INBOUND ${rule}`),
    ...outbound.map((rule) => `-A HEDDLE_OUTBOUND ${rule}`),
    'COMMIT',
    '',
  ].join('\n')
}
