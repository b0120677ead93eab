/**
 * Isolation without privileges: everything runs on this machine's loopback network. Each workload has an address in 127/8,
 * where its proxy listens for peers, and a second one, where its application listens and finds its upstreams. Nothing is
 * intercepted, and any process on the machine can reach any application: for development, not for protection.
 */
import { loopbackHost } from '../addresses.ts'
import { commandOf } from '../processes.ts'
import type { Isolation, Place, PlacedWorkload } from './isolation.ts'

/** `prefix` comes before every command: what makes it die with this process. */
export function loopbackIsolation(prefix: readonly string[]): Isolation {
  return {
    kind: 'loopback',
    intercepts: false,
    place: (workload) => Promise.resolve(loopbackPlace(workload, prefix)),
    setHosts: () => Promise.resolve(),
    setOutsideHosts: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function loopbackPlace(workload: PlacedWorkload, prefix: readonly string[]): Place {
  const address = workload.addresses.find((candidate) => candidate.startsWith('127.'))
  if (address === undefined) {
    throw new Error(
      `Workload ${workload.namespace}/${workload.name}: spec.address is ${workload.addresses.join(', ') || 'missing'}; ` +
        'loopback isolation needs an address in 127.0.0.0/8. Leave it out to have one assigned, or use --isolation=netns.',
    )
  }
  return {
    addresses: [address],
    host: loopbackHost(address),
    probeAddress: address,
    probeHost: address,
    command: (_role, argv) => commandOf([...prefix, ...argv]),
    handOver: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
