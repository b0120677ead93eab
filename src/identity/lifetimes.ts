// How long certificates live, and what must hold between those lives so that nothing trusted ever ends early.
//
// One number decides: a leaf's life. The rest are multiples of it, so that a mesh whose leaves live thirty seconds goes
// through everything that one of twenty-four hours does, only faster.

/** Milliseconds, all of them. */
export interface Lifetimes {
  readonly leaf: number
  /** Renewed at half of it. */
  readonly issuer: number
  /** Its successor is introduced at half of it. */
  readonly root: number
  /**
   * How long a new root is in the bundle before anything is signed by it, and an old one after the last signature. At least
   * a leaf's life: a proxy that has heard nothing for longer than that has no valid certificate of its own any more.
   */
  readonly overlap: number
  /** How far back a life begins, for verifiers whose clock is behind; never before the issuer's own beginning. */
  readonly skew: number
}

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** 24 hours unless told; then issuers of 60 days, roots of ten years, and a week of overlap. */
export function lifetimes(leaf: number = DAY, others: Partial<Omit<Lifetimes, 'leaf'>> = {}): Lifetimes {
  return { leaf, issuer: 60 * leaf, root: 3650 * leaf, overlap: 7 * leaf, skew: MINUTE, ...others }
}

/** What is wrong with these lives, in words for whoever set them; empty if nothing is. */
export function lifetimeProblems({ leaf, issuer, root, overlap, skew }: Lifetimes): readonly string[] {
  const problems: string[] = []
  if (!(leaf >= 2000)) problems.push(`a leaf must live at least 2 s, not ${seconds(leaf)}`)
  if (!(skew >= 0)) problems.push(`the allowance for skewed clocks must not be negative, it is ${seconds(skew)}`)
  if (!(overlap >= leaf)) {
    problems.push(`the overlap of roots must be at least a leaf's life (${seconds(leaf)}), not ${seconds(overlap)}`)
  }
  // before it is renewed an issuer has half its life left, and each leaf must fit into what is left
  if (!(issuer >= 2 * leaf)) {
    problems.push(`an issuer must live at least twice as long as a leaf (${seconds(2 * leaf)}), not ${seconds(issuer)}`)
  }
  // in the second half of a root's life a successor is introduced, and issuers still need a whole life until that is done
  const least = 2 * (issuer + overlap)
  if (!(root >= least)) {
    problems.push(
      `a root must live at least twice as long as an issuer and the overlap (${seconds(least)}), not ${seconds(root)}`,
    )
  }
  return problems
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`
}
