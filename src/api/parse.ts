/**
 * From raw values to objects. Wrong values refuse the object, each with its path and what was expected; unknown fields
 * are tolerated with a warning, since an object may be of a newer version than this program.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts'
import { nearest } from './expectation.ts'
import { diagnosticsOf } from './issues.ts'
import { apiVersionOf, type Kind } from './kind.ts'
import type { AnyObject } from './object.ts'
import { conform } from './shape.ts'

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
    .filter(({ path }) => (path[0] === 'metadata' ? path.length === 2 : path[0] !== 'status' && !kind.partial))
    .map(({ path, known }) => ofUnknownField(kind, path, known))
  if (!parsed.success) {
    const errors = diagnosticsOf(schema, value, parsed.error.issues)
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
  const namesake = known.find((candidate) => candidate.kind === kind)
  const hint = namesake === undefined ? '' : `; the ${kind} that is read is ${apiVersionOf(namesake, namesake.version)}`
  const message = `${apiVersion} ${kind} is no kind that Heddle reads; passed over${hint}`
  return diagnostic('note', 'unknown-kind', [namesake === undefined ? 'kind' : 'apiVersion'], message)
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

function ofUnknownField(kind: Kind, path: readonly (string | number)[], known: readonly string[]): Diagnostic {
  const name = String(path.at(-1))
  const meant = nearest(name, known)
  const mend = meant === undefined ? 'remove it, or use a version of Heddle that knows it' : `did you mean ${meant}?`
  return diagnostic('warning', 'unknown-field', path, `is no field of ${kind.kind} here, and is ignored; ${mend}`)
}

function bounded(all: readonly Diagnostic[]): readonly Diagnostic[] {
  const [first] = all
  if (first === undefined || all.length <= mostDiagnostics) return all
  const rest = `${all.length - mostDiagnostics} more of this object are not shown; mend these first`
  return [...all.slice(0, mostDiagnostics), diagnostic(first.severity, 'too-many', [], rest)]
}
