/** ReferenceGrant: a namespace's consent to be referred to from another, as Gateway API v1.6 serves it. */
import { z } from 'zod'
import { gatewayGroup } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { apiGroup, dnsLabel, kindName, objectName } from '../text.ts'

const from = z.object({
  group: apiGroup.describe('Group of the objects that may refer.'),
  kind: kindName.describe('Kind of the objects that may refer.'),
  namespace: dnsLabel.describe('Their namespace.'),
})

const to = z.object({
  group: apiGroup.describe('Group of the objects that may be referred to.'),
  kind: kindName.describe('Kind of the objects that may be referred to.'),
  name: objectName.optional().describe('Name of the one object; all of that kind by default.'),
})

const schema = z.object({
  ...typeFields,
  spec: z.object({
    from: z.array(from).min(1).max(16).describe('Who may refer.'),
    to: z.array(to).min(1).max(16).describe('To what.'),
  }),
})

export type ReferenceGrant = z.infer<typeof schema>

export const referenceGrantKind = defineKind<ReferenceGrant>({
  group: gatewayGroup,
  kind: 'ReferenceGrant',
  plural: 'referencegrants',
  schemas: { v1: schema, v1beta1: schema },
  description: 'Allows objects of another namespace to refer to objects of this one.',
})
