/** What the runner is told, and what it tells. */
import type { XdsAddress } from './bootstrap.ts'
import type { Isolation } from './isolation/isolation.ts'
import type { RunDirectory } from './run-directory.ts'

/** What the runner needs to know of a workload: the model's, and how to start it. */
export interface RunnableWorkload {
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
  readonly addresses: readonly string[]
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string }
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  /** `service` is `namespace/name`. */
  readonly upstreams: readonly { readonly service: string; readonly servicePort: number; readonly localPort: number }[]
  /** Without it the workload has a place and a proxy, and whoever asks the runner for its place may run something there. */
  readonly run?: {
    readonly command: readonly string[]
    readonly env: Readonly<Record<string, string>>
    readonly workingDirectory: string
  }
}

/** How a proxy reaches the control plane, and what proves who it is. */
export interface ProxyAccess {
  readonly trustDomain: string
  readonly xds: XdsAddress
  readonly token: string
  /** Certificates that the control plane's own may come from, PEM. */
  readonly bundle: string
}

export type RunnerEvent =
  | { readonly type: 'placed'; readonly workload: string; readonly addresses: readonly string[] }
  /** `log` is the file that its Envoy writes to, access logs to standard output among the rest. */
  | { readonly type: 'proxy-ready'; readonly workload: string; readonly log: string }
  | { readonly type: 'proxy-exited'; readonly workload: string; readonly reason: string }
  | { readonly type: 'app-started'; readonly workload: string; readonly pid: number }
  /** It listens on all of its ports, or nobody waits for that any longer. */
  | { readonly type: 'app-ready'; readonly workload: string }
  | { readonly type: 'app-exited'; readonly workload: string; readonly reason: string }
  | { readonly type: 'output'; readonly workload: string; readonly line: string }
  | { readonly type: 'failed'; readonly workload: string; readonly reason: string }
  | { readonly type: 'stopped'; readonly workload: string }

export interface RunnerOptions {
  readonly isolation: Isolation
  readonly run: RunDirectory
  /** Path of the Envoy binary. */
  readonly envoy: string
  /** Asked each time a proxy is set up. */
  readonly access: (workload: RunnableWorkload) => ProxyAccess | Promise<ProxyAccess>
  /** What applications inherit; their own `env` and HOST, PORT and so on come on top. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly concurrency?: number
  readonly logLevel?: string
  readonly onEvent?: (event: RunnerEvent) => void
  /** How long an application may take until it listens, milliseconds; 10,000. After that it is served to as it is. */
  readonly listenPatience?: number
}
