// Which other objects an object names, and where in it. Only what is written: whether a reference has an effect is the model's say.

import {
  defaultNamespace,
  gatewayGroup,
  heddleGroup,
  serviceNameLabel,
  type AnyObject,
  type KindName,
  type ObjectOf,
} from '../api/index.ts'

export interface Reference {
  /** The field that names the other object. */
  readonly path: readonly (string | number)[]
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** A port of it, by number. */
  readonly port?: number | undefined
  /** A named part of it: a port of a Service, a rule of a route. */
  readonly section?: string | undefined
  /** From another namespace it needs a ReferenceGrant: backends of a route that a Gateway takes, not of one of a Service (GEP-1294). */
  readonly granted?: boolean
  /** Kinds that may stand here, where the schema admits any. */
  readonly expected?: readonly string[]
}

type References = Iterable<Reference>

/** The references of one object in force. */
export function referencesOf(object: AnyObject): References {
  return finders[object.kind as KindName]?.(object, object.metadata.namespace ?? defaultNamespace) ?? []
}

type Finders = { readonly [K in KindName]?: (object: ObjectOf<K>, namespace: string) => References }

const kindFinders: Finders = {
  HTTPRoute: routeReferences,
  GRPCRoute: routeReferences,
  TCPRoute: routeReferences,
  TLSRoute: routeReferences,
  *TrafficPolicy({ spec }, namespace) {
    for (const [index, { kind, name, sectionName }] of spec.targetRefs.entries()) {
      if (name === undefined || kind === 'Namespace' || kind === 'Mesh') continue
      yield { path: ['spec', 'targetRefs', index], group: groupOf(kind), kind, namespace, name, section: sectionName }
    }
  },
  AuthorizationPolicy: instanceReferences,
  MeshTLS: instanceReferences,
  EnvoyPatch: instanceReferences,
  *Workload({ spec }, namespace) {
    for (const [index, { service }] of spec.upstreams.entries()) {
      const path = ['spec', 'upstreams', index, 'service']
      yield {
        path,
        group: groupOf(service.kind),
        kind: service.kind,
        namespace: service.namespace ?? namespace,
        name: service.name,
        port: service.port,
      }
    }
  },
  *ExternalService({ spec }, namespace) {
    const { caCertificateRefs, clientCertificateRef } = spec.tls ?? {}
    const path = ['spec', 'tls']
    for (const [index, ref] of (caCertificateRefs ?? []).entries()) {
      yield { ...ref, namespace, path: [...path, 'caCertificateRefs', index] }
    }
    if (clientCertificateRef !== undefined) {
      yield { ...clientCertificateRef, namespace, path: [...path, 'clientCertificateRef'] }
    }
  },
  *EndpointSlice({ metadata }, namespace) {
    const name = metadata.labels?.[serviceNameLabel]
    if (name !== undefined)
      yield { path: ['metadata', 'labels', serviceNameLabel], group: '', kind: 'Service', namespace, name }
  },
}

/** The same, callable with any kind: an entry is only ever given objects of its own. */
const finders = kindFinders as { readonly [K in KindName]?: (object: AnyObject, namespace: string) => References }

interface BackendRef {
  readonly group: string
  readonly kind: string
  readonly namespace?: string | undefined
  readonly name: string
  readonly port?: number | undefined
}

interface Filter {
  readonly requestMirror?: { readonly backendRef: BackendRef } | undefined
  readonly externalAuth?: { readonly backendRef: BackendRef } | undefined
}

interface Route extends AnyObject {
  readonly spec: {
    readonly parentRefs: readonly (BackendRef & { readonly sectionName?: string | undefined })[]
    readonly rules: readonly {
      readonly filters?: readonly Filter[]
      readonly backendRefs: readonly (BackendRef & { readonly filters?: readonly Filter[] | undefined })[]
    }[]
  }
}

function* routeReferences({ spec }: Route, namespace: string): References {
  for (const [index, parent] of spec.parentRefs.entries()) {
    // parents of other kinds are other implementations' business
    if (parent.group !== '' || parent.kind !== 'Service') continue
    const { group, kind, name, port, sectionName } = parent
    const path = ['spec', 'parentRefs', index]
    yield { path, group, kind, namespace: parent.namespace ?? namespace, name, port, section: sectionName }
  }
  const granted = spec.parentRefs.some(({ group, kind }) => group !== '' || kind !== 'Service')
  for (const [ruleIndex, rule] of spec.rules.entries()) {
    const path = ['spec', 'rules', ruleIndex]
    yield* filterReferences(rule.filters, [...path, 'filters'], namespace, granted)
    for (const [index, backend] of rule.backendRefs.entries()) {
      const own = [...path, 'backendRefs', index]
      yield backendReference(backend, own, namespace, granted)
      yield* filterReferences(backend.filters, [...own, 'filters'], namespace, granted)
    }
  }
}

function* filterReferences(
  filters: readonly Filter[] | undefined,
  path: readonly (string | number)[],
  namespace: string,
  granted: boolean,
): References {
  for (const [index, filter] of (filters ?? []).entries()) {
    for (const field of ['requestMirror', 'externalAuth'] as const) {
      const backend = filter[field]?.backendRef
      if (backend !== undefined)
        yield backendReference(backend, [...path, index, field, 'backendRef'], namespace, granted)
    }
  }
}

function backendReference(
  backend: BackendRef,
  path: readonly (string | number)[],
  own: string,
  granted: boolean,
): Reference {
  const { group, kind, name, port, namespace = own } = backend
  return { path, group, kind, namespace, name, port, granted, expected: ['Service'] }
}

interface InstancePolicy extends AnyObject {
  readonly spec: { readonly targetRefs: readonly { readonly kind: string; readonly name?: string | undefined }[] }
}

function* instanceReferences({ spec }: InstancePolicy, namespace: string): References {
  for (const [index, { kind, name }] of spec.targetRefs.entries()) {
    if (kind !== 'Workload' || name === undefined) continue
    yield { path: ['spec', 'targetRefs', index], group: heddleGroup, kind, namespace, name }
  }
}

function groupOf(kind: string): string {
  if (kind === 'Service') return ''
  return kind.endsWith('Route') ? gatewayGroup : heddleGroup
}
