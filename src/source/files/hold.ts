// Whether what a file says now replaces what it said. A file that cannot be read, or looks cut off, is one that somebody is still
// writing, or broke: its last good content stays, all of it, and the objects that are broken get a condition.

import type { Declaration } from '../../catalog/change.ts'
import { identify } from '../../catalog/identify.ts'
import { broken, type FileContent } from './content.ts'

/** Why the content looks unfinished; undefined if it looks whole. */
export function unfinished(before: FileContent | undefined, now: FileContent): string | undefined {
  if (!now.whole) return 'cannot be read'
  if (before === undefined || before.declarations.length === 0) return undefined
  if (now.text.trim() === '') return 'is empty'
  const cut = before.text.endsWith('\n') && !now.text.endsWith('\n')
  return cut && before.text.startsWith(now.text) ? 'ends in the middle of a line of what it was' : undefined
}

/**
 * True if the content may yet be in the middle of being written and is worth another look: what is unfinished, and also what
 * has lost the line feed at its end.
 */
export function suspicious(before: FileContent | undefined, now: FileContent): boolean {
  const lost = before?.text.endsWith('\n') === true && !now.text.endsWith('\n')
  return lost || unfinished(before, now) !== undefined
}

/** What is declared by a file whose new content is not taken: the old, with what is wrong with the new. */
export function held(source: string, before: FileContent, now: FileContent, reason: string): readonly Declaration[] {
  const note = 'the last good content of the file stays in force'
  const declarations = [...before.declarations]
  const index = new Map<string, number>()
  for (const [at, { object }] of declarations.entries()) index.set(idOf(object) ?? '', at)
  const faults = now.declarations.filter((declaration) => declaration.op === 'broken')
  for (const fault of faults) {
    const diagnostics = fault.diagnostics.map((one) => ({ ...one, message: `${one.message}; ${note}` }))
    const id = idOf(fault.object)
    const at = id === undefined ? undefined : index.get(id)
    // what was not there before is not made known by half of a text
    if (at === undefined) declarations.push({ ...fault, object: undefined, diagnostics })
    else declarations[at] = { ...fault, diagnostics }
  }
  if (faults.length === 0) {
    const mend = 'to remove objects delete the file, or leave a comment; otherwise end it with a line feed'
    declarations.push(broken(source, undefined, { line: 1, column: 1 }, `${reason}; ${note}. Mend: ${mend}`))
  }
  return declarations
}

function idOf(object: unknown): string | undefined {
  const { kind, key } = identify(object)
  return kind === undefined || key === undefined ? undefined : `${kind.group}/${kind.kind} ${key}`
}
