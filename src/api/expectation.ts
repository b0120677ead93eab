/** What was expected of a field, in words, from zod's issue; and what was probably meant. */
import { z } from 'zod'
import type { SomeType } from 'zod/v4/core'
import { unwrap } from './shape.ts'

type Issue = z.core.$ZodIssue

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with fields',
  record: 'an object of names and values',
}

/** What was expected, with a hint how to mend it where there is one. */
export function expectationOf(issue: Issue, value: unknown, schema?: SomeType): string {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = typeNames[issue.expected] ?? issue.expected
      return `expected ${expected}${typeHint(issue.expected, value)}`
    }
    case 'invalid_value':
      return `expected ${oneOf(issue.values)}${valueHint(issue.values, value)}`
    case 'too_small':
    case 'too_big':
      return `expected ${bound(issue, schema)}`
    case 'invalid_key':
      return issue.issues.map((inner) => expectationOf(inner, value)).join('; ')
    case 'custom':
      return issue.params?.['sentence'] === true ? issue.message : `expected ${issue.message}`
    default:
      return `expected ${issue.message}`
  }
}

/** The nearest of the known names, if it is near enough to be a slip of the pen. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.floor(name.length / 3) + 1
  for (const candidate of known) {
    const distance = similar(name, candidate) ? 0 : editDistance(name, candidate)
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

/** Equal but for case, or one part of the other, as `Prefix` of `PathPrefix`. */
function similar(name: string, candidate: string): boolean {
  const [a, b] = [name.toLowerCase(), candidate.toLowerCase()]
  return a === b || (a.length > 3 && b.length > 3 && (b.includes(a) || a.includes(b)))
}

function typeHint(expected: string, value: unknown): string {
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return '; put the value in quotes'
  if ((expected === 'number' || expected === 'int') && typeof value === 'string' && Number.isFinite(Number(value))) {
    return '; write it without quotes'
  }
  if (expected === 'boolean' && (value === 'true' || value === 'false')) return '; write it without quotes'
  if (expected === 'array' && value !== undefined) return '; begin each item with "- "'
  return ''
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => JSON.stringify(value))
  return shown.length === 1 ? `${shown[0]}, the only choice` : `one of ${shown.join(', ')}`
}

function valueHint(values: readonly unknown[], value: unknown): string {
  if (typeof value !== 'string') return ''
  const meant = nearest(
    value,
    values.filter((candidate) => typeof candidate === 'string'),
  )
  return meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
}

type Bound = Extract<Issue, { code: 'too_small' | 'too_big' }>

const units: Readonly<Record<string, string>> = { string: 'character', array: 'item' }

/** Both ends, where the schema has both: `1 to 65535`. */
function bound(issue: Bound, schema: SomeType | undefined): string {
  const unit = units[issue.origin]
  const count = (limit: number | bigint): string =>
    unit === undefined ? String(limit) : `${limit} ${unit}${Number(limit) === 1 ? '' : 's'}`
  const { least, most } = boundsOf(schema === undefined ? undefined : unwrap(schema))
  if (least !== undefined && most !== undefined && least < most) return `${least} to ${count(most)}`
  return issue.code === 'too_small' ? `at least ${count(issue.minimum)}` : `at most ${count(most ?? issue.maximum)}`
}

function boundsOf(schema: SomeType | undefined): {
  readonly least?: number | undefined
  readonly most?: number | undefined
} {
  if (schema instanceof z.ZodNumber) {
    return { least: finite(schema.minValue), most: finite(schema.maxValue) }
  }
  if (schema instanceof z.ZodString)
    return { least: schema.minLength ?? undefined, most: schema.maxLength ?? undefined }
  if (!(schema instanceof z.ZodArray)) return {}
  const checks = (schema.def.checks ?? []).map(({ _zod: { def } }): object => def)
  const limit = (name: string): number | undefined =>
    checks.flatMap((check) => (name in check ? [Number((check as Readonly<Record<string, unknown>>)[name])] : []))[0]
  return { least: limit('minimum'), most: limit('maximum') }
}

/** zod bounds all integers by what JavaScript can count; that is no bound. */
function finite(limit: number | null): number | undefined {
  return limit === null || Math.abs(limit) >= Number.MAX_SAFE_INTEGER ? undefined : limit
}

/** Levenshtein's distance, for short names. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 64 || b.length > 64) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}
