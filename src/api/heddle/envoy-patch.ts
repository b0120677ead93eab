/** EnvoyPatch: the escape hatch, JSON patches (RFC 6902) on generated Envoy resources. */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { withRules } from '../rules.ts'
import { instanceTargets } from './selector.ts'

/** What may be patched: never secrets, which would let a namespace read or replace identities. */
const resourceTypes = [
  'type.googleapis.com/envoy.config.listener.v3.Listener',
  'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  'type.googleapis.com/envoy.config.route.v3.VirtualHost',
  'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
] as const

const pointer = z
  .string()
  .max(1024)
  .regex(
    /^(\/([^~/]|~[01])*)*$/,
    'a JSON pointer (RFC 6901) such as /connect_timeout, with "~1" for "/" and "~0" for "~"',
  )

const operation = withRules(
  z.object({
    op: z.enum(['add', 'remove', 'replace', 'move', 'copy', 'test']).describe('What to do (RFC 6902).'),
    path: pointer.describe("Where, in Envoy's own field names (snake_case)."),
    from: pointer.optional().describe('From where, for move and copy.'),
    value: z
      .unknown()
      .optional()
      .meta({ 'x-kubernetes-preserve-unknown-fields': true, nullable: true })
      .describe("What, for add, replace and test, as Envoy's documentation writes it."),
  }),
  {
    holds: ({ op, from }) => (op === 'move' || op === 'copy') === (from !== undefined),
    message: 'from goes with move and copy, and only with these',
    path: ['from'],
    cel: "(self.op in ['move', 'copy']) == has(self.from)",
  },
  {
    holds: ({ op, value }) => ['add', 'replace', 'test'].includes(op) === (value !== undefined),
    message: 'value goes with add, replace and test, and only with these',
    path: ['value'],
    // No CEL: it does not see a field of unknown type. The admission webhook and the catalog refuse it.
  },
)

const patch = z.object({
  type: z.enum(resourceTypes).describe('Type of the resources.'),
  name: z.string().min(1).max(1024).optional().describe('Name of the one resource; all of that type by default.'),
  operation: operation.describe('What is changed.'),
})

const schema = z.object({
  ...typeFields,
  spec: z.object({
    targetRefs: instanceTargets,
    priority: z.int32().min(-1000).max(1000).default(0).describe('Lower ones are applied first; then older ones.'),
    patches: z
      .array(patch)
      .min(1)
      .max(64)
      .describe('Patches, in their order. If one cannot be applied, none of the object is.'),
  }),
})

export type EnvoyPatch = z.infer<typeof schema>
export type ResourcePatch = z.infer<typeof patch>
export type JsonPatchOperation = z.infer<typeof operation>

export const envoyPatchKind = defineKind<EnvoyPatch>({
  group: heddleGroup,
  kind: 'EnvoyPatch',
  plural: 'envoypatches',
  ours: true,
  statusShape: 'Ancestors',
  statusConditions: ['Accepted', 'Programmed'],
  schemas: { [heddleVersion]: schema },
  description:
    'The escape hatch: JSON patches on the Envoy resources that Heddle generates, checked before they are served. It counts only in namespaces that the Mesh lists.',
})
