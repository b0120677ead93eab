// Whether an instance takes plaintext: the nearest MeshTLS that speaks of it wins, a port before the whole; the older of two
// equally near; the mesh's setting where none does. A MeshTLS that cannot be read is taken for Strict: it fails closed.
import type { MeshTLS } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { byAge } from './age.ts'
import { type Nearness, policiesOf } from './instances.ts'
import type { Lookup } from './lookup.ts'
import type { MtlsMode, Workload } from './model.ts'
import { sameJson } from './same.ts'
import type { Settings } from './settings.ts'
import { concerns } from './unreadable.ts'

export interface Mtls {
  readonly mode: MtlsMode
  /** Ports with a mode of their own, in order. */
  readonly ports: readonly { readonly port: number; readonly mode: MtlsMode }[]
}

/** By key of the workload. */
export function buildMtls(
  graph: Graph,
  catalog: Catalog,
  lookup: Lookup,
  workloads: Reader<Workload | undefined>,
  settings: Reader<Settings>,
): Reader<Mtls> {
  const table = catalog.table('MeshTLS')
  return graph.derive<Mtls>(
    'mesh.mtls',
    (key) => {
      const workload = workloads.get(key)
      const fallback: MtlsMode = settings.get('').mtls.mode
      if (workload === undefined) return { mode: fallback, ports: [] }
      if (concerns(catalog, 'MeshTLS', workload)) return { mode: 'Strict', ports: [] }
      const found = policiesOf(lookup, 'MeshTLS', (policy) => table.get(policy), workload)
      const ports = new Map<number, MtlsMode>()
      let mode: MtlsMode | undefined
      // a nearer policy's mode for all ports outweighs a farther one's for a single port
      for (const nearness of ['instance', 'namespace', 'mesh'] satisfies Nearness[]) {
        if (mode !== undefined) break
        const specs = found
          .filter((policy) => policy.nearness === nearness)
          .toSorted((a, b) => byAge(table.get(a.key)?.metadata, a.key, table.get(b.key)?.metadata, b.key))
          .map(({ key: policy }): MeshTLS['spec'] | undefined => table.get(policy)?.spec)
          .filter((spec) => spec !== undefined)
        for (const spec of specs)
          for (const port of spec.ports) if (!ports.has(port.port)) ports.set(port.port, port.mode)
        mode = specs.find((spec) => spec.mode !== undefined)?.mode
      }
      const whole = mode ?? fallback
      return {
        mode: whole,
        ports: [...ports]
          .filter(([, own]) => own !== whole)
          .map(([port, own]) => ({ port, mode: own }))
          .toSorted((a, b) => a.port - b.port),
      }
    },
    sameJson,
  )
}

export function modeOf(mtls: Mtls, port: number): MtlsMode {
  return mtls.ports.find((own) => own.port === port)?.mode ?? mtls.mode
}
