// Every resource as cells of the graph: a content is made from the narrowest scope that it depends on, encoded once, and shared by
// all who see the same.
import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Graph, Reader } from '../engine/graph.ts'
import { encodeEndpoints } from '../proto/endpoints.ts'
import type { MessageName } from '../proto/types.ts'
import type { Resource } from '../xds/source.ts'
import { type AuthorOptions, createAuthor } from './author.ts'
import type { Authored } from './authored.ts'
import { scopeOf } from './cluster/outbound.ts'
import { followsLocality } from './endpoint.ts'
import { type InboundInput, inboundInput, inboundMessage } from './inbound.ts'
import {
  CLUSTER,
  ENDPOINTS,
  formatClusterName,
  parseClusterName,
  parseVirtualHostName,
  REFUSED_HOST,
  VIRTUAL_HOST,
} from './names.ts'
import type { View } from './view.ts'

export interface Resources {
  /** The content of a name for a proxy; to be watched. Key: `Scopes.key`. */
  readonly resource: Reader<Resource | undefined>
  /** The same before it is encoded. */
  authored(type: string, name: string, view: View): Authored | undefined
}

export interface ResourcesOptions extends AuthorOptions {
  readonly graph: Graph
}

export function buildResources(options: ResourcesOptions): Resources {
  const { graph, mesh, protos } = options
  const author = createAuthor(options)

  const encode = (authored: Authored | undefined): Resource | undefined => {
    if (authored === undefined) return undefined
    const { type, name, requires } = authored
    const bytes = protos.encodeUnknown(type, authored.message)
    return { name, version: authored.version ?? versionOf(bytes), bytes, requires }
  }

  // contents that several scopes share, by `name\nscope`
  const clusters = graph.derive<Resource | undefined>(
    'envoy.cluster',
    (key) => {
      const [name = '', namespace = ''] = key.split('\n')
      return encode(author.cluster(name, namespace))
    },
    sameResource,
  )
  const endpoints = graph.derive<Resource | undefined>(
    'envoy.endpoints',
    (key) => {
      const [name = '', namespace = '', locality = ''] = key.split('\n')
      const bytes = encodeEndpoints(author.endpoints(name, namespace, locality))
      return { name, version: versionOf(bytes), bytes, requires: [] }
    },
    sameResource,
  )
  const virtualHosts = graph.derive<Resource | undefined>(
    'envoy.virtualHost',
    (key) => {
      const [name = '', namespace = ''] = key.split('\n')
      return encode(author.virtualHost(name, namespace))
    },
    sameResource,
  )

  const inbounds = graph.derive<Resource | undefined>(
    'envoy.inbound',
    (key) => {
      const [type = '', name = '', input = ''] = key.split('\n')
      const message = inboundMessage(JSON.parse(input) as InboundInput, mesh.settings.get(''))
      return message === undefined ? undefined : encode({ type: type as MessageName, name, message, requires: [] })
    },
    sameResource,
  )

  /** The narrowest namespace that the content of an outbound name follows. */
  const narrow = (name: string, namespace: string): string => {
    const parsed = parseClusterName(name)
    if (parsed === undefined) return ''
    if (parsed.kind === 'external') return namespace
    const destination = mesh.services.destination.get(
      formatClusterName({ kind: 'http', address: parsed.address, port: parsed.port }),
    )
    if (destination === undefined) return namespace
    return destination.kind === 'service' ? scopeOf(mesh, destination.service.key, namespace) : ''
  }

  /** An address that neither the mesh nor a host outside has, as a namespace sees it. */
  const isNobodys = (name: string, namespace: string): boolean => {
    const parsed = parseClusterName(name)
    if (parsed === undefined || parsed.kind === 'external' || parsed.kind === 'backend') return false
    const { address, port } = parsed
    return (
      mesh.services.destination.get(formatClusterName({ kind: 'http', address, port })) === undefined &&
      !mesh.externals.visible.get(namespace).some((external) => external.addresses.includes(address))
    )
  }

  const resource = graph.derive<Resource | undefined>(
    'envoy.resource',
    (key) => {
      const [type = '', name = '', scope = '{}'] = key.split('\n')
      const view = JSON.parse(scope) as View
      if (view.workload !== undefined && mesh.patches.get(view.workload).length > 0)
        return encode(author.author(type, name, view))
      const inbound = inboundInput(mesh, type, name, view)
      if (inbound !== undefined) return inbounds.get(`${type}\n${name}\n${JSON.stringify(inbound)}`)
      switch (type) {
        case CLUSTER:
          // an application may dial thousands: each has as few cells as possible
          if (isNobodys(name, view.namespace)) return undefined
          return clusters.get(`${name}\n${narrow(name, view.namespace)}`)
        case ENDPOINTS:
          return endpoints.get(
            `${name}\n${narrow(name, view.namespace)}\n${followsLocality(mesh, name) ? view.locality : ''}`,
          )
        case VIRTUAL_HOST: {
          if (name === REFUSED_HOST) break
          const dialled = parseVirtualHostName(name)
          return virtualHosts.get(
            `${name}\n${dialled === undefined ? '' : narrow(formatClusterName({ kind: 'http', ...dialled }), view.namespace)}`,
          )
        }
        default:
      }
      return encode(author.author(type, name, view))
    },
    sameResource,
  )

  return { resource, authored: (type, name, view) => author.author(type, name, view) }
}

/** A version is a hash of the content: the same on every replica, and after a restart. */
export function versionOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url').slice(0, 16)
}

function sameResource(a: Resource | undefined, b: Resource | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && a.version === b.version && isDeepStrictEqual(a.requires, b.requires)
}
