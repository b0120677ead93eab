/**
 * Random catalogs that are valid: every object is one that the schemas take, of every kind that Heddle reads, with names from
 * small pools, so that routes and policies attach, compete and dangle as they do in a mesh that many people write.
 */
import fc from 'fast-check'
import { findKind, parse } from '../../src/api/index.ts'
import { keyOf } from '../../src/catalog/identify.ts'
import { mesh } from './kinds/mesh.ts'
import { type Raw } from './kinds/names.ts'
import { authorizationPolicy, envoyPatch, meshTls, trafficPolicy } from './kinds/policies.ts'
import { grpcRoute, httpRoute, tcpRoute, tlsRoute } from './kinds/routes.ts'
import {
  anchor,
  endpointSlice,
  externalService,
  namespace,
  referenceGrant,
  secret,
  service,
  serviceAccount,
  workload,
} from './kinds/services.ts'

export type { Raw } from './kinds/names.ts'

/** PEM material that generated objects hold. */
export interface Certificates {
  /** A certificate and its key. */
  readonly chain: string
  readonly key: string
  /** Certificates that are trusted. */
  readonly roots: string
}

/** A Workload that is in every catalog: a proxy stands before it all the time. */
export type Anchor = Parameters<typeof anchor>[0]

export interface CatalogOptions {
  readonly certificates: Certificates
  readonly anchors: readonly Anchor[]
  readonly trustDomains: readonly string[]
}

/** Kind and key of an object. */
export function idOf(object: Raw): string {
  const kind = findKind(object.apiVersion, object.kind)
  if (kind === undefined) throw new Error(`${object.apiVersion} ${object.kind} is no kind of ours`)
  return `${kind.kind} ${keyOf(kind, object.metadata.namespace, object.metadata.name)}`
}

/** One object, and how many of its like a catalog has at most. */
export function objects({
  certificates,
  trustDomains,
  anchors,
}: CatalogOptions): readonly (readonly [fc.Arbitrary<Raw>, number])[] {
  return [
    [service, 6],
    [workload, 4],
    [endpointSlice, 3],
    [httpRoute, 4],
    [grpcRoute, 2],
    [tcpRoute, 2],
    [tlsRoute, 2],
    [trafficPolicy, 4],
    [authorizationPolicy, 3],
    [meshTls, 2],
    [externalService(certificates.roots), 3],
    [envoyPatch, 1],
    [secret(certificates, certificates.roots), 2],
    [referenceGrant, 1],
    [namespace, 2],
    [serviceAccount, 1],
    [mesh(trustDomains), 1],
    ...anchors.map((own) => [anchor(own), 1] as const),
  ]
}

/** A valid catalog; the later of two objects of one name is left out. */
export function catalogs(options: CatalogOptions): fc.Arbitrary<readonly Raw[]> {
  const { anchors } = options
  const kinds = objects({ ...options, anchors: [] }).map(([item, most]) =>
    fc.array(item, { maxLength: most, size: 'max' }),
  )
  return fc.tuple(fc.tuple(...anchors.map(anchor)), ...kinds).map((lists) => {
    const seen = new Set<string>()
    return lists.flat().filter((object) => !seen.has(idOf(object)) && seen.add(idOf(object)))
  })
}

/** What the schemas say against an object; nothing, or a generator is wrong. */
export function invalid(object: Raw): readonly string[] {
  const kind = findKind(object.apiVersion, object.kind)
  if (kind === undefined) return [`${object.apiVersion} ${object.kind} is no kind of ours`]
  const parsed = parse(kind, object)
  const found = parsed.ok ? parsed.warnings : parsed.errors
  return found.map((diagnostic) => `${idOf(object)} ${JSON.stringify(diagnostic)}`)
}
