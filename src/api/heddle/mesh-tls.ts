/** MeshTLS: whether instances take plaintext besides mesh TLS, by mesh, namespace, instance and port. */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { uniqueBy, withRules } from '../rules.ts'
import { portNumber } from '../text.ts'
import { instanceTargets } from './selector.ts'

export const tlsMode = z.enum(['Strict', 'Permissive'])

const portMode = z.object({
  port: portNumber.describe('Port of the instance.'),
  mode: tlsMode.describe('Mode of this port.'),
})

const spec = withRules(
  z.object({
    targetRefs: instanceTargets,
    mode: tlsMode
      .optional()
      .describe(
        '`Strict` refuses plaintext, on undeclared ports too; `Permissive` takes both. What is wider applies by default.',
      ),
    ports: uniqueBy(z.array(portMode).max(64), 'port').default([]).describe('Ports with a mode of their own.'),
  }),
  {
    holds: ({ mode, ports }) => mode !== undefined || ports.length > 0,
    message: 'mode, ports or both must be given',
    path: ['mode'],
    cel: 'has(self.mode) || has(self.ports) && size(self.ports) > 0',
  },
)

const schema = z.object({ ...typeFields, spec })

export type MeshTLS = z.infer<typeof schema>
export type TlsMode = z.infer<typeof tlsMode>

export const meshTlsKind = defineKind<MeshTLS>({
  group: heddleGroup,
  kind: 'MeshTLS',
  plural: 'meshtlses',
  ours: true,
  statusShape: 'Ancestors',
  statusConditions: ['Accepted', 'Programmed'],
  printerColumns: [{ name: 'Mode', type: 'string', jsonPath: '.spec.mode' }],
  schemas: { [heddleVersion]: schema },
  description: 'Whether instances take plaintext besides mesh TLS. The nearest wins: port, instance, namespace, mesh.',
})
