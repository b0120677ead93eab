// The certificate authority at work: what the rest of the control plane asks for issuer and trust bundle, and is told of
// their changes. There are two: one of Heddle's own, which rotates root and issuer by itself, and one that the user brings.
//
// A step is stored before anybody learns of it, so that a crash can lose nothing that was handed out already.

import { createHash } from 'node:crypto'
import { parseState, serializeState, type AuthorityStore } from './authority-store.ts'
import * as ca from './ca-state.ts'
import type { Clock, Random } from '../engine/clock.ts'
import type { Lifetimes } from './lifetimes.ts'
import type { IdentityMetrics } from './metrics.ts'
import { createIssuer, type Certificate, type Issuer } from './x509.ts'

/** The certificates that a verifier trusts. */
export interface TrustBundle {
  readonly trustDomain: string
  readonly roots: readonly Certificate[]
  /** All of them, joined. */
  readonly pem: string
  /** Follows from the content alone. */
  readonly version: string
}

export interface Authority extends Disposable {
  readonly trustDomain: string
  /** Signs leaves now. */
  readonly issuer: Issuer
  /** The root that the issuer stands under. */
  readonly root: Certificate
  readonly bundle: TrustBundle
  /** Tells of a new issuer or bundle; both are in force already. */
  onChange(changed: () => void): Disposable
}

export class AuthorityError extends Error {
  override readonly name = 'AuthorityError'
}

export interface OwnAuthorityOptions {
  readonly trustDomain: string
  readonly store: AuthorityStore
  readonly lifetimes: Lifetimes
  readonly clock: Clock
  readonly random: Random
  readonly metrics: IdentityMetrics
  /** Told when the store fails after the start. The authority goes on with what it has and tries again. */
  readonly onError: (error: unknown) => void
}

/** For people: where a rotation stands. */
export interface RotationStatus {
  readonly phase: ca.RootState['phase']
  /** When the next step is due, milliseconds since the epoch. */
  readonly nextStep: number
}

const SHORTEST_NAP = 1000
const RETRY_AFTER = 10_000
const GRACE = 60_000

/** Heddle's own certificate authority: a root, and an issuer below it. */
export class OwnAuthority implements Authority {
  readonly trustDomain: string
  readonly #options: OwnAuthorityOptions
  readonly #listeners = new Set<() => void>()
  #state: ca.CaState
  #revision: string | undefined
  #issuer: Issuer
  #bundle: TrustBundle
  #timer: Disposable | undefined
  #storeWatch: Disposable | undefined
  /** Steps run one after the other. */
  #turn: Promise<void> = Promise.resolve()
  #disposed = false

  private constructor(options: OwnAuthorityOptions, state: ca.CaState, revision: string) {
    this.trustDomain = options.trustDomain
    this.#options = options
    this.#state = state
    this.#revision = revision
    this.#issuer = createIssuer(state.issuer, [state.issuer])
    this.#bundle = createBundle(options.trustDomain, ca.trustedRoots(state))
  }

  /** Loads the state, or makes and stores one. Throws an AuthorityError that says how to mend it, or the store's error. */
  static async open(options: OwnAuthorityOptions): Promise<OwnAuthority> {
    const { clock, lifetimes, store, trustDomain } = options
    for (;;) {
      const stored = await store.load()
      const now = clock.now()
      if (stored === undefined) {
        const state = ca.createState(trustDomain, now, options)
        const revision = await store.save(serializeState(state), undefined)
        // another replica may have been faster
        if (revision !== undefined) return new OwnAuthority(options, state, revision).#start()
      } else {
        const state = readState(stored.text, options)
        const resumed = ca.resume(state, now, Math.min(GRACE, lifetimes.overlap))
        const authority = new OwnAuthority(options, resumed, stored.revision)
        await authority.#step()
        return authority.#start()
      }
    }
  }

  get issuer(): Issuer {
    return this.#issuer
  }

  get root(): Certificate {
    return this.#state.roots.active
  }

  get bundle(): TrustBundle {
    return this.#bundle
  }

  get rotation(): RotationStatus {
    return { phase: this.#state.roots.phase, nextStep: ca.dueAt(this.#state, this.#options) }
  }

  onChange(changed: () => void): Disposable {
    const listener = (): void => changed()
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Replaces the issuer now. */
  async rotateIssuer(): Promise<void> {
    await this.#enqueue((state, now) => ca.replaceIssuer(state, now, this.#options))
  }

  /**
   * Begins to replace the root now; the rest follows by itself (two overlaps later the old one is gone). False if a
   * replacement is under way already.
   */
  async rotateRoot(): Promise<boolean> {
    let begun = true
    await this.#enqueue((state, now) => {
      const next = ca.introduceRoot(state, now, this.#options)
      begun = next !== undefined
      return next ?? state
    })
    return begun
  }

  /** Resolves when every step that is due has been taken and stored, or has failed. */
  async settled(): Promise<void> {
    await this.#turn
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.[Symbol.dispose]()
    this.#storeWatch?.[Symbol.dispose]()
    this.#listeners.clear()
  }

  #start(): this {
    this.#options.metrics.authority(this.root, this.#issuer.certificate)
    this.#storeWatch = this.#options.store.watch?.(() => this.#background(() => this.#reload()))
    this.#arm(ca.dueAt(this.#state, this.#options))
    return this
  }

  #arm(time: number): void {
    this.#timer?.[Symbol.dispose]()
    if (this.#disposed) return
    const { clock } = this.#options
    const wake = (): void => this.#background(() => this.#step())
    this.#timer = clock.at(Math.max(time, clock.now() + SHORTEST_NAP), wake)
  }

  /** Work that nobody waits for. */
  #background(work: () => Promise<void>): void {
    const turn = this.#turn
    const run = async (): Promise<void> => {
      await turn
      if (this.#disposed) return
      try {
        await work()
        this.#arm(ca.dueAt(this.#state, this.#options))
      } catch (error) {
        this.#options.metrics.failed('store')
        this.#options.onError(error)
        this.#arm(this.#options.clock.now() + RETRY_AFTER)
      }
    }
    this.#turn = run()
  }

  /** Work that somebody waits for: its error is theirs, and the next in the queue goes on. */
  async #enqueue(change: (state: ca.CaState, now: number) => ca.CaState): Promise<void> {
    const work = this.#turn.then(() => this.#step(change))
    this.#turn = work.then(
      () => this.#arm(ca.dueAt(this.#state, this.#options)),
      () => undefined,
    )
    await work
  }

  /** Takes all steps that are due, and `change` with them: stored first, then told. */
  async #step(change: (state: ca.CaState, now: number) => ca.CaState = (state) => state): Promise<void> {
    for (;;) {
      const now = this.#options.clock.now()
      const next = change(ca.advance(this.#state, now, this.#options), now)
      if (next === this.#state) return
      const revision = await this.#options.store.save(serializeState(next), this.#revision)
      if (revision !== undefined) {
        this.#adopt(next, revision)
        return
      }
      // another replica was faster: whatever it did is the state to go on from
      await this.#reload()
    }
  }

  async #reload(): Promise<void> {
    const { store } = this.#options
    const stored = await store.load()
    if (stored === undefined) {
      throw new AuthorityError(
        `${store.description} is gone: the certificate authority goes on from memory; restore it`,
      )
    }
    if (stored.revision !== this.#revision) this.#adopt(readState(stored.text, this.#options), stored.revision)
  }

  #adopt(state: ca.CaState, revision: string): void {
    const before = this.#state
    this.#state = state
    this.#revision = revision
    const roots = ca.trustedRoots(state)
    if (state.issuer.id !== before.issuer.id) {
      this.#issuer = createIssuer(state.issuer, [state.issuer])
      this.#options.metrics.rotated('issuer')
    }
    if (state.roots.active.id !== before.roots.active.id) this.#options.metrics.rotated('root')
    const bundle = createBundle(this.trustDomain, roots)
    if (bundle.version !== this.#bundle.version) this.#bundle = bundle
    this.#options.metrics.authority(this.root, this.#issuer.certificate)
    for (const listener of this.#listeners) listener()
  }
}

/** The version is independent of the order, which changes when a root is promoted and means nothing to verifiers. */
export function createBundle(trustDomain: string, roots: readonly Certificate[]): TrustBundle {
  const sorted = roots.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const pem = sorted.map((root) => root.pem).join('')
  return { trustDomain, roots: sorted, pem, version: createHash('sha256').update(pem).digest('hex').slice(0, 16) }
}

function readState(text: string, { store, trustDomain }: OwnAuthorityOptions): ca.CaState {
  const parsed = parseState(text)
  if (!parsed.ok) {
    throw new AuthorityError(
      `${store.description} does not hold a certificate authority (${parsed.reason}): restore it from a backup, ` +
        'or remove it, so that a new one is made, which every proxy has to be given',
    )
  }
  if (parsed.state.trustDomain !== trustDomain) {
    throw new AuthorityError(
      `${store.description} holds the certificate authority of trust domain '${parsed.state.trustDomain}', ` +
        `but the mesh's is '${trustDomain}': set that one back, or remove what is stored, so that a new one is made`,
    )
  }
  return parsed.state
}
