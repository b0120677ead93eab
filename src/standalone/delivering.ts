/** The delivery as the xDS server sees it, with the identities of connected proxies held for as long as they are connected. */
import type { View } from '../envoy/view.ts'
import type { ResourceSource } from '../xds/source.ts'
import type { SvidLeases } from './leases.ts'

export function delivering(delivery: ResourceSource<View>, leases: SvidLeases, met: () => void): ResourceSource<View> {
  return {
    watch: (view, type, name, changed) => delivery.watch(view, type, name, changed),
    watchNames: (view, type, changed) => delivery.watchNames(view, type, changed),
    refused: (view, refusal) => delivery.refused(view, refusal),
    accepted: (view, type, name, version) => delivery.accepted(view, type, name, version),
    asked: (view, type, name, found) => delivery.asked(view, type, name, found),
    answersLater: (view, type, name) => delivery.answersLater?.(view, type, name) ?? false,
    released: (view, type, name) => delivery.released(view, type, name),
    connected(view) {
      leases.connected(view)
      delivery.connected(view)
      met()
    },
    disconnected(view) {
      delivery.disconnected(view)
      leases.disconnected(view)
    },
  }
}
