/**
 * What all objects have in common: `apiVersion`, `kind`, `metadata`. Only the metadata that a mesh reads is
 * checked; what the API server adds is known, so that nobody is warned of it, and dropped.
 */
import { z } from 'zod'
import { dnsLabel, dnsSubdomain } from './text.ts'

export const labelValue = z
  .string()
  .max(63)
  .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/, 'a label value: at most 63 letters, digits, "-", "_" and "."')

/** `name` or `prefix/name`. */
export const labelKeyPattern =
  /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const labelKey = z.string().regex(labelKeyPattern, 'a label key such as app or example.com/app')

/** Labels of an object, or those a selector asks for. */
export const labels = z.record(labelKey, labelValue)

export const objectMeta = z
  .object({
    name: dnsSubdomain.describe('Name, unique among the objects of its kind in a namespace.'),
    namespace: dnsLabel.optional().describe('Namespace; `default` where a namespaced object names none.'),
    labels: labels.optional().describe('Labels, by which selectors find the object.'),
    annotations: z.record(z.string().max(317), z.string()).optional().describe('Annotations.'),
    uid: z.string().optional().describe('Set by the API server.'),
    generation: z.number().optional().describe('Counts changes of the spec; set by the API server.'),
    creationTimestamp: z
      .string()
      .optional()
      .describe('RFC 3339; set by the API server. The older object wins a conflict.'),
    resourceVersion: z.string().optional().describe('Set by the API server.'),
    deletionTimestamp: z.string().optional(),
    deletionGracePeriodSeconds: z.unknown().optional(),
    finalizers: z.unknown().optional(),
    generateName: z.unknown().optional(),
    managedFields: z.unknown().optional(),
    ownerReferences: z
      .array(
        z.object({
          apiVersion: z.string(),
          kind: z.string(),
          name: z.string(),
          uid: z.string(),
          controller: z.boolean().optional(),
        }),
      )
      .optional(),
    selfLink: z.unknown().optional(),
  })
  .describe('Standard object metadata.')

/** Metadata of an object, as parsed. */
export type ObjectMeta = z.infer<typeof objectMeta>

/** Any object of any kind that Heddle reads. */
export interface AnyObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** The fields above the kind's own: `apiVersion`, `kind`, `metadata`, and a `status` that is not read. */
export const typeFields = {
  apiVersion: z.string().describe('Group and version of the schema this object is written in.'),
  kind: z.string().describe('The kind of object.'),
  metadata: objectMeta,
}
