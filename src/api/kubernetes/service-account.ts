/** ServiceAccount: the identity that workloads run as. */
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'

const schema = z.object(typeFields)

export type ServiceAccount = z.infer<typeof schema>

export const serviceAccountKind = defineKind<ServiceAccount>({
  group: '',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  partial: true,
  schemas: { v1: schema },
  description: 'The identity of workloads: it becomes the path of their SPIFFE ID.',
})
