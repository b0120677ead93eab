/**
 * Where a workload and its proxy run. An isolation gives each workload a place: an address that peers dial, a way to start
 * the proxy and the application in it, and, where it can, interception, so that neither knows of the other.
 */
import type { Command } from '../processes.ts'

export interface PlacedWorkload {
  readonly namespace: string
  readonly name: string
  /** `Workload.spec.address`, one of a family. */
  readonly addresses: readonly string[]
  /** false: an ordinary machine without proxy or interception, of which the mesh knows nothing. */
  readonly intercept?: boolean
}

/** Who a process in a place runs as: the proxy has a user of its own where it must not be intercepted itself. */
export type Role = 'proxy' | 'app'

export interface Place extends AsyncDisposable {
  /** What peers dial. */
  readonly addresses: readonly string[]
  /** Where the application should listen: its environment's `HOST`. */
  readonly host: string
  /** Where the proxy listens for probes; `::` and `0.0.0.0` stand for all. */
  readonly probeAddress: string
  /** Where the probe ports are reached from inside the place. */
  readonly probeHost: string
  /** How to start a program here; `argv[0]` is looked up on PATH or is a path. */
  command(role: Role, argv: readonly string[]): Command
  /** Gives a file, or a folder with all in it, to the proxy's user. */
  readonly handOver: (path: string) => Promise<void>
}

/** Something that workloads resolve by name: a Service, or, without a namespace, a name as it is. */
export interface HostEntry {
  readonly namespace?: string
  readonly name: string
  readonly addresses: readonly string[]
}

export interface Isolation extends AsyncDisposable {
  readonly kind: 'netns' | 'loopback'
  /** true if applications dial services by their addresses and are intercepted; false if they need `UPSTREAM_…`. */
  readonly intercepts: boolean
  place(workload: PlacedWorkload): Promise<Place>
  /** Tells applications in all places, present and future, which names there are. Without effect where names are not needed. */
  setHosts(hosts: readonly HostEntry[]): Promise<void>
  /** Names of machines outside, for the proxies too, which see none of the others. */
  setOutsideHosts(hosts: readonly HostEntry[]): Promise<void>
}
