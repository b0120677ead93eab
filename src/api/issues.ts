/**
 * zod's issues as diagnostics: the value and what was expected in words, and only what helps where one mistake has
 * several consequences.
 */
import type { z } from 'zod'
import { type Diagnostic, type DiagnosticCode, diagnostic, fieldText } from './diagnostic.ts'
import { expectationOf } from './expectation.ts'
import { describedAt, isSensitive, schemaAt } from './shape.ts'

type Issue = z.core.$ZodIssue
type Path = readonly (string | number)[]

/** What is wrong with a value, by zod's account of it. */
export function diagnosticsOf(schema: z.ZodType, root: unknown, issues: readonly Issue[]): readonly Diagnostic[] {
  const malformed = new Set(
    issues.filter((issue) => !isSentence(issue)).map((issue) => fieldText(pathOf(issue).slice(0, -1))),
  )
  const byField = new Map<string, Issue[]>()
  for (const issue of issues) {
    // A rule between fields says nothing new where one of these fields is malformed.
    if (isSentence(issue) && malformed.has(fieldText(ruledObject(issue)))) continue
    const field = fieldText(pathOf(issue))
    byField.set(field, [...(byField.get(field) ?? []), issue])
  }
  return [...byField.values()].flatMap((same) => withoutConsequences(same).map((issue) => ofIssue(schema, root, issue)))
}

/** A value of the wrong type fails all else, a malformed one all rules with other fields, an empty one all patterns. */
function withoutConsequences(issues: readonly Issue[]): readonly Issue[] {
  const type = issues.find(({ code }) => code === 'invalid_type' || code === 'invalid_value')
  if (type !== undefined) return [type]
  const own = issues.filter((issue) => !isSentence(issue))
  if (own.length === 0) return issues
  const malformed = own.filter(({ code }) => code !== 'too_small' && code !== 'too_big')
  const [first] = malformed.length > 0 && own.some(({ code }) => code === 'too_small') ? malformed : own
  return first === undefined ? own : [first]
}

function ofIssue(schema: z.ZodType, root: unknown, issue: Issue): Diagnostic {
  const path = pathOf(issue)
  const value = valueAt(root, path)
  const expected = expectationOf(issue, value, schemaAt(schema, path))
  const code = codeOf(issue, value)
  const meaning = code === 'missing-field' ? describedAt(schema, path) : undefined
  const text =
    code === 'missing-field' ? `is missing; ${expected}${meaning === undefined ? '' : ` (${meaning})`}` : expected
  return diagnostic('error', code, path, text, isSensitive(schema, path) ? undefined : value)
}

function codeOf(issue: Issue, value: unknown): DiagnosticCode {
  if (isSentence(issue)) return 'cross-field'
  if (value === undefined) return 'missing-field'
  return issue.code === 'invalid_type' ? 'wrong-type' : 'wrong-value'
}

function isSentence(issue: Issue): boolean {
  return issue.code === 'custom' && issue.params?.['sentence'] === true
}

function ruledObject(issue: Issue): Path {
  const path = pathOf(issue)
  const depth = issue.code === 'custom' ? Number(issue.params?.['depth'] ?? 0) : 0
  return path.slice(0, path.length - depth)
}

function pathOf(issue: Issue): Path {
  return issue.path.filter((segment) => typeof segment !== 'symbol')
}

function valueAt(root: unknown, path: Path): unknown {
  let at = root
  for (const segment of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, segment)) return undefined
    at = (at as Readonly<Record<string | number, unknown>>)[segment]
  }
  return at
}
