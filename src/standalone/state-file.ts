/**
 * A value kept in one JSON file of the state folder, read once and written behind. What cannot be read costs what the value was
 * for, never a start.
 */
import type { z } from 'zod'
import type { StateDir } from '../identity/state-dir.ts'

export interface StateFile<T> {
  /** What an earlier run left, or the fallback. */
  readonly known: T
  save(value: T): void
  /** Resolved when everything saved so far is on disk. */
  settled(): Promise<void>
}

export interface StateFileOptions<T> {
  readonly stateDir: StateDir
  readonly file: string
  readonly schema: z.ZodType<T>
  readonly fallback: T
  readonly onError: (error: unknown) => void
}

export async function stateFile<T>({
  stateDir,
  file,
  schema,
  fallback,
  onError,
}: StateFileOptions<T>): Promise<StateFile<T>> {
  let known = fallback
  try {
    const text = await stateDir.read(file)
    if (text !== undefined) known = schema.parse(JSON.parse(text))
  } catch {
    // spoilt: begin anew
  }
  let turn = Promise.resolve()
  let next: { readonly value: T } | undefined
  const write = async (before: Promise<void>): Promise<void> => {
    await before
    if (next === undefined) return
    const { value } = next
    next = undefined
    await stateDir.write(file, `${JSON.stringify(value)}\n`).catch(onError)
  }
  return {
    known,
    save(value) {
      // of several in a row only the last is written
      const first = next === undefined
      next = { value }
      if (first) turn = write(turn)
    },
    settled: () => turn,
  }
}
