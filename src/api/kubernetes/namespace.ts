/** Namespace: its labels decide on injection, its annotations on discovery. */
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'

const schema = z.object(typeFields)

export type Namespace = z.infer<typeof schema>

export const namespaceKind = defineKind<Namespace>({
  group: '',
  kind: 'Namespace',
  plural: 'namespaces',
  scope: 'Cluster',
  partial: true,
  schemas: { v1: schema },
  description: 'A namespace of Kubernetes.',
})
