/**
 * What Heddle knows of a kind: its names, the schema of each served version, and who owns its CRD. The registry
 * in `index.ts` is the only list of kinds; sources, validation, CRDs and reference pages all follow from it.
 */
import type { z } from 'zod'
import type { AnyObject } from './object.ts'

export interface Kind<T extends AnyObject = AnyObject> {
  /** API group; empty for Kubernetes' core group. */
  readonly group: string
  /** The version Heddle prefers to watch. */
  readonly version: string
  /** All versions that are read, the preferred one first. */
  readonly versions: readonly string[]
  readonly kind: string
  /** As it stands in URLs of the API server. */
  readonly plural: string
  readonly scope: 'Namespaced' | 'Cluster'
  /** The schema of `version`. */
  readonly schema: z.ZodType<T>
  /** The schema by version, where versions differ in what they refuse; the parsed type is one for all. */
  readonly schemas: Readonly<Record<string, z.ZodType<T>>>
  /** True for `heddle.dev`: the CRD and the reference page are generated from the schema. */
  readonly ours: boolean
  /** True where only some fields are typed (Kubernetes' own kinds): other fields pass without a warning. */
  readonly partial: boolean
  /** Where conditions stand: on the object (`Object`), for each ancestor of a policy, or each parent of a route. */
  readonly statusShape: 'Object' | 'Ancestors' | 'Parents' | 'None'
  /** Condition types that Heddle reports on objects of this kind. */
  readonly statusConditions: readonly string[]
  /** Columns of `kubectl get`, for our own kinds. */
  readonly printerColumns: readonly PrinterColumn[]
  readonly shortNames: readonly string[]
  /** One paragraph on what the kind is for. */
  readonly description: string
}

export interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date' | 'boolean'
  readonly jsonPath: string
  readonly priority?: number
}

/** A kind's definition with what usually holds filled in. */
export function defineKind<T extends AnyObject>(
  given: Pick<Kind<T>, 'group' | 'kind' | 'plural' | 'description' | 'schemas'> & Partial<Kind<T>>,
): Kind<T> {
  const versions = Object.keys(given.schemas)
  const [version = ''] = versions
  const schema = given.schemas[version]
  if (schema === undefined) throw new Error(`kind ${given.kind} has no schema`)
  return {
    scope: 'Namespaced',
    ours: false,
    partial: false,
    statusShape: 'None',
    statusConditions: [],
    printerColumns: [],
    shortNames: [],
    version,
    versions,
    schema,
    ...given,
  }
}

/** `v1` for the core group, `group/version` otherwise. */
export function apiVersionOf(kind: Pick<Kind, 'group'>, version: string): string {
  return kind.group === '' ? version : `${kind.group}/${version}`
}
