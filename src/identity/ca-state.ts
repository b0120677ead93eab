// The certificate authority as a state machine: which root signs, which is on its way in or out, and who issues leaves.
//
//   steady ──(half of the root's life is over)──▶ introducing ──(overlap)──▶ retiring ──(overlap)──▶ steady
//
// While a root is introduced the bundle already holds it, but nothing is signed by it, so every verifier knows it in time.
// Then a new issuer under it takes over; the old root's key is gone at once, its certificate stays in the bundle until the
// last leaf below it has ended. Issuers need no such care, since servers send them along: a new one takes over at once.

import type { Random } from '../engine/clock.ts'
import type { Lifetimes } from './lifetimes.ts'
import { createIntermediate, createRoot, type Certificate, type SigningCertificate, type Validity } from './x509.ts'

export type RootState =
  | { readonly phase: 'steady'; readonly active: SigningCertificate }
  | {
      readonly phase: 'introducing'
      readonly active: SigningCertificate
      readonly next: SigningCertificate
      /** Milliseconds since the epoch. */
      readonly promoteAt: number
    }
  | {
      readonly phase: 'retiring'
      readonly active: SigningCertificate
      /** Without its key: it signs nothing any more. */
      readonly previous: Certificate
      readonly dropAt: number
    }

export interface CaState {
  readonly trustDomain: string
  readonly roots: RootState
  /** Signed by the active root. */
  readonly issuer: SigningCertificate
}

/** What a step is made with. */
export interface CaRules {
  readonly lifetimes: Lifetimes
  readonly random: Random
}

export function createState(trustDomain: string, now: number, rules: CaRules): CaState {
  const active = newRoot(trustDomain, now, rules)
  return { trustDomain, roots: { phase: 'steady', active }, issuer: newIssuer(trustDomain, active, now, rules) }
}

/** Everything that is due by `now`; the very same state if nothing is. */
export function advance(state: CaState, now: number, rules: CaRules): CaState {
  let current = state
  for (;;) {
    const next = step(current, now, rules)
    if (next === current) return current
    current = next
  }
}

/** When `advance` has something to do next, milliseconds since the epoch. */
export function dueAt({ roots, issuer }: CaState, { lifetimes }: CaRules): number {
  return Math.min(rootDueAt(roots, lifetimes), halfway(issuer, lifetimes.issuer))
}

/** Which certificates verifiers are to trust now, the active one first. */
export function trustedRoots({ roots }: CaState): readonly Certificate[] {
  switch (roots.phase) {
    case 'steady':
      return [roots.active]
    case 'introducing':
      return [roots.active, roots.next]
    case 'retiring':
      return [roots.active, roots.previous]
  }
}

/** Starts the replacement of the root ahead of its time. Undefined while another replacement is under way. */
export function introduceRoot(state: CaState, now: number, rules: CaRules): CaState | undefined {
  if (state.roots.phase !== 'steady') return undefined
  const { active } = state.roots
  const next = newRoot(state.trustDomain, now, rules)
  return { ...state, roots: { phase: 'introducing', active, next, promoteAt: now + rules.lifetimes.overlap } }
}

/** Replaces the issuer ahead of its time. */
export function replaceIssuer(state: CaState, now: number, rules: CaRules): CaState {
  return { ...state, issuer: newIssuer(state.trustDomain, state.roots.active, now, rules) }
}

/**
 * A state that was kept while nobody served it. Verifiers may not have heard of a root that was being introduced, so they
 * get at least `grace` before it signs.
 */
export function resume(state: CaState, now: number, grace: number): CaState {
  if (state.roots.phase !== 'introducing' || state.roots.promoteAt >= now + grace) return state
  return { ...state, roots: { ...state.roots, promoteAt: now + grace } }
}

function step(state: CaState, now: number, rules: CaRules): CaState {
  const { roots, issuer, trustDomain } = state
  const { lifetimes } = rules
  if (now >= rootDueAt(roots, lifetimes)) {
    switch (roots.phase) {
      case 'steady':
        // nothing below an ended root is trusted any more, so there is nobody to prepare
        return now >= roots.active.notAfter
          ? createState(trustDomain, now, rules)
          : (introduceRoot(state, now, rules) ?? state)
      case 'introducing': {
        const { active, next } = roots
        // the key of the old root is left behind here
        const { x509, pem, id, notBefore, notAfter } = active
        return {
          trustDomain,
          roots: {
            phase: 'retiring',
            active: next,
            previous: { x509, pem, id, notBefore, notAfter },
            dropAt: now + lifetimes.overlap,
          },
          issuer: newIssuer(trustDomain, next, now, rules),
        }
      }
      case 'retiring':
        return { ...state, roots: { phase: 'steady', active: roots.active } }
    }
  }
  if (now >= halfway(issuer, lifetimes.issuer)) {
    const renewed = replaceIssuer(state, now, rules)
    // under a root that is about to end a new issuer may not last any longer: then there is nothing to gain
    if (renewed.issuer.notAfter > issuer.notAfter) return renewed
  }
  return state
}

function rootDueAt(roots: RootState, lifetimes: Lifetimes): number {
  switch (roots.phase) {
    case 'steady':
      return halfway(roots.active, lifetimes.root)
    case 'introducing':
      // an active root that ends earlier cannot be waited for
      return Math.min(roots.promoteAt, roots.active.notAfter)
    case 'retiring':
      return Math.min(roots.dropAt, roots.previous.notAfter)
  }
}

/** Counted from the end, since the beginning of a life is set back for skewed clocks. */
function halfway({ notAfter }: Validity, life: number): number {
  return notAfter - life / 2
}

function newRoot(trustDomain: string, now: number, { lifetimes, random }: CaRules): SigningCertificate {
  return createRoot(trustDomain, { notBefore: now - lifetimes.skew, notAfter: now + lifetimes.root }, random)
}

function newIssuer(trustDomain: string, root: SigningCertificate, now: number, rules: CaRules): SigningCertificate {
  const { lifetimes, random } = rules
  const validity = { notBefore: now - lifetimes.skew, notAfter: now + lifetimes.issuer }
  return createIntermediate(trustDomain, root, validity, random)
}
