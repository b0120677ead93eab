// Connections to a Service's port: the backends of its TCPRoute, or of the TLSRoute that the SNI picks, else the Service itself. A
// TCPRoute takes every connection, TLS included; a TLSRoute takes TLS connections alone.
import type { BackendReference, TCPRoute, TLSRoute } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import type { Frontends } from './frontend.ts'
import { backendName } from './http.ts'
import { keyOf, splitKey } from './model.ts'
import { sameJson } from './same.ts'
import type { Services } from './services.ts'

export interface TcpBackend {
  readonly name: string
  readonly service: string
  readonly port: number
  readonly weight: number
  readonly invalid: string | undefined
}

export interface TcpFrontends {
  /** By `service key:port|client namespace`; undefined without a TCPRoute. */
  readonly tcp: Reader<readonly TcpBackend[] | undefined>
  /** By `service key:port|client namespace|sni`; undefined without a route, empty where no name of a TLSRoute fits. */
  readonly tls: Reader<readonly TcpBackend[] | undefined>
  /** By `service key:port|client namespace`: the host names of its TLSRoutes, sorted; empty for one that takes every name. */
  readonly names: Reader<readonly string[]>
}

/** Longer than any host name with a `*`. */
const EXACT = 1000

export function buildTcp(graph: Graph, catalog: Catalog, services: Services, frontends: Frontends): TcpFrontends {
  const tcpRoutes = catalog.table('TCPRoute')
  const tlsRoutes = catalog.table('TLSRoute')
  const resolve = (refs: readonly BackendReference[], namespace: string): TcpBackend[] => {
    const found = new Map<string, TcpBackend>()
    for (const ref of refs) {
      const service = keyOf(ref.namespace ?? namespace, ref.name)
      const port = ref.port ?? 0
      const known = services.service.get(service)
      const usable =
        ref.group === '' && ref.kind === 'Service' && (known?.ports.some((own) => own.port === port) ?? false)
      const name = backendName(service, port)
      found.set(name, {
        name,
        service,
        port,
        // a backend that is named twice has both shares
        weight: ref.weight + (found.get(name)?.weight ?? 0),
        invalid: usable ? undefined : `${ref.kind} ${service} has no port ${port}, or does not exist`,
      })
    }
    return [...found.values()]
  }
  const tcp = graph.derive<readonly TcpBackend[] | undefined>(
    'mesh.tcp',
    (key) => {
      const attached = frontends.attached.get(key)
      if (attached?.kind !== 'TCPRoute') return undefined
      // one rule of one route can take a connection: the oldest route's first (TCPRouteSpec.rules)
      const [route = ''] = attached.keys
      const rule: TCPRoute['spec']['rules'][number] | undefined = tcpRoutes.get(route)?.spec.rules[0]
      return resolve(rule?.backendRefs ?? [], splitKey(route).namespace)
    },
    sameJson,
  )
  return {
    tcp,
    tls: graph.derive(
      'mesh.tls',
      (key) => {
        const bar = key.lastIndexOf('|')
        const sni = key.slice(bar + 1).toLowerCase()
        const attached = frontends.attached.get(key.slice(0, bar))
        if (attached?.kind !== 'TLSRoute') return tcp.get(key.slice(0, bar))
        let best: { readonly route: TLSRoute; readonly namespace: string; readonly length: number } | undefined
        for (const name of attached.keys) {
          const route = tlsRoutes.get(name)
          if (route === undefined) continue
          for (const hostname of hostnamesOf(route)) {
            const length = hostname === '' || hostname.startsWith('*') ? hostname.length : EXACT
            if ((hostname === '' || fits(hostname, sni)) && length > (best?.length ?? -1))
              best = { route, namespace: splitKey(name).namespace, length }
          }
        }
        return best === undefined ? [] : resolve(best.route.spec.rules[0]?.backendRefs ?? [], best.namespace)
      },
      sameJson,
    ),
    names: graph.derive<readonly string[]>(
      'mesh.tls.names',
      (key) => {
        const attached = frontends.attached.get(key)
        if (attached?.kind !== 'TLSRoute') return []
        const routes = attached.keys.flatMap((name) => tlsRoutes.get(name) ?? [])
        return [...new Set(routes.flatMap(hostnamesOf))].toSorted()
      },
      sameJson,
    ),
  }
}

/** A route without host names, as v1alpha2 allows it, takes every name. */
function hostnamesOf({ spec: { hostnames } }: TLSRoute): readonly string[] {
  return hostnames.length === 0 ? [''] : hostnames
}

/** Whether a host name, the first label of which may be `*`, covers a name (Gateway API, Hostname). */
export function fits(hostname: string, name: string): boolean {
  return hostname.startsWith('*.')
    ? name.endsWith(hostname.slice(1)) && name.length > hostname.length - 1
    : hostname === name
}
