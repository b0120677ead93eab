// Paths as Gateway API means them and as Envoy writes them: prefixes by whole path elements, and their replacement
// (HTTPPathModifier, the table at `replacePrefixMatch`).
import type { PathModifier } from '../../api/index.ts'
import type { HttpMatch } from '../../mesh/http.ts'
import type { Message } from '../../proto/types.ts'

type RegexSubstitution = Message<'envoy.type.matcher.v3.RegexMatchAndSubstitute'>

/** How a path changes: `literal` replaces the prefix that the route matched, `pattern` whatever it matches. */
export type PathChange =
  | { readonly kind: 'full'; readonly path: string }
  | { readonly kind: 'literal'; readonly prefix: string }
  | { readonly kind: 'pattern'; readonly pattern: RegexSubstitution }

/** The prefix that a match is about; undefined for a match of another type. */
export const prefixOf = ({ path }: HttpMatch): string | undefined =>
  path.type === 'PathPrefix' ? path.value : undefined

/** A prefix without trailing slashes, which are ignored; empty for the prefix of every path. */
export const bare = (prefix: string): string => prefix.replace(/\/+$/, '')

/**
 * What becomes of a path.
 * @param matched the prefix that the rule matches; undefined where it matches otherwise
 * @returns undefined where the path stays as it is
 */
export function pathChange(modifier: PathModifier | undefined, matched: string | undefined): PathChange | undefined {
  if (modifier?.replaceFullPath !== undefined) return { kind: 'full', path: absolute(modifier.replaceFullPath) }
  if (modifier?.replacePrefixMatch === undefined || matched === undefined) return undefined
  const from = bare(matched)
  const to = bare(absolute(modifier.replacePrefixMatch))
  if (from === to) return undefined
  // "/foo" without replacement: neither "" for "/foo" nor "//bar" for "/foo/bar"
  if (to === '') return { kind: 'pattern', pattern: substitution(`^${quoteRegex(from)}/?`, '/') }
  // the prefix "/" takes the first slash of the path with it, any other none
  return { kind: 'literal', prefix: from === '' ? `${to}/` : to }
}

/** A substitution with the replacement taken literally. */
export const substitution = (regex: string, replacement: string): RegexSubstitution => ({
  pattern: { regex },
  substitution: replacement.replaceAll('\\', '\\\\'),
})

/** Text as a regular expression (RE2) for exactly that text. */
export const quoteRegex = (text: string): string => text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')

/** What people wrote as a path, fit for a request line: Gateway API bounds only its length. */
function absolute(path: string): string {
  const visible = path.replaceAll(/[^\x21-\x7e]+/gu, (text) => encodeURIComponent(text.toWellFormed()))
  return visible.startsWith('/') ? visible : `/${visible}`
}
