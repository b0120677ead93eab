// The SVIDs in use: one for each identity that somebody watches, renewed before half of its life is left.
//
// An identity's time is cut into slots of half a leaf's life, shifted by a hash of the identity, so that renewals spread
// evenly. A leaf lives to the end of the slot after its own. So its version follows from identity, issuer and slot alone:
// another replica, or this one after a restart, names the same version, and a proxy that has it is sent nothing.
// A key and certificate are made only when somebody reads them.

import { createHash, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import type { Authority } from './authority.ts'
import type { Clock, Random } from '../engine/clock.ts'
import type { Lifetimes } from './lifetimes.ts'
import type { IdentityMetrics } from './metrics.ts'
import { issueLeaf, type Issuer, type Leaf, type LeafRequest } from './x509.ts'

/** An identity, its certificate and its key. What prints it shows no key. */
export class Svid {
  /** The SPIFFE ID. */
  readonly id: string
  /** Changes exactly when the certificate is another. */
  readonly version: string
  /** The certificate ends then, milliseconds since the epoch. */
  readonly notAfter: number
  /** It has a successor by then. */
  readonly renewAt: number
  /** The root it stands under. */
  readonly rootId: string
  /** Its life is cut short by its issuer's: a new issuer can do better. */
  readonly isCutShort: boolean
  readonly #make: () => Leaf
  #leaf: Leaf | undefined

  constructor(plan: SvidPlan, make: () => Leaf) {
    this.id = plan.id
    this.version = plan.version
    this.notAfter = plan.notAfter
    this.renewAt = plan.renewAt
    this.rootId = plan.rootId
    this.isCutShort = plan.isCutShort
    this.#make = make
  }

  /** PEM: the certificate and what leads to a root. */
  get certificateChain(): string {
    this.#leaf ??= this.#make()
    return this.#leaf.chain
  }

  get privateKey(): KeyObject {
    this.#leaf ??= this.#make()
    return this.#leaf.privateKey
  }

  /** PKCS #8 PEM, for the wire only. */
  exportPrivateKey(): string {
    return this.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  toJSON(): Readonly<Record<string, string>> {
    return {
      id: this.id,
      version: this.version,
      notAfter: new Date(this.notAfter).toISOString(),
      renewAt: new Date(this.renewAt).toISOString(),
    }
  }

  [inspect.custom](): string {
    return `Svid ${inspect(this.toJSON())}`
  }
}

export interface SvidPlan {
  readonly id: string
  readonly version: string
  readonly notAfter: number
  readonly renewAt: number
  readonly rootId: string
  readonly isCutShort: boolean
}

export interface SvidsOptions {
  readonly authority: Authority
  readonly lifetimes: Lifetimes
  readonly clock: Clock
  readonly random: Random
  readonly metrics: IdentityMetrics
}

/** Keeps the SVID of one identity for as long as it is not disposed of. */
export interface SvidLease extends Disposable {
  /** Undefined while the authority cannot sign, its own certificate having ended. */
  readonly svid: Svid | undefined
}

interface Entry {
  readonly request: LeafRequest
  readonly listeners: Set<(svid: Svid) => void>
  svid: Svid | undefined
}

/** Renewals that fall due within this part of a slot of each other are made together. */
const BATCHES_A_SLOT = 500

export class Svids implements Disposable {
  readonly #options: SvidsOptions
  readonly #entries = new Map<string, Entry>()
  readonly #authorityWatch: Disposable
  #timer: Disposable | undefined
  #timerAt = Infinity

  constructor(options: SvidsOptions) {
    this.#options = options
    this.#authorityWatch = options.authority.onChange(() => this.#authorityChanged())
    options.metrics.observeSvids(() => ({ count: this.size, earliestEnd: this.#earliestEnd() }))
  }

  /** How many identities are in use. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Holds the SVID of an identity, the same one for all that ask for the same. `changed` is told of its successors, not of
   * the one that the lease shows at once.
   */
  hold(request: LeafRequest, changed?: (svid: Svid) => void): SvidLease {
    const key = keyOf(request)
    const entry = this.#entries.get(key) ?? this.#add(key, request)
    // one of its own, since two leases may be told by the same function
    const listener = (svid: Svid): void => changed?.(svid)
    entry.listeners.add(listener)
    return {
      get svid() {
        return entry.svid
      },
      [Symbol.dispose]: () => {
        entry.listeners.delete(listener)
        if (entry.listeners.size === 0 && this.#entries.get(key) === entry) this.#entries.delete(key)
      },
    }
  }

  /** Replaces every SVID whose time has come; returns how many. Called by its own timer. */
  renewDue(): number {
    const { clock, lifetimes } = this.#options
    const until = clock.now() + lifetimes.leaf / 2 / BATCHES_A_SLOT
    return this.#replace(until, ({ svid }) => svid === undefined || svid.renewAt <= until)
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
    this.#authorityWatch[Symbol.dispose]()
    this.#entries.clear()
  }

  #add(key: string, request: LeafRequest): Entry {
    const entry: Entry = { request, listeners: new Set(), svid: this.#next(key, request, this.#options.clock.now()) }
    this.#entries.set(key, entry)
    if (entry.svid !== undefined) this.#arm(entry.svid.renewAt)
    return entry
  }

  /** Below a root that is trusted no more, or an issuer that was about to end, an SVID cannot wait for its own time. */
  #authorityChanged(): void {
    const { authority, clock } = this.#options
    const trusted = new Set(authority.bundle.roots.map(({ id }) => id))
    this.#replace(clock.now(), ({ svid }) => svid === undefined || svid.isCutShort || !trusted.has(svid.rootId))
  }

  #replace(time: number, isDue: (entry: Entry) => boolean): number {
    const told: [Entry, Svid][] = []
    let earliest = Infinity
    for (const [key, entry] of this.#entries) {
      const next = isDue(entry) ? this.#next(key, entry.request, time) : undefined
      if (next !== undefined && next.version !== entry.svid?.version) {
        entry.svid = next
        told.push([entry, next])
      }
      // for one that could not be replaced only another issuer helps, and that tells by itself
      if (entry.svid !== undefined && entry.svid.renewAt > time) earliest = Math.min(earliest, entry.svid.renewAt)
    }
    if (earliest !== Infinity) this.#arm(earliest)
    for (const [{ listeners }, svid] of told) {
      this.#options.metrics.renewed()
      for (const listener of listeners) listener(svid)
    }
    return told.length
  }

  #next(key: string, request: LeafRequest, time: number): Svid | undefined {
    const { authority, lifetimes, clock, random, metrics } = this.#options
    const { issuer, root } = authority
    const plan = planSvid(key, request.id, issuer, root.id, lifetimes, time)
    if (plan === undefined) {
      metrics.failed('issue')
      return undefined
    }
    return new Svid(plan, () => {
      metrics.issued()
      const validity = { notBefore: clock.now() - lifetimes.skew, notAfter: plan.notAfter }
      return issueLeaf(issuer, request, validity, random)
    })
  }

  #arm(time: number): void {
    if (time >= this.#timerAt) return
    this.#timer?.[Symbol.dispose]()
    this.#timerAt = time
    this.#timer = this.#options.clock.at(time, () => {
      this.#timerAt = Infinity
      this.renewDue()
    })
  }

  #earliestEnd(): number | undefined {
    let earliest: number | undefined
    for (const { svid } of this.#entries.values()) {
      if (svid !== undefined && svid.notAfter < (earliest ?? Infinity)) earliest = svid.notAfter
    }
    return earliest
  }
}

/**
 * What the SVID of an identity is at a time: a pure function, so that all replicas agree. Undefined if the issuer's own life
 * is over.
 */
export function planSvid(
  key: string,
  id: string,
  issuer: Issuer,
  rootId: string,
  { leaf }: Pick<Lifetimes, 'leaf'>,
  now: number,
): SvidPlan | undefined {
  const end = issuer.certificate.notAfter
  if (now >= end) return undefined
  const slot = leaf / 2
  const phase = phaseOf(key, slot)
  const start = Math.floor((now - phase) / slot) * slot + phase
  const wanted = Math.floor((start + leaf) / 1000) * 1000
  const notAfter = Math.min(wanted, end)
  const renewAt = Math.min(start + slot, notAfter)
  const version = createHash('sha256').update(`${key}\n${issuer.certificate.id}\n${renewAt}`).digest('hex').slice(0, 16)
  return { id, version, notAfter, renewAt, rootId, isCutShort: notAfter < wanted }
}

/** Where an identity's slots begin, in whole milliseconds: spread evenly by a hash. */
function phaseOf(key: string, slot: number): number {
  return Math.floor((createHash('sha256').update(key).digest().readUInt32BE(0) / 2 ** 32) * slot)
}

function keyOf({ id, dns = [], ip = [] }: LeafRequest): string {
  return dns.length + ip.length === 0 ? id : JSON.stringify([id, dns, ip])
}
