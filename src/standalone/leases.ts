/** The SVIDs of connected proxies: held while a stream of the identity lives, renewed meanwhile, and handed to the model. */
import type { Core } from '../core.ts'
import { spiffeId } from '../envoy/tls.ts'
import type { View } from '../envoy/view.ts'
import type { SvidLease, Svids } from '../identity/svids.ts'

export class SvidLeases implements Disposable {
  readonly #core: Core
  readonly #svids: Svids
  readonly #trustDomain: string
  readonly #held = new Map<string, { lease: SvidLease; streams: number }>()

  constructor(core: Core, svids: Svids, trustDomain: string) {
    this.#core = core
    this.#svids = svids
    this.#trustDomain = trustDomain
  }

  connected(view: View): void {
    // a proxyless client has no identity
    if (view.serviceAccount === '') return
    const id = this.#idOf(view)
    const held = this.#held.get(id)
    if (held !== undefined) {
      held.streams++
      return
    }
    const lease = this.#svids.hold({ id }, (svid) => {
      this.#core.svids.set(id, svid)
      this.#core.changed()
    })
    this.#held.set(id, { lease, streams: 1 })
    if (lease.svid !== undefined) this.#core.svids.set(id, lease.svid)
    this.#core.flush()
  }

  disconnected(view: View): void {
    const id = this.#idOf(view)
    const held = this.#held.get(id)
    if (held === undefined || --held.streams > 0) return
    held.lease[Symbol.dispose]()
    this.#held.delete(id)
    this.#core.svids.delete(id)
  }

  [Symbol.dispose](): void {
    for (const { lease } of this.#held.values()) lease[Symbol.dispose]()
    this.#held.clear()
  }

  #idOf(view: View): string {
    return spiffeId(this.#trustDomain, { namespace: view.namespace, name: view.serviceAccount })
  }
}
