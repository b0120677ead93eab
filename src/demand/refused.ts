// Addresses that applications dialled and nobody has. Envoy never asks for a name again once it was answered "there is none", and a
// second request would wait for an answer that does not come: so the names are sent back as a virtual host that refuses at once.
import type { Graph, Reader, Table } from '../engine/graph.ts'

/** Names kept for one workload: 10,000 make some 2 MB of configuration in its proxy. */
const MOST = 10_000

export class RefusedNames {
  readonly #names: Table<readonly string[]>
  readonly #sets = new Map<string, Set<string>>()
  /** Since the last commit. */
  readonly #fresh = new Set<string>()
  readonly reader: Reader<readonly string[]>

  constructor(graph: Graph) {
    const table: Table<readonly string[]> = graph.table('demand.refused')
    this.#names = table
    this.reader = { name: table.name, get: (workload) => table.get(workload) ?? [] }
  }

  add(workload: string, name: string): void {
    let set = this.#sets.get(workload)
    if (set === undefined) this.#sets.set(workload, (set = new Set()))
    if (set.has(name) || set.size >= MOST) return
    set.add(name)
    this.#fresh.add(`${workload} ${name}`)
    this.#publish(workload, set)
  }

  /** Whether the virtual host that refuses a name is still to be made: only then may its asking be answered. */
  isFresh(workload: string, name: string): boolean {
    return this.#fresh.has(`${workload} ${name}`)
  }

  /** What was added so far is in force. */
  committed(): void {
    this.#fresh.clear()
  }

  delete(workload: string, name: string): void {
    const set = this.#sets.get(workload)
    if (set?.delete(name) === true) this.#publish(workload, set)
  }

  /** Forgets a workload none of whose proxies is there any more. */
  forget(workload: string): void {
    if (this.#sets.delete(workload)) this.#names.delete(workload)
  }

  #publish(workload: string, set: ReadonlySet<string>): void {
    if (set.size === 0) this.#names.delete(workload)
    // unordered: it is sorted once, when it is sent
    else this.#names.set(workload, [...set])
  }
}
