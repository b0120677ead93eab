// What of a proxy decides the content that it is sent. Two proxies with equal views share every byte; what follows from identity
// alone (its inbound side, its secrets) is keyed by the workload.

export interface View {
  /** Key of the workload the proxy stands before. */
  readonly workload: string
  readonly namespace: string
  readonly serviceAccount: string
  /** `region/zone/subZone` of the proxy; empty where it says none. */
  readonly locality: string
  /** How connections reach the proxy: redirected by the kernel with their original destination, or on ports of its own. */
  readonly interception: 'Redirect' | 'None'
  /** What the application is reached at where nothing is redirected: the address that it listens on. */
  readonly appAddress: string | undefined
  /** Whether the host has IPv6. */
  readonly ipv6: boolean
  /** Speaks state-of-the-world, which has neither on-demand clusters nor VHDS: it is sent everything visible. */
  readonly stateOfTheWorld: boolean
}
