/**
 * What is wrong with what someone wrote, as a value: which field, what it holds, what was expected and how to mend it.
 * Whoever read the object adds file and line from the path.
 */

export interface Diagnostic {
  /** `note` tells what was passed over, `warning` what was ignored, `error` what was refused. */
  readonly severity: 'error' | 'warning' | 'note'
  /** Stable name of the sort of finding. */
  readonly code: DiagnosticCode
  /** The field for people: `spec.rules[0].matches[1].path.value`; empty for the whole object. */
  readonly path: string
  /** The same field as keys and indices, for looking it up in the YAML document. */
  readonly pathSegments: readonly (string | number)[]
  /** What is there, shortened; never there for fields that may hold secrets. */
  readonly value?: unknown
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

/** `spec.rules[0].path`; keys that are no plain names are quoted, as in `metadata.labels["app.kubernetes.io/name"]`. */
export function pathText(segments: readonly (string | number)[]): string {
  let text = ''
  for (const segment of segments) {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(segment)) text += text === '' ? segment : `.${segment}`
    else text += `[${JSON.stringify(segment)}]`
  }
  return text
}
