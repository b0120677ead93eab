/**
 * Which Workloads have a proxy, over a restart of the control plane: until their proxies are back, nobody may be told to speak
 * plaintext to them. A Workload that goes is forgotten.
 */
import { z } from 'zod'
import type { Core } from '../core.ts'
import type { StateDir } from '../identity/state-dir.ts'
import { type StateFile, stateFile } from './state-file.ts'

export function meshedFile(
  stateDir: StateDir,
  onError: (error: unknown) => void,
): Promise<StateFile<readonly string[]>> {
  return stateFile({ stateDir, file: 'meshed.json', schema: z.array(z.string()), fallback: [], onError })
}

/** Call once the catalog is complete. */
export function keepMeshed(core: Core, file: StateFile<readonly string[]>): Disposable & { save(): void } {
  const { catalog, mesh } = core
  const workloads = catalog.table('Workload')
  for (const key of file.known) if (workloads.has(key)) mesh.meshed.set(key, true)
  const save = (): void => file.save([...mesh.meshed.entries()].map(([key]) => key).toSorted())
  const listener = catalog.listen('Workload', (key, _, after) => {
    if (after !== undefined || !mesh.meshed.has(key)) return
    mesh.meshed.delete(key)
    core.changed()
    save()
  })
  return { save, [Symbol.dispose]: () => listener[Symbol.dispose]() }
}
