/**
 * Plays the API server's role for addresses: a Service without `clusterIP`, and a Workload without `address`, gets one from a
 * range. It follows from the object's name (a hash, then the next free one), so that it is the same everywhere as long as no
 * two names collide, and it is kept in the state folder, so that it stays even then.
 */
import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

/** Addresses by object, as they are kept: `Service/namespace/name` to one address a family. */
export type AddressTable = Readonly<Record<string, readonly string[]>>

/** Where the table is kept between runs. */
export interface AddressStore {
  load(): Promise<AddressTable>
  save(table: AddressTable): Promise<void>
}

export interface AddressRanges {
  /** CIDRs, at most one of a family. */
  readonly Service: readonly string[]
  readonly Workload: readonly string[]
}

/** Where loopback isolation takes its workloads' addresses; the applications' own follow from them (`loopbackHost`). */
export const LOOPBACK_WORKLOADS = '127.64.0.0/12'

/** In loopback isolation, where the application of the workload at `address` listens: 127.65.1.2 gives 127.193.1.2. */
export function loopbackHost(address: string): string {
  const [first, second, third, fourth] = address.split('.').map(Number)
  return `${first}.${(second ?? 0) ^ 128}.${third}.${fourth}`
}

const groupsOf = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(':')

/** The number that an IP address is; throws if it is none. */
export function parseAddress(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  if (!isIPv6(address) || address.includes('%')) throw new Error(`not an IP address: ${address}`)
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail)
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}

/** An IP address as text, IPv6 in the canonical form of RFC 5952, which is what Envoy prints. */
export function formatAddress(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

interface Range {
  readonly family: 4 | 6
  readonly first: bigint
  /** How many addresses may be given out, beginning with `first`. */
  readonly size: bigint
}

function parseRange(cidr: string): Range {
  const [address = '', bits = ''] = cidr.split('/')
  const family = address.includes(':') ? 6 : 4
  const width = family === 4 ? 32 : 128
  const length = Number(bits)
  if (!/^[0-9]+$/.test(bits) || length > width) throw new Error(`not an address range: ${cidr}`)
  const size = 1n << BigInt(width - length)
  const start = (parseAddress(address) / size) * size
  // Not the network's own address, and in IPv4 not the broadcast address.
  const usable = size - (family === 4 ? 2n : 1n)
  if (usable < 1n) throw new Error(`address range ${cidr} is too small: it holds no address to give out`)
  return { family, first: start + 1n, size: usable }
}

const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4)

type AddressKind = keyof AddressRanges

const kindOf = (owner: string): AddressKind => (owner.startsWith('Service/') ? 'Service' : 'Workload')

/** Gives out addresses and remembers to whom. `key` is an object's `namespace/name`. */
export class AddressAllocator {
  readonly #owners = new Map<string, string>()
  readonly #given = new Map<string, readonly string[]>()
  readonly #chosen = new Map<string, readonly string[]>()
  #ranges: Readonly<Record<AddressKind, readonly Range[]>> = { Service: [], Workload: [] }
  #changed = false

  /** `known` is what an earlier run gave out. Throws if a range is not one. */
  constructor(ranges: AddressRanges, known: AddressTable = {}) {
    for (const [owner, addresses] of Object.entries(known)) this.#give(owner, addresses)
    this.setRanges(ranges)
  }

  /** Addresses outside of the new ranges are taken back: whoever had one gets another when next asked. Throws as above. */
  setRanges(ranges: AddressRanges): void {
    this.#ranges = { Service: ranges.Service.map(parseRange), Workload: ranges.Workload.map(parseRange) }
    for (const [owner, addresses] of this.#given) {
      if (!addresses.every((address) => this.#fits(kindOf(owner), address))) this.#take(this.#given, owner)
    }
  }

  /** People chose these addresses for an object themselves. Whoever was given one of them gets another when next asked. */
  reserve(kind: AddressKind, key: string, addresses: readonly string[]): void {
    const owner = `${kind}/${key}`
    if (this.#chosen.get(owner)?.join() === addresses.join()) return
    this.#take(this.#given, owner)
    this.#take(this.#chosen, owner)
    this.#chosen.set(owner, addresses)
    for (const address of addresses) {
      const holder = this.#owners.get(address)
      if (holder !== undefined && this.#given.has(holder)) this.#take(this.#given, holder)
      if (!this.#owners.has(address)) this.#owners.set(address, owner)
    }
  }

  /** Addresses of an object that names none: one of each family that its range has. Throws when a range is used up. */
  allocate(kind: AddressKind, key: string): readonly string[] {
    const owner = `${kind}/${key}`
    const ranges = this.#ranges[kind]
    const known = this.#given.get(owner)
    if (known?.length === ranges.length) return known
    this.#take(this.#chosen, owner)
    const addresses = ranges.map(
      (range) => known?.find((address) => familyOf(address) === range.family) ?? this.#probe(range, owner),
    )
    this.#give(owner, addresses)
    this.#changed = true
    return addresses
  }

  /** The object is gone: its addresses may be given to others. */
  release(kind: AddressKind, key: string): void {
    this.#take(this.#chosen, `${kind}/${key}`)
    this.#take(this.#given, `${kind}/${key}`)
  }

  /** Keeps what was given out, if that changed since the last time. */
  async flush(store: AddressStore): Promise<void> {
    if (!this.#changed) return
    this.#changed = false
    await store.save(Object.fromEntries([...this.#given].toSorted(([a], [b]) => (a < b ? -1 : 1))))
  }

  #give(owner: string, addresses: readonly string[]): void {
    this.#given.set(owner, addresses)
    for (const address of addresses) this.#owners.set(address, owner)
  }

  #take(table: Map<string, readonly string[]>, owner: string): void {
    for (const address of table.get(owner) ?? []) if (this.#owners.get(address) === owner) this.#owners.delete(address)
    if (table.delete(owner) && table === this.#given) this.#changed = true
  }

  #fits(kind: AddressKind, address: string): boolean {
    const value = parseAddress(address)
    return this.#ranges[kind].some(
      (range) => range.family === familyOf(address) && value >= range.first && value < range.first + range.size,
    )
  }

  #probe(range: Range, owner: string): string {
    const hash = createHash('sha256').update(owner).digest().readBigUInt64BE()
    for (let step = 0n; step < range.size && step < MAX_PROBES; step += 1n) {
      const address = formatAddress(range.first + ((hash + step) % range.size), range.family)
      if (!this.#owners.has(address)) return address
    }
    throw new Error(`no free address for ${owner.replace('/', ' ')}: its range is used up. Give the Mesh a larger one.`)
  }
}

/** Far more than there are objects: a search that takes longer has found a full range. */
const MAX_PROBES = 1_000_000n
