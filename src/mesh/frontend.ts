// Which routes of a kind govern a Service's port for a client, and in which order (GEP-1294, "Namespace boundaries", "Route types"
// and "Multiple routes for a Service"; Gateway API, HTTPRouteRule: precedence of matches).
import type { GRPCRoute, HTTPRoute, ObjectOf, TCPRoute, TLSRoute } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { byAge } from './age.ts'
import { type Lookup, ROUTE_KINDS, type RouteKind } from './lookup.ts'
import { splitKey } from './model.ts'
import { sameJson } from './same.ts'

export type Route = HTTPRoute | GRPCRoute | TLSRoute | TCPRoute

/** The routes that govern one port for the clients of one scope. */
export interface Attached {
  readonly kind: RouteKind
  /** Oldest first. */
  readonly keys: readonly string[]
}

export interface Frontends {
  /** By `service key:port|client namespace`; the namespace is empty for clients that follow the producer's routes. */
  readonly attached: Reader<Attached | undefined>
  /** By service key: namespaces with routes of their own for this Service. Everybody else follows its producer. */
  readonly consumers: Reader<readonly string[]>
}

export function buildFrontends(graph: Graph, catalog: Catalog, lookup: Lookup): Frontends {
  const attaches = (kind: RouteKind, key: string, service: string, port: number): boolean => {
    const route: ObjectOf<RouteKind> | undefined = catalog.table(kind).get(key)
    const namespace = splitKey(key).namespace
    // a section of a Service is one of its ports, by name (ParentReference.sectionName)
    const isSection = (section: string): boolean =>
      catalog
        .table('Service')
        .get(service)
        ?.spec.ports?.some((own) => own.port === port && own.name === section) ?? false
    return (
      route?.spec.parentRefs.some(
        (parent) =>
          parent.kind === 'Service' &&
          parent.group === '' &&
          `${parent.namespace ?? namespace}/${parent.name}` === service &&
          (parent.port ?? port) === port &&
          (parent.sectionName === undefined || isSection(parent.sectionName)),
      ) ?? false
    )
  }

  const consumers = graph.derive<readonly string[]>(
    'mesh.consumers',
    (service) => {
      const own = splitKey(service).namespace
      const found = new Set<string>()
      for (const kind of ROUTE_KINDS)
        for (const key of lookup.routesByParent[kind].get(service)) {
          const { namespace } = splitKey(key)
          if (namespace !== own) found.add(namespace)
        }
      return [...found].toSorted()
    },
    sameJson,
  )

  const attached = graph.derive<Attached | undefined>(
    'mesh.attached',
    (key) => {
      const bar = key.lastIndexOf('|')
      const colon = key.lastIndexOf(':', bar)
      const service = key.slice(0, colon)
      const port = Number(key.slice(colon + 1, bar))
      const producer = splitKey(service).namespace
      // a namespace's own routes replace the producer's for its clients: the two groups never merge
      for (const namespace of new Set([key.slice(bar + 1), producer])) {
        if (namespace === '') continue
        for (const kind of ROUTE_KINDS) {
          const table = catalog.table(kind)
          const keys = lookup.routesByParent[kind]
            .get(service)
            .filter((route) => splitKey(route).namespace === namespace && attaches(kind, route, service, port))
          if (keys.length > 0)
            return { kind, keys: keys.toSorted((a, b) => byAge(table.get(a)?.metadata, a, table.get(b)?.metadata, b)) }
        }
      }
      return undefined
    },
    sameJson,
  )

  return { attached, consumers }
}
