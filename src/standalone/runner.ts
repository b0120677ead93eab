/**
 * Brings the workloads that should run to the machine: for each a place, its proxy, and, once the proxy is ready, its
 * application. Told the whole list each time, it changes what differs: a new command restarts that application and nothing
 * else.
 */
import type { Isolation, Place } from './isolation/isolation.ts'
import type { EnvoyProcess } from './envoy-process.ts'
import { WorkloadUnit } from './workload-unit.ts'
import type { RunnableWorkload, RunnerOptions } from './runnable.ts'

const keyOf = (workload: { readonly namespace: string; readonly name: string }) =>
  `${workload.namespace}/${workload.name}`

export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions
  readonly #units = new Map<string, WorkloadUnit>()
  #count = 0
  #disposed = false

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /**
   * Makes what runs the same as `desired`. Resolves when all of it is so, or has failed, which an event tells; the next call
   * tries what failed again.
   */
  async reconcile(desired: readonly RunnableWorkload[]): Promise<void> {
    if (this.#disposed) return
    const wanted = new Map(desired.map((workload) => [keyOf(workload), workload]))
    const settled: Promise<void>[] = []
    for (const [key, unit] of this.#units) {
      if (!wanted.has(key)) settled.push(this.#remove(key, unit))
    }
    for (const [key, workload] of wanted) {
      let unit = this.#units.get(key)
      if (unit === undefined) {
        this.#count += 1
        unit = new WorkloadUnit(key, this.#count, this.#options)
        this.#units.set(key, unit)
      }
      settled.push(unit.set(workload))
    }
    await Promise.all(settled)
  }

  /** New trust anchors for all proxies' connections to the control plane; they are read without a restart. */
  async setBundle(bundle: string): Promise<void> {
    await Promise.all([...this.#units.values()].map((unit) => unit.setBundle(bundle)))
  }

  get isolation(): Isolation {
    return this.#options.isolation
  }

  /** Where the workload `namespace/name` runs, from its placing on. */
  place(key: string): Place | undefined {
    return this.#units.get(key)?.place
  }

  proxy(key: string): EnvoyProcess | undefined {
    return this.#units.get(key)?.proxy
  }

  /** What an application in this workload's place finds in its environment. */
  environment(key: string): Readonly<Record<string, string | undefined>> | undefined {
    return this.#units.get(key)?.environment
  }

  /** Stops everything, all workloads at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await Promise.all([...this.#units].map(([key, unit]) => this.#remove(key, unit)))
  }

  async #remove(key: string, unit: WorkloadUnit): Promise<void> {
    await unit.set(undefined)
    // it may have been wanted again meanwhile
    if (unit.isGone && this.#units.get(key) === unit) this.#units.delete(key)
  }
}
