/** What a proxy of a Workload is sent follows from the Workload and from how this machine places it; never from what it says. */
import type { View } from '../envoy/view.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { loopbackHost } from './addresses.ts'

export interface Placement {
  readonly interception: View['interception']
  readonly ipv6: boolean
}

/** Undefined where there is no such Workload. */
export function viewOf(mesh: Mesh, key: string, placement: Placement, protocol: 'delta' | 'sotw'): View | undefined {
  const workload = mesh.services.workload.get(key)
  if (workload === undefined) return undefined
  const { region, zone, subZone } = workload.locality
  const [address] = workload.addresses
  const interception = workload.interception ?? placement.interception
  return {
    workload: key,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
    locality: region === '' && zone === '' ? '' : `${region}/${zone}/${subZone}`,
    interception,
    appAddress:
      interception === 'Redirect' ? undefined : address?.startsWith('127.') ? loopbackHost(address) : '127.0.0.1',
    ipv6: placement.ipv6,
    stateOfTheWorld: protocol === 'sotw',
  }
}
