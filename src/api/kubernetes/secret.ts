/** Secret: client certificates and private keys that an ExternalService refers to. Never printed. */
import { z } from 'zod'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'

const schema = z.object({
  ...typeFields,
  type: z.string().default('Opaque'),
  data: z.record(z.string(), z.base64('base64')).default({}).meta({ sensitive: true }).describe('Values, base64.'),
  stringData: z
    .record(z.string(), z.string())
    .optional()
    .meta({ sensitive: true })
    .describe('Values as they are; they win over `data`.'),
})

export type Secret = z.infer<typeof schema>

export const secretKind = defineKind<Secret>({
  group: '',
  kind: 'Secret',
  plural: 'secrets',
  partial: true,
  schemas: { v1: schema },
  description: 'Keys and certificates that other objects refer to.',
})
