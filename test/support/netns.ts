/** Tests in network namespaces run where they can: as root on Linux, with iptables. Elsewhere loopback tests stand alone. */
import { missingForNetns } from '../../src/standalone/isolation/netns.ts'

/** Which isolations tests use on this machine. */
export const isolations: readonly ('netns' | 'loopback')[] =
  (await missingForNetns()).length === 0 ? ['netns', 'loopback'] : ['loopback']
