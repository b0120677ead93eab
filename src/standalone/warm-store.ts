/** The warm set in the state folder. A file that cannot be read costs first uses, nothing else. */
import { z } from 'zod'
import type { WarmStore } from '../demand/warm-set.ts'
import type { StateDir } from '../identity/state-dir.ts'

const FILE = 'warm.json'
const schema = z.record(z.string(), z.record(z.string(), z.number()))

export interface StateWarmStore extends WarmStore {
  /** Resolved when everything saved so far is on disk. */
  settled(): Promise<void>
}

export async function stateWarmStore(stateDir: StateDir, onError: (error: unknown) => void): Promise<StateWarmStore> {
  let known: z.infer<typeof schema> = {}
  try {
    known = schema.parse(JSON.parse((await stateDir.read(FILE)) ?? '{}'))
  } catch {
    // spoilt: begin anew
  }
  let turn = Promise.resolve()
  return {
    load: () => known,
    save: (all) => {
      const text = `${JSON.stringify(all)}\n`
      turn = turn.then(() => stateDir.write(FILE, text)).catch(onError)
    },
    settled: () => turn,
  }
}
