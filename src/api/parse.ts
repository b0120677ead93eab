/**
 * From raw values to objects. Wrong values refuse the object, each with its path and what was expected; unknown fields
 * are tolerated with a warning, since an object may be of a newer version than this program.
 */
import type { z } from 'zod'
import { type Diagnostic, type DiagnosticCode, fieldText, shownValue } from './diagnostic.ts'
import { expectationOf, nearest } from './expectation.ts'
import { apiVersionOf, type Kind } from './kind.ts'
import type { AnyObject } from './object.ts'
import { conform, isSensitive } from './shape.ts'

export type Parsed<T extends AnyObject = AnyObject> =
  | { readonly ok: true; readonly object: T; readonly warnings: readonly Diagnostic[] }
  /** The errors, and the warnings that may explain them. */
  | { readonly ok: false; readonly errors: readonly Diagnostic[] }

/** More than this of one object is counted and not shown. */
const mostDiagnostics = 100

/**
 * The object with defaults applied, or what is wrong with it.
 * @param kind the kind that the object says it is
 * @param raw any JSON value, as read from a file or the API server
 */
export function parse<T extends AnyObject>(kind: Kind<T>, raw: unknown): Parsed<T> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return {
      ok: false,
      errors: [diagnostic('error', 'not-an-object', [], 'expected an object with apiVersion, kind and metadata')],
    }
  }
  const header = headerErrors(kind, raw)
  if (header.length > 0) return { ok: false, errors: header }
  const schema = kind.schemas[versionOf(raw)] ?? kind.schema
  const { value, unknownFields } = conform(schema, raw)
  const parsed = schema.safeParse(value)
  const warnings = unknownFields
    .filter(({ path }) => path[0] !== 'status' && (!kind.partial || path[0] === 'metadata'))
    .map(({ path, known }) => ofUnknownField(kind, path, known))
  if (!parsed.success) {
    const errors = parsed.error.issues.map((issue) => ofIssue(schema, value, issue))
    return { ok: false, errors: bounded([...errors, ...warnings]) }
  }
  return { ok: true, object: parsed.data, warnings: bounded(warnings) }
}

/** What to tell of an object whose kind or version Heddle does not read. */
export function passedOver(apiVersion: string, kind: string, known: readonly Kind[]): Diagnostic {
  const [same] = known.filter((candidate) => candidate.kind === kind && groupOf(apiVersion) === candidate.group)
  if (same !== undefined) {
    const served = same.versions.map((version) => apiVersionOf(same, version)).join(', ')
    const message = `this version of ${kind} is not read and the object passed over; versions that are read: ${served}`
    return diagnostic('note', 'unserved-version', ['apiVersion'], message, apiVersion)
  }
  return diagnostic(
    'note',
    'unknown-kind',
    ['kind'],
    `${apiVersion} ${kind} is no kind that Heddle reads; passed over`,
    kind,
  )
}

/** The group of an `apiVersion`; empty for Kubernetes' core group. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? '' : apiVersion.slice(0, slash)
}

function versionOf(raw: object): string {
  const apiVersion: unknown = 'apiVersion' in raw ? raw.apiVersion : ''
  return typeof apiVersion === 'string' ? apiVersion.slice(apiVersion.indexOf('/') + 1) : ''
}

function headerErrors(kind: Kind, raw: object): Diagnostic[] {
  const errors: Diagnostic[] = []
  const apiVersion: unknown = 'apiVersion' in raw ? raw.apiVersion : undefined
  const served = kind.versions.map((version) => apiVersionOf(kind, version))
  if (typeof apiVersion !== 'string' || !served.includes(apiVersion)) {
    const code = apiVersion === undefined ? 'missing-field' : 'unserved-version'
    errors.push(diagnostic('error', code, ['apiVersion'], `expected ${served.join(' or ')}`, apiVersion))
  }
  const given: unknown = 'kind' in raw ? raw.kind : undefined
  if (given !== kind.kind) {
    const code = given === undefined ? 'missing-field' : 'wrong-value'
    errors.push(diagnostic('error', code, ['kind'], `expected ${kind.kind}`, given))
  }
  return errors
}

function ofIssue(schema: z.ZodType, root: unknown, issue: z.core.$ZodIssue): Diagnostic {
  const path = issue.path.filter((segment) => typeof segment !== 'symbol')
  const value = valueAt(root, path)
  const sentence = issue.code === 'custom' && issue.params?.['sentence'] === true
  const absent = value === undefined && !sentence
  const code: DiagnosticCode = sentence
    ? 'cross-field'
    : absent
      ? 'missing-field'
      : issue.code === 'invalid_type'
        ? 'wrong-type'
        : 'wrong-value'
  const expected = expectationOf(issue, value)
  return diagnostic(
    'error',
    code,
    path,
    absent ? `is missing; ${expected}` : expected,
    isSensitive(schema, path) ? undefined : value,
  )
}

function ofUnknownField(kind: Kind, path: readonly (string | number)[], known: readonly string[]): Diagnostic {
  const name = String(path.at(-1))
  const meant = nearest(name, known)
  const mend = meant === undefined ? 'remove it, or use a version of Heddle that knows it' : `did you mean ${meant}?`
  return diagnostic('warning', 'unknown-field', path, `is no field of ${kind.kind} here, and is ignored; ${mend}`)
}

function diagnostic(
  severity: Diagnostic['severity'],
  code: DiagnosticCode,
  path: readonly (string | number)[],
  message: string,
  given?: unknown,
): Diagnostic {
  const value = shownValue(given)
  return { severity, code, path, field: fieldText(path), message, ...(value === undefined ? {} : { value }) }
}

function bounded(all: readonly Diagnostic[]): readonly Diagnostic[] {
  const [first] = all
  if (first === undefined || all.length <= mostDiagnostics) return all
  const rest = `${all.length - mostDiagnostics} more of this object are not shown; mend these first`
  return [...all.slice(0, mostDiagnostics), diagnostic(first.severity, 'too-many', [], rest)]
}

function valueAt(root: unknown, path: readonly (string | number)[]): unknown {
  let at = root
  for (const segment of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, segment)) return undefined
    at = (at as Readonly<Record<string | number, unknown>>)[segment]
  }
  return at
}
