/**
 * Tells the model which Workloads do not serve yet: those whose application the runner starts, from the moment that they are declared
 * until it listens. Nobody is sent to an instance that is only about to come.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Core } from '../core.ts'
import type { RunnerEvent } from './runnable.ts'

export interface Readiness extends Disposable {
  /** What the runner told; answers whether that changes who serves. */
  tell(event: RunnerEvent): boolean
}

/** To be called before the catalog is filled. */
export function keepReadiness(core: Core): Readiness {
  const { catalog, mesh } = core
  const set = (workload: string, ready: boolean): boolean => {
    if (ready === !mesh.unready.has(workload)) return false
    if (ready) mesh.unready.delete(workload)
    else mesh.unready.set(workload, true)
    core.changed()
    return true
  }
  const listener = catalog.listen('Workload', (key, before, after) => {
    if (after?.spec.run === undefined) return void set(key, true)
    // what is not the same is started anew
    if (!isDeepStrictEqual([before?.spec.run, before?.spec.ports], [after.spec.run, after.spec.ports])) set(key, false)
  })
  return {
    tell({ type, workload }) {
      return (type === 'app-ready' || type === 'app-exited') && set(workload, type === 'app-ready')
    },
    [Symbol.dispose]: () => listener[Symbol.dispose](),
  }
}
