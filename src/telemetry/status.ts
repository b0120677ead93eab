// The state of the mesh as people ask for it: every workload, whether its proxy is connected, and what that has taken or refused.
import type { Core } from '../core.ts'
import type { View } from '../envoy/view.ts'
import type { XdsServer } from '../xds/server.ts'
import type { ResourceState } from '../xds/state.ts'

export interface MeshStatus {
  readonly ready: boolean
  readonly trustDomain: string
  readonly workloads: readonly WorkloadStatus[]
  readonly problems: { readonly errors: number; readonly warnings: number }
}

export interface WorkloadStatus {
  /** `namespace/name`. */
  readonly workload: string
  readonly serviceAccount: string
  readonly addresses: readonly string[]
  /** One for each stream of its proxies. */
  readonly proxies: readonly ProxyStatus[]
}

export interface ProxyStatus {
  readonly nodeId: string
  readonly protocol: 'delta' | 'sotw'
  /** RFC 3339. */
  readonly connectedSince: string
  readonly types: readonly TypeStatus[]
}

export interface TypeStatus {
  /** Full name of the resource type. */
  readonly type: string
  readonly acknowledged: number
  /** Sent and not answered yet, or not sent yet. */
  readonly pending: number
  readonly refused: readonly { readonly name: string; readonly version: string; readonly message: string }[]
  readonly resources: readonly ResourceState[]
}

export function meshStatus(core: Core, server: XdsServer<View>): MeshStatus {
  const proxies = Map.groupBy(server.clients(), ({ client }) => client.workload)
  const problems = core.catalog.problems()
  return {
    ready: core.catalog.ready,
    trustDomain: core.mesh.settings.get('').trustDomain,
    workloads: [...core.catalog.table('Workload').entries()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([workload, { spec }]) => ({
        workload,
        serviceAccount: spec.serviceAccount,
        addresses: spec.address === undefined ? [] : [spec.address],
        proxies: (proxies.get(workload) ?? []).map((proxy) => ({
          nodeId: proxy.nodeId,
          protocol: proxy.protocol,
          connectedSince: new Date(proxy.connectedAt).toISOString(),
          types: proxy.types.map(({ type, pending, resources }) => ({
            type,
            acknowledged: resources.filter(({ sent, acknowledged }) => sent !== undefined && sent === acknowledged)
              .length,
            pending:
              pending +
              resources.filter(({ sent, acknowledged, refused }) => sent !== acknowledged && refused === undefined)
                .length,
            refused: resources.flatMap(({ name, refused }) =>
              refused === undefined ? [] : { name, version: refused.version, message: refused.message },
            ),
            resources,
          })),
        })),
      })),
    problems: {
      errors: problems.filter(({ severity }) => severity === 'error').length,
      warnings: problems.filter(({ severity }) => severity === 'warning').length,
    },
  }
}
