// How many objects the catalog holds and refuses, by kind.

import { Gauge, type Registry } from 'prom-client'

export interface CatalogMetrics {
  /** The objects of a kind that are in force, and those whose latest version is refused. */
  count(kind: string, objects: number, rejected: number): void
}

export function catalogMetrics(registry: Registry): CatalogMetrics {
  const objects = new Gauge({
    name: 'heddle_catalog_objects',
    help: 'Objects in force',
    labelNames: ['kind'],
    registers: [registry],
  })
  const rejected = new Gauge({
    name: 'heddle_catalog_rejected',
    help: 'Objects whose latest version was refused; an earlier good version may be in force',
    labelNames: ['kind'],
    registers: [registry],
  })
  return {
    count(kind, held, refused) {
      objects.set({ kind }, held)
      rejected.set({ kind }, refused)
    },
  }
}
