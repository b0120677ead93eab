/** Where assigned addresses are kept between runs: one file of the state folder. */
import { z } from 'zod'
import type { StateDir } from '../identity/state-dir.ts'
import type { AddressStore } from './addresses.ts'

const FILE = 'addresses.json'
const table = z.record(z.string(), z.array(z.union([z.ipv4(), z.ipv6()])))

export function stateAddressStore(stateDir: StateDir): AddressStore {
  return {
    async load() {
      const text = (await stateDir.read(FILE)) ?? '{}'
      try {
        return table.parse(JSON.parse(text))
      } catch {
        // A file that was spoilt costs stability of addresses that collided, nothing else: they follow from names.
        return {}
      }
    },
    save: (addresses) => stateDir.write(FILE, `${JSON.stringify(addresses, null, 2)}\n`),
  }
}
