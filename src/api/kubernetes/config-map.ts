/** ConfigMap: CA bundles that an ExternalService refers to. */
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'

const schema = z.object({ ...typeFields, data: z.record(z.string(), z.string()).default({}).describe('Values.') })

export type ConfigMap = z.infer<typeof schema>

export const configMapKind = defineKind<ConfigMap>({
  group: '',
  kind: 'ConfigMap',
  plural: 'configmaps',
  partial: true,
  schemas: { v1: schema },
  description: 'Trusted certificates that other objects refer to.',
})
