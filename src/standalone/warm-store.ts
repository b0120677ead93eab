/** The warm set in the state folder. */
import { z } from 'zod'
import type { Uses, WarmStore } from '../demand/warm-set.ts'
import type { StateDir } from '../identity/state-dir.ts'
import { type StateFile, stateFile } from './state-file.ts'

const schema = z.record(z.string(), z.record(z.string(), z.number()))

export function warmFile(
  stateDir: StateDir,
  onError: (error: unknown) => void,
): Promise<StateFile<Readonly<Record<string, Uses>>>> {
  return stateFile({ stateDir, file: 'warm.json', schema, fallback: {}, onError })
}

export function warmStore(file: StateFile<Readonly<Record<string, Uses>>>): WarmStore {
  return { load: () => file.known, save: (all) => file.save(all) }
}
