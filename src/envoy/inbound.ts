// A workload's inbound side, by what it really follows: a thousand workloads of the same shape share one listener's bytes.
import type { RateLimit } from '../api/index.ts'
import type { Authorization } from '../mesh/authorization.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { WorkloadPort } from '../mesh/model.ts'
import type { Mtls } from '../mesh/mtls.ts'
import type { Settings } from '../mesh/settings.ts'
import { inboundCluster } from './cluster/inbound.ts'
import { inboundRoutes, networkRbacConfig } from './inbound-filters.ts'
import { inboundListener } from './listener/inbound.ts'
import { CLUSTER, EXTENSION, INBOUND, LISTENER, parseInboundName, ROUTES } from './names.ts'
import type { View } from './view.ts'

/** Everything that the content follows besides the mesh's settings: plain data, so that it can be a key. */
export type InboundInput =
  | {
      readonly of: 'listener'
      readonly ports: readonly WorkloadPort[]
      readonly mtls: Mtls
      readonly ipv6: boolean
      readonly bind?: string | undefined
    }
  | {
      readonly of: 'routes'
      readonly name: string
      readonly authorization: Authorization
      readonly rateLimit?: RateLimit | undefined
    }
  | { readonly of: 'network-rbac'; readonly name: string; readonly authorization: Authorization }
  | {
      readonly of: 'cluster'
      readonly name: string
      readonly ipv6: boolean
      readonly application?: { readonly address: string; readonly port: number } | undefined
    }

/** Undefined for names that are not of the inbound side. */
export function inboundInput(mesh: Mesh, type: string, name: string, view: View): InboundInput | undefined {
  const port = parseInboundName(name)
  if (port === undefined && name !== INBOUND && type !== EXTENSION) return undefined
  switch (type) {
    case LISTENER: {
      const workload = mesh.services.workload.get(view.workload)
      if (workload === undefined) return undefined
      const bind = view.interception === 'None' ? workload.addresses[0] : undefined
      return { of: 'listener', ports: workload.ports, mtls: mesh.mtls.get(view.workload), ipv6: view.ipv6, bind }
    }
    case ROUTES: {
      const workload = mesh.services.workload.get(view.workload)
      const rateLimit =
        workload === undefined || port === undefined ? undefined : mesh.policies.rateLimit(workload, port)
      return { of: 'routes', name, authorization: mesh.authorization.get(view.workload), rateLimit }
    }
    case CLUSTER: {
      const direct = view.interception === 'None' && view.appAddress !== undefined && port !== undefined
      return {
        of: 'cluster',
        name,
        ipv6: view.ipv6,
        application: direct ? { address: view.appAddress, port } : undefined,
      }
    }
    case EXTENSION:
      return { of: 'network-rbac', name, authorization: mesh.authorization.get(view.workload) }
    default:
      return undefined
  }
}

/** The message; undefined where there is none of that name. */
export function inboundMessage(input: InboundInput, settings: Settings): unknown {
  switch (input.of) {
    case 'listener':
      return inboundListener({ ...input, settings, bind: input.bind })
    case 'routes':
      return inboundRoutes({ ...input, trustDomain: settings.trustDomain, rateLimit: input.rateLimit })
    case 'network-rbac':
      return networkRbacConfig(input.name, input.authorization, settings.trustDomain)
    case 'cluster':
      return inboundCluster({ ...input, application: input.application })
  }
}
