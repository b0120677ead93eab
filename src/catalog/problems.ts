// Diagnostics with the object and the place that they are about: what people are shown, in one line each.

import {
  diagnosticText,
  fieldText,
  shownValue,
  unreadKind,
  type Diagnostic,
  type DiagnosticCode,
} from '../api/index.ts'
import type { Origin } from './change.ts'
import { fields, type Identity } from './identify.ts'

export interface Problem {
  readonly severity: Diagnostic['severity']
  /** Stable name of the sort of problem. */
  readonly code: DiagnosticCode
  readonly source: string
  /** Counted from 1; undefined where the source has no lines. */
  readonly line: number | undefined
  readonly column: number | undefined
  /** As written. */
  readonly kind: string | undefined
  readonly namespace: string | undefined
  readonly name: string | undefined
  /** The path of the field in the object; empty for the whole object. */
  readonly path: readonly (string | number)[]
  /** What is wrong, what was expected, and how to mend it; names the object and the field. */
  readonly text: string
}

/** By source, line and column. */
export function compareProblems(a: Problem, b: Problem): number {
  return compareText(a.source, b.source) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}

/** `file:line:column: severity: text`, as compilers write it. */
export function problemLine({ source, line, column, severity, text }: Problem): string {
  return `${[source, line, column].filter((part) => part !== undefined).join(':')}: ${severity}: ${text}`
}

/** Diagnostics of one object as problems. */
export function problemsOf(identity: Identity, origin: Origin, diagnostics: readonly Diagnostic[]): Problem[] {
  return diagnostics.map((diagnostic) => problemOf(identity, origin, diagnostic))
}

export function problemOf(identity: Identity, origin: Origin, diagnostic: Diagnostic): Problem {
  const { severity, code, path } = diagnostic
  const position = origin.at?.(path)
  const text = diagnosticText(diagnostic)
  const anonymous = identity.kindText === undefined && identity.name === undefined
  return {
    severity,
    code,
    source: origin.source,
    line: position?.line ?? origin.line,
    column: position?.column,
    kind: identity.kindText,
    namespace: identity.namespace,
    name: identity.name,
    path,
    text: anonymous ? text : `${describe(identity)}: ${text}`,
  }
}

/** `HTTPRoute shop/reviews`, or as much of that as is known. */
export function describe(identity: Identity): string {
  const kind = identity.kindText ?? 'object'
  if (identity.name === undefined) return `${kind} without a readable name`
  return identity.namespace === undefined
    ? `${kind} ${identity.name}`
    : `${kind} ${identity.namespace}/${identity.name}`
}

/** `file:line`, or the file alone. */
export function place(origin: Origin): string {
  return origin.line === undefined ? origin.source : `${origin.source}:${origin.line}`
}

/** The declaration at `second` of an object that is already declared at `first`. */
export function duplicate(identity: Identity, first: Origin, second: Origin): Problem {
  const message =
    `is declared twice, at ${place(first)} and at ${place(second)}; the first is in force. ` +
    'Mend: remove or rename one of them'
  return problemOf(identity, second, { severity: 'error', code: 'duplicate', path: [], field: '', message })
}

/** A value that does not say which object it is, or is of a kind that Heddle does not read. */
export function unidentified(raw: unknown, identity: Identity, origin: Origin): Problem[] {
  const { apiVersion, kindText, kind } = identity
  const missing = (path: readonly string[], got: unknown, expected: string): Problem =>
    problemOf(identity, origin, {
      severity: 'error',
      code: got === undefined ? 'missing-field' : 'wrong-type',
      path,
      field: fieldText(path),
      message: `got ${gist(got)}; expected ${expected}`,
    })
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return [missing([], raw, 'an object with apiVersion, kind and metadata, one in each document')]
  }
  if (apiVersion !== undefined && kindText !== undefined && kind === undefined) {
    return [problemOf(identity, origin, unreadKind(apiVersion, kindText))]
  }
  const object = fields(raw)
  const metadata = fields(object['metadata'])
  const problems: Problem[] = []
  if (apiVersion === undefined) {
    problems.push(missing(['apiVersion'], object['apiVersion'], 'a group and version such as heddle.dev/v1alpha1'))
  }
  if (kindText === undefined) problems.push(missing(['kind'], object['kind'], 'the name of a kind such as Service'))
  if (identity.name === undefined) problems.push(missing(['metadata', 'name'], metadata['name'], 'a name'))
  if (identity.namespace === undefined && kind !== undefined && kind.scope !== 'Cluster') {
    problems.push(missing(['metadata', 'namespace'], metadata['namespace'], 'the name of a namespace'))
  }
  return problems
}

/** What a value is, without telling all of it. */
function gist(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  return typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(shownValue(value))
}

/** By code unit, so that the order is the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
