import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseState, serializeState } from '../../src/identity/authority-store.ts'
import {
  advance,
  createState,
  dueAt,
  introduceRoot,
  replaceIssuer,
  resume,
  trustedRoots,
  type CaState,
} from '../../src/identity/ca-state.ts'
import { verifyChain } from '../../src/identity/chain.ts'
import { lifetimeProblems, lifetimes } from '../../src/identity/lifetimes.ts'
import { planSvid } from '../../src/identity/svids.ts'
import { createIssuer, issueLeaf, readCertificates } from '../../src/identity/x509.ts'
import { CART, DAY, DOMAIN, FAST, SECOND } from './world.ts'

const START = Date.UTC(2026, 0, 1)
const rules = { lifetimes: FAST, random: randomBytes }

describe('the life of a root', () => {
  it('goes from steady to introducing to retiring to steady', () => {
    const first = createState(DOMAIN, START, rules)
    expect(first.roots.phase).toBe('steady')
    expect(advance(first, START + 59 * SECOND, rules)).toBe(first)

    const introducing = advance(first, START + 180 * SECOND, rules)
    expect(introducing.roots).toMatchObject({ phase: 'introducing', promoteAt: START + 240 * SECOND })
    expect(introducing.roots.active).toBe(first.roots.active)
    expect(trustedRoots(introducing)).toHaveLength(2)
    expect(introducing.issuer.x509.checkIssued(first.roots.active.x509)).toBe(true)

    const retiring = advance(introducing, START + 240 * SECOND, rules)
    expect(retiring.roots).toMatchObject({ phase: 'retiring', dropAt: START + 300 * SECOND })
    expect(trustedRoots(retiring).map(({ id }) => id)).toEqual(
      trustedRoots(introducing)
        .map(({ id }) => id)
        .toReversed(),
    )
    expect(retiring.issuer.x509.checkIssued(retiring.roots.active.x509)).toBe(true)
    expect(retiring.roots).not.toHaveProperty('previous.privateKey')

    const steady = advance(retiring, START + 300 * SECOND, rules)
    expect(steady.roots).toEqual({ phase: 'steady', active: retiring.roots.active })
  })

  it('starts over where everything has ended', () => {
    const first = createState(DOMAIN, START, rules)
    const late = advance(first, START + 1000 * DAY, rules)
    expect(late.roots.phase).toBe('steady')
    expect(late.roots.active.id).not.toBe(first.roots.active.id)
    expect(dueAt(late, rules)).toBeGreaterThan(START + 1000 * DAY)
  })

  it('can be begun by hand, once at a time', () => {
    const first = createState(DOMAIN, START, rules)
    const introducing = introduceRoot(first, START + SECOND, rules)
    expect(introducing?.roots.phase).toBe('introducing')
    expect(introducing && introduceRoot(introducing, START + SECOND, rules)).toBeUndefined()
  })

  it('gives verifiers time again after a pause in which nobody could hear of the new root', () => {
    const introducing = advance(createState(DOMAIN, START, rules), START + 180 * SECOND, rules)
    const late = START + 250 * SECOND
    const resumed = resume(introducing, late, 30 * SECOND)
    expect(resumed.roots).toMatchObject({ phase: 'introducing', promoteAt: late + 30 * SECOND })
    expect(advance(resumed, late, rules).roots.phase).toBe('introducing')
    expect(resume(introducing, START + 190 * SECOND, 30 * SECOND)).toBe(introducing)
  })

  it('does not wait for anything under a root that has ended', () => {
    const introducing = advance(createState(DOMAIN, START, rules), START + 180 * SECOND, rules)
    const late = START + 361 * SECOND
    const promoted = advance(resume(introducing, late, 30 * SECOND), late, rules)
    // the successor is past half of its own life by then only if it is as old: it was made at 180 s
    expect(promoted.roots.active.notAfter).toBeGreaterThan(late)
    expect(promoted.issuer.notAfter).toBeGreaterThan(late)
  })
})

describe('the issuer', () => {
  it('is renewed at half of its life, under the active root', () => {
    const first = createState(DOMAIN, START, rules)
    const renewed = advance(first, START + 60 * SECOND, rules)
    expect(renewed.issuer.id).not.toBe(first.issuer.id)
    expect(renewed.roots).toBe(first.roots)
    expect(renewed.issuer.notAfter).toBe(START + 180 * SECOND)
  })

  it('can be replaced by hand', () => {
    const first = createState(DOMAIN, START, rules)
    expect(replaceIssuer(first, START, rules).issuer.id).not.toBe(first.issuer.id)
  })

  it('is not made anew where that gains nothing', () => {
    // another configuration than the one under which this root was made: it ends before any new issuer would
    const short = createState(DOMAIN, START, rules)
    const long = { ...rules, lifetimes: lifetimes() }
    const introduced = advance(short, START + SECOND, long)
    expect(introduced.issuer.notAfter).toBe(short.roots.active.notAfter)
    expect(advance(introduced, START + 2 * SECOND, long)).toBe(introduced)
  })
})

describe('at any moment, whatever the steps', () => {
  it('every leaf that is in use is trusted by everybody who is no further behind than allowed', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 20, maxLength: 60 })
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 29 }), (waits, behind) => {
        let now = START
        let state = createState(DOMAIN, now, rules)
        const history: { readonly since: number; readonly state: CaState }[] = [{ since: now, state }]
        const leaves: { readonly chain: string; readonly notAfter: number }[] = []
        for (const wait of waits) {
          now += wait * SECOND
          state = advance(state, now, rules)
          if (history.at(-1)?.state !== state) history.push({ since: now, state })
          const issuer = createIssuer(state.issuer, [state.issuer])
          const plan = planSvid(CART, CART, issuer, state.roots.active.id, FAST, now)
          if (plan === undefined) throw new Error('the issuer has ended')
          expect(plan.isCutShort).toBe(false)
          leaves.push(issueLeaf(issuer, { id: CART }, { notBefore: now, notAfter: plan.notAfter }, randomBytes))
          // what a verifier knows that has not been heard of for a while, though no longer than a leaf lives
          const known = history.findLast(({ since }) => since <= now - behind * SECOND) ?? history[0]
          const roots = trustedRoots((known ?? { state }).state)
          const inUse = leaves.filter(({ notAfter }) => notAfter > now)
          for (const { chain } of inUse) {
            expect(verifyChain(readCertificates(chain), roots, now)).toEqual({ ok: true })
          }
        }
      }),
      { numRuns: 25 },
    )
  })
})

describe('what is stored', () => {
  it('is read back in every phase', () => {
    const steady = createState(DOMAIN, START, rules)
    const introducing = advance(steady, START + 180 * SECOND, rules)
    const retiring = advance(introducing, START + 240 * SECOND, rules)
    for (const state of [steady, introducing, retiring]) {
      const read = parseState(serializeState(state))
      if (!read.ok) throw new Error(read.reason)
      expect(serializeState(read.state)).toBe(serializeState(state))
      expect(trustedRoots(read.state).map(({ id }) => id)).toEqual(trustedRoots(state).map(({ id }) => id))
      expect(read.state.issuer.x509.checkPrivateKey(read.state.issuer.privateKey)).toBe(true)
    }
  })

  it('is refused without quoting it', () => {
    const text = serializeState(createState(DOMAIN, START, rules))
    const broken = [
      '',
      'null',
      '{}',
      text.slice(0, -20),
      text.replace('PRIVATE KEY', 'PUBLIC KEY'),
      text.replaceAll('\\nMI', '\\nXX'),
      text.replace('"steady"', '"other"'),
      text.replace('"version": 1', '"version": 2'),
    ]
    for (const damaged of broken) {
      const read = parseState(damaged)
      expect(read.ok).toBe(false)
      expect(JSON.stringify(read)).not.toMatch(/MI[A-Za-z0-9+/]{8}/)
    }
  })
})

describe('lifetimes', () => {
  it('scale with the life of a leaf', () => {
    expect(lifetimes()).toMatchObject({ leaf: DAY, issuer: 60 * DAY, root: 3650 * DAY, overlap: 7 * DAY })
    for (const leaf of [2 * SECOND, 30 * SECOND, DAY, 30 * DAY]) expect(lifetimeProblems(lifetimes(leaf))).toEqual([])
    expect(lifetimeProblems(FAST)).toEqual([])
  })

  it.each([
    [{ ...FAST, leaf: SECOND }, 'a leaf must live at least 2 s, not 1 s'],
    [{ ...FAST, leaf: NaN }, 'a leaf must live at least 2 s'],
    [{ ...FAST, skew: -1 }, 'skewed clocks must not be negative'],
    [{ ...FAST, overlap: 29 * SECOND }, "at least a leaf's life (30 s), not 29 s"],
    [{ ...FAST, issuer: 59 * SECOND }, 'at least twice as long as a leaf (60 s), not 59 s'],
    [{ ...FAST, root: 359 * SECOND }, 'twice as long as an issuer and the overlap (360 s), not 359 s'],
  ])('must fit together: %j', (lives, problem) => {
    expect(lifetimeProblems(lives).join('\n')).toContain(problem)
  })
})
