// Objects that exist and were never readable: no good version is in force. For most kinds that is the same as absent, but an
// authorization that cannot be read denies, so the model must be able to see that there is one, and whom it is about.

import { fields, type Identity } from './identify.ts'
import type { Origin } from './change.ts'

export interface Unreadable {
  readonly kind: string
  /** Undefined for cluster-scoped kinds, and where what is written is no namespace: then it may be about any. */
  readonly namespace: string | undefined
  /** Undefined where it is missing. */
  readonly name: string | undefined
  /** `metadata.labels`, those that are strings. */
  readonly labels: Readonly<Record<string, string>>
  /** The targets as written, unchecked (`spec.targetRefs`, or `spec.targetRef` as a list of one); undefined if there is no such list: then it may be about all. */
  readonly targetRefs: readonly unknown[] | undefined
  /** `spec` as written, unchecked. */
  readonly spec: unknown
  readonly source: string
  readonly line: number | undefined
}

export function unreadable(kind: string, identity: Identity, raw: unknown, origin: Origin): Unreadable {
  const object = fields(raw)
  const spec = fields(object['spec'])
  const single = spec['targetRef']
  const refs = spec['targetRefs'] ?? (single === undefined ? undefined : [single])
  const labels = Object.entries(fields(fields(object['metadata'])['labels']))
  return {
    kind,
    namespace: identity.namespace,
    name: identity.name,
    labels: Object.fromEntries(labels.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    targetRefs: Array.isArray(refs) ? refs : undefined,
    spec: object['spec'],
    source: origin.source,
    line: origin.line,
  }
}

/** The row of an object whose own key cannot be said. */
export function placeKey(identity: Identity, origin: Origin): string {
  return `${identity.namespace ?? '?'}/?${origin.source}:${origin.line ?? 0}`
}
