/**
 * What is wrong with what someone wrote, as a value: which field, what it holds, what was expected and how to mend it.
 * Whoever read the object adds file and line from the path.
 */

export interface Diagnostic {
  /** `error`: refused. `warning`: taken, but something of it is ignored. `note`: passed over. */
  readonly severity: 'error' | 'warning' | 'note'
  /** Stable name of the sort of finding. */
  readonly code: DiagnosticCode
  /** The field as keys and indices, for looking it up in the document; empty for the whole object. */
  readonly path: readonly (string | number)[]
  /** The same for people: `spec.rules[0].matches[1].path.value`. */
  readonly field: string
  /** What is there, if it is a short scalar; never there for fields that may hold secrets. */
  readonly value?: string | number | boolean | null
  /** What was expected, and how to mend it. */
  readonly message: string
}

export type DiagnosticCode =
  | 'not-an-object'
  | 'unknown-kind'
  | 'unserved-version'
  | 'missing-field'
  | 'wrong-type'
  | 'wrong-value'
  | 'cross-field'
  | 'unknown-field'
  | 'too-many'
  // of files and of objects together
  | 'unreadable'
  | 'duplicate'
  | 'dangling-reference'
  | 'missing-grant'
  | 'cycle'
  | 'no-weight'
  | 'no-effect'
  // of what is generated from an object
  | 'patch-refused'

/** A diagnostic; `given` is shown if it is a short scalar, so leave out what may be a secret. */
export function diagnostic(
  severity: Diagnostic['severity'],
  code: DiagnosticCode,
  path: readonly (string | number)[],
  message: string,
  given?: unknown,
): Diagnostic {
  const value = shownValue(given)
  return { severity, code, path, field: fieldText(path), message, ...(value === undefined ? {} : { value }) }
}

/** `spec.rules[0].path`; keys that are no plain names are quoted, as in `metadata.labels["app.kubernetes.io/name"]`. */
export function fieldText(path: readonly (string | number)[]): string {
  let text = ''
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(segment)) text += text === '' ? segment : `.${segment}`
    else text += `[${JSON.stringify(segment)}]`
  }
  return text
}

/** One line: field, what it holds, what was expected. */
export function diagnosticText({ field, value, message }: Diagnostic): string {
  const got = value === undefined ? '' : `got ${JSON.stringify(value)}; `
  return field === '' ? `${got}${message}` : `${field}: ${got}${message}`
}

const longest = 80

/** A scalar as it may be shown: long strings are cut, lists and objects left out. */
export function shownValue(value: unknown): Diagnostic['value'] {
  if (typeof value === 'string') return value.length > longest ? `${value.slice(0, longest)}…` : value
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  return undefined
}
