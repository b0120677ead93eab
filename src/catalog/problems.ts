// Diagnostics with the object and the place that they are about: what people are shown, in one line each.

import { diagnosticText, type Diagnostic } from '../api/index.ts'
import type { Origin } from './change.ts'
import { fields, type Identity } from './identify.ts'

export type Severity = 'error' | 'warning' | 'note'

export interface Problem {
  readonly severity: Severity
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

/** Diagnostics of one object as problems. */
export function problemsOf(identity: Identity, origin: Origin, diagnostics: readonly Diagnostic[]): Problem[] {
  return diagnostics.map((diagnostic) =>
    problem(identity, origin, diagnostic.severity, diagnostic.path, diagnosticText(diagnostic)),
  )
}

/** A problem of one object at one of its fields; `text` says what is wrong there. */
export function problem(
  identity: Identity,
  origin: Origin,
  severity: Severity,
  path: readonly (string | number)[],
  text: string,
): Problem {
  const position = origin.at?.(path)
  return {
    severity,
    source: origin.source,
    line: position?.line ?? origin.line,
    column: position?.column,
    kind: identity.kindText,
    namespace: identity.namespace,
    name: identity.name,
    path,
    text: `${describe(identity)}: ${text}`,
  }
}

/** `HTTPRoute shop/reviews`, or as much of that as is known. */
export function describe(identity: Identity): string {
  const kind = identity.kindText ?? 'object'
  if (identity.name === undefined) return `${kind} without a readable name`
  return identity.namespace === undefined ? `${kind} ${identity.name}` : `${kind} ${identity.namespace}/${identity.name}`
}

/** `file:line`, or the file alone. */
export function place(origin: Origin): string {
  return origin.line === undefined ? origin.source : `${origin.source}:${origin.line}`
}

/** The declaration at `second` of an object that is already declared at `first`. */
export function duplicate(identity: Identity, first: Origin, second: Origin): Problem {
  const text = `is declared twice, at ${place(first)} and at ${place(second)}; the first is in force. Mend: remove or rename one of them`
  return problem(identity, second, 'error', [], text)
}

/** An object of a kind that Heddle does not read. */
export function passedOver(identity: Identity, origin: Origin): Problem[] {
  return [problem(identity, origin, 'note', ['kind'], `${identity.apiVersion} ${identity.kindText} is no kind that Heddle reads; passed over`)]
}

/** A value that does not say which object it is. */
export function unidentified(raw: unknown, identity: Identity, origin: Origin): Problem[] {
  const report = (path: readonly string[], got: unknown, expected: string, mend: string): Problem =>
    problem(identity, origin, 'error', path, `${path.join('.') || 'document'}: got ${gist(got)}; expected ${expected}. Mend: ${mend}`)
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return [report([], raw, 'an object with apiVersion, kind and metadata', 'write one object a document')]
  }
  const object = fields(raw)
  const metadata = fields(object['metadata'])
  const problems: Problem[] = []
  if (identity.apiVersion === undefined) {
    problems.push(report(['apiVersion'], object['apiVersion'], 'a group and version such as heddle.dev/v1alpha1', 'add apiVersion'))
  }
  if (identity.kindText === undefined) {
    problems.push(report(['kind'], object['kind'], 'the name of a kind such as Service', 'add kind'))
  }
  if (identity.name === undefined) {
    problems.push(report(['metadata', 'name'], metadata['name'], 'a name', 'add metadata.name'))
  }
  if (identity.namespace === undefined && identity.kind?.scope !== 'Cluster') {
    problems.push(report(['metadata', 'namespace'], metadata['namespace'], 'the name of a namespace', 'correct metadata.namespace'))
  }
  return problems
}

/** A few characters that tell what a value is, without telling all of it. */
function gist(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'string') return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value)
  return String(value)
}
