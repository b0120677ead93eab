/** Which messages people could do nothing with. */
import type { Diagnostic } from '../../../src/api/index.ts'

/** Diagnostics that do not name a field, show what no one wrote, or fall back on the library's own words. */
export function unhelpful(diagnostics: readonly Diagnostic[]): readonly string[] {
  return diagnostics
    .filter(
      ({ field, message, code }) =>
        (field === '' && code !== 'too-many') ||
        message.length < 12 ||
        /invalid|\[object|undefined|NaN|Infinity/i.test(message),
    )
    .map(({ field, message }) => `unhelpful: ${field}: ${message}`)
}
