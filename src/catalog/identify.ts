// Which object a raw value claims to be, said from the four fields that tell it and nothing else, so that also a broken object
// is known by its name, keeps its last good version, and gets its own condition.

import { allKinds, defaultNamespace, type Kind } from '../api/index.ts'

/** What can be said of a raw object before it is checked. */
export interface Identity {
  /** As written; undefined where it is missing or no string. */
  readonly apiVersion: string | undefined
  readonly kindText: string | undefined
  /** The kind, if Heddle reads it in any version. */
  readonly kind: Kind | undefined
  readonly namespace: string | undefined
  readonly name: string | undefined
  /** `namespace/name`, or `name` for cluster-scoped kinds; undefined where the kind or the name is not known. */
  readonly key: string | undefined
}

export function identify(raw: unknown): Identity {
  const object = fields(raw)
  const metadata = fields(object['metadata'])
  const apiVersion = text(object['apiVersion'])
  const kindText = text(object['kind'])
  const kind = apiVersion === undefined || kindText === undefined ? undefined : kindOf(apiVersion, kindText)
  const name = text(metadata['name'])
  const given = metadata['namespace']
  const namespace =
    kind?.scope === 'Cluster' ? undefined : given === undefined || given === null ? defaultNamespace : text(given)
  const whole = kind !== undefined && name !== undefined && (kind.scope === 'Cluster' || namespace !== undefined)
  return { apiVersion, kindText, kind, namespace, name, key: whole ? keyOf(kind, namespace, name) : undefined }
}

/** By group: an object of a version that is not read is one that cannot be read, not one of another kind. */
function kindOf(apiVersion: string, kind: string): Kind | undefined {
  const slash = apiVersion.indexOf('/')
  const group = slash < 0 ? '' : apiVersion.slice(0, slash)
  return allKinds.find((known) => known.kind === kind && known.group === group)
}

/** The key of an object in its kind's table. */
export function keyOf(kind: Pick<Kind, 'scope'>, namespace: string | undefined, name: string): string {
  return kind.scope === 'Cluster' ? name : `${namespace ?? defaultNamespace}/${name}`
}

/** The fields of a value, of which nothing is known. */
export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
