/**
 * References of Gateway API routes: to parents and to backends. The rules are those of the v1.6 experimental
 * channel's CRDs.
 */
import { z } from 'zod'
import { withRules } from '../rules.ts'
import { apiGroup, dnsLabel, dnsSubdomain, kindName, objectName, portNumber } from '../text.ts'
import { gatewayGroup } from '../constants.ts'

const parentReference = z.object({
  group: apiGroup.default(gatewayGroup).describe('Group of the parent; empty for a Service.'),
  kind: kindName.default('Gateway').describe('Kind of the parent: for a mesh, `Service`.'),
  namespace: dnsLabel.optional().describe("Namespace of the parent; the route's own by default."),
  name: objectName.describe('Name of the parent.'),
  sectionName: dnsSubdomain.optional().describe('A named part of the parent.'),
  port: portNumber.optional().describe("The parent's port that the route applies to; all ports by default."),
})

export type ParentReference = z.infer<typeof parentReference>

const parentKey = ({ group, kind, name, namespace = '' }: ParentReference): string =>
  JSON.stringify([group, kind, namespace, name])

/** References to one parent either all name a section, or a port, or none does: never mixed. */
function namedAlike(parents: readonly ParentReference[]): boolean {
  const shapes = new Map<string, string>()
  return parents.every((parent) => {
    const shape = `${parent.sectionName !== undefined} ${parent.port !== undefined}`
    const earlier = shapes.get(parentKey(parent)) ?? shape
    shapes.set(parentKey(parent), earlier)
    return earlier === shape
  })
}

export const parentReferences = withRules(
  z.array(parentReference).max(32),
  {
    holds: namedAlike,
    message:
      'where several parentRefs name the same parent, either all or none must give a sectionName, and likewise a port',
  },
  {
    holds: (parents) =>
      new Set(parents.map((parent) => JSON.stringify([parentKey(parent), parent.sectionName, parent.port]))).size ===
      parents.length,
    message: 'parentRefs to the same parent must differ in sectionName or port',
  },
)

const backendFields = {
  group: apiGroup.default('').describe('Group of the backend; empty for a Service.'),
  kind: kindName.default('Service').describe('Kind of the backend.'),
  name: objectName.describe('Name of the backend.'),
  namespace: dnsLabel
    .optional()
    .describe("Namespace of the backend; the route's own by default. Another one must allow it with a ReferenceGrant."),
  port: portNumber.optional().describe('Port of the backend; a Service needs one.'),
}

interface BackendFields {
  readonly group: string
  readonly kind: string
  readonly port?: number | undefined
}

const portOfService = {
  holds: ({ group, kind, port }: BackendFields): boolean => group !== '' || kind !== 'Service' || port !== undefined,
  message: 'a Service as backend needs a port',
  path: ['port'],
}

export const weight = z
  .int32()
  .min(0)
  .max(1_000_000)
  .default(1)
  .describe('Share of the traffic, relative to the other weights of the rule.')

/** A backend without weight: of a mirror, or of external authorization. */
export const backendObjectReference = withRules(z.object(backendFields), portOfService)

/** A weighted backend of a TCP or TLS rule. */
export const backendReference = withRules(z.object({ ...backendFields, weight }), portOfService)

/** A weighted backend with filters of its own. */
export function backendReferenceWith<Filters extends z.ZodType>(filters: Filters) {
  return withRules(
    z.object({
      ...backendFields,
      weight,
      filters: filters.optional().describe('Filters for requests to this backend only.'),
    }),
    portOfService,
  )
}

export type BackendObjectReference = z.infer<typeof backendObjectReference>
export type BackendReference = z.infer<typeof backendReference>

/** A reference to an object of the same namespace. */
export const localObjectReference = z.object({
  group: apiGroup.describe('Group of the object.'),
  kind: kindName.describe('Kind of the object.'),
  name: objectName.describe('Name of the object.'),
})
