/** A catalog over a graph of its own, and objects for it. */
import { Catalog } from '../../src/catalog/catalog.ts'
import type { Broken, Origin, Upsert } from '../../src/catalog/change.ts'
import type { CatalogMetrics } from '../../src/catalog/metrics.ts'
import { Graph } from '../../src/engine/graph.ts'

export interface CatalogWorld {
  readonly graph: Graph
  readonly catalog: Catalog
  /** The catalog's time. */
  readonly clock: { now(): number; time: number }
}

export function catalogWorld(metrics?: CatalogMetrics): CatalogWorld {
  const graph = new Graph()
  const clock = { time: 1000, now: () => clock.time }
  const catalog = new Catalog({ graph, clock, ...(metrics === undefined ? {} : { metrics }) })
  return { graph, catalog, clock }
}

export function upsert(object: unknown, source = 'a.yaml', line = 1): Upsert {
  return { op: 'upsert', object, origin: at(source, line) }
}

export function broken(object: unknown, source = 'a.yaml', line = 1): Broken {
  const diagnostic = { severity: 'error', code: 'unreadable', path: [], field: '', message: 'is no YAML' } as const
  return { op: 'broken', object, origin: at(source, line), diagnostics: [diagnostic] }
}

const at = (source: string, line: number): Origin => ({ source, line, at: () => ({ line, column: 1 }) })

/** A Service; `port` may be anything, to make it a bad one. */
export function service(name: string, port: unknown = 80, namespace: string | undefined = 'shop'): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { ports: [{ port }] } }
}

/** An AuthorizationPolicy; `action` may be anything. */
export function policy(name: string, action: unknown = 'ALLOW'): object {
  return {
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop' },
    spec: { targetRefs: [{ kind: 'Workload', name: 'cart' }], action },
  }
}
