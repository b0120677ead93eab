// Connections to a Service's port: the backends of its TCPRoute, or of the TLSRoute that the SNI picks, else the Service itself.
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
  /** By `service key:port|client namespace|sni`; undefined without a TLSRoute, empty where none of its names fits. */
  readonly tls: Reader<readonly TcpBackend[] | undefined>
}

export function buildTcp(graph: Graph, catalog: Catalog, services: Services, frontends: Frontends): TcpFrontends {
  const tcpRoutes = catalog.table('TCPRoute')
  const tlsRoutes = catalog.table('TLSRoute')
  const resolve = (refs: readonly BackendReference[], namespace: string): TcpBackend[] =>
    refs.map((ref) => {
      const service = keyOf(ref.namespace ?? namespace, ref.name)
      const port = ref.port ?? 0
      const known = services.service.get(service)
      const usable = ref.group === '' && ref.kind === 'Service' && (known?.ports.some((own) => own.port === port) ?? false)
      return {
        name: backendName(service, port),
        service,
        port,
        weight: ref.weight,
        invalid: usable ? undefined : `${ref.kind} ${service} has no port ${port}, or does not exist`,
      }
    })
  return {
    tcp: graph.derive(
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
    ),
    tls: graph.derive(
      'mesh.tls',
      (key) => {
        const bar = key.lastIndexOf('|')
        const sni = key.slice(bar + 1).toLowerCase()
        const attached = frontends.attached.get(key.slice(0, bar))
        if (attached?.kind !== 'TLSRoute') return undefined
        let best: { readonly route: TLSRoute; readonly namespace: string; readonly length: number } | undefined
        for (const name of attached.keys) {
          const route = tlsRoutes.get(name)
          for (const hostname of route?.spec.hostnames ?? [])
            if (route !== undefined && fits(hostname, sni) && hostname.length > (best?.length ?? 0))
              best = { route, namespace: splitKey(name).namespace, length: hostname.startsWith('*') ? hostname.length : 1000 }
        }
        return best === undefined ? [] : resolve(best.route.spec.rules[0]?.backendRefs ?? [], best.namespace)
      },
      sameJson,
    ),
  }
}

/** Whether a host name, the first label of which may be `*`, covers a name (Gateway API, Hostname). */
export function fits(hostname: string, name: string): boolean {
  return hostname.startsWith('*.') ? name.endsWith(hostname.slice(1)) && name.length > hostname.length - 1 : hostname === name
}
