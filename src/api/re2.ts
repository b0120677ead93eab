/**
 * Regular expressions as Envoy takes them: RE2's syntax, which has no look-around and no back-references. A pattern that
 * RE2 does not take would make Envoy refuse the whole resource around it.
 */
import { RE2JS } from 're2js'
import type { Rule } from './rules.ts'

/** What one pattern may cost every proxy that holds it, in instructions of RE2's program. */
const largestProgram = 10_000

/** True if Envoy takes the pattern: RE2's syntax, repetition up to 1,000, not empty; and if it is no larger than is sane. */
export function isRe2(pattern: string): boolean {
  if (pattern === '') return false
  try {
    return RE2JS.compile(pattern).programSize() <= largestProgram
  } catch {
    return false
  }
}

/** The rule that `field` of a match of type `RegularExpression` is one. */
export function regexRule<F extends string>(
  field: F,
): Rule<{ readonly type: string } & { readonly [name in F]?: string | undefined }> {
  return {
    holds: (match) => {
      const pattern = match[field]
      return match.type !== 'RegularExpression' || pattern === undefined || isRe2(pattern)
    },
    message: `${field} must be a regular expression of RE2, which has no look-around and no back-references`,
    path: [field],
  }
}
