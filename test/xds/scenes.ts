// Situations that several tests begin with, and clients that refuse.
import { CLUSTER, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { ref } from './graph-source.ts'
import type { DeltaHarness } from './harness.ts'

/** A client with the wildcards of an on-demand sidecar. */
export function start(at: DeltaHarness): void {
  at.source.set(VIRTUAL_HOST, 'placeholder', '1').list(VIRTUAL_HOST, 'placeholder')
  at.peer.wildcard(CLUSTER)
  at.peer.wildcard(VIRTUAL_HOST)
  settle(at)
}

/** Everything is sent and answered. */
export function settle(at: DeltaHarness): void {
  at.commit().pump()
  while (at.peer.answerHeld() > 0) at.pump()
  at.sent()
}

/** Service x with a policy: two versions, and a cluster that loops through its virtual host. */
export function withPolicy(at: DeltaHarness): void {
  at.source.set(CLUSTER, 'x|v1', '1').set(CLUSTER, 'x|v2', '1')
  at.source.set(VIRTUAL_HOST, 'outbound/x', 'split', { requires: [ref(CLUSTER, 'x|v1'), ref(CLUSTER, 'x|v2')] })
  at.source.set(CLUSTER, 'x', 'loop', { requires: [ref(VIRTUAL_HOST, 'outbound/x')] })
}

export function refuseText(resources: readonly { readonly name: string; readonly bytes: Uint8Array }[], text: string) {
  const bad = resources.filter(({ bytes }) => Buffer.from(bytes).includes(text)).map(({ name }) => name)
  return bad.length > 0 ? `no: ${bad.join(' ')}` : undefined
}

export function refuseNamed(resources: readonly { readonly name: string }[], name: string) {
  return resources.some((resource) => resource.name === name) ? `no: ${name}` : undefined
}
