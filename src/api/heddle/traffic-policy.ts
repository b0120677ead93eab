/** TrafficPolicy: how traffic to a destination is balanced, limited, retried and watched. */
import { z } from 'zod'
import { heddleGroup, heddleVersion } from '../constants.ts'
import { defineKind } from '../kind.ts'
import { typeFields } from '../object.ts'
import { destinations } from './selector.ts'
import { trafficStanzas } from './traffic/stanzas.ts'

const schema = z.object({ ...typeFields, spec: z.object({ targetRefs: destinations, ...trafficStanzas }) })

export type TrafficPolicy = z.infer<typeof schema>

export const trafficPolicyKind = defineKind<TrafficPolicy>({
  group: heddleGroup,
  kind: 'TrafficPolicy',
  plural: 'trafficpolicies',
  ours: true,
  statusShape: 'Ancestors',
  statusConditions: ['Accepted', 'Programmed'],
  schemas: { [heddleVersion]: schema },
  description:
    'How traffic to a Service, a route or one of its rules, a namespace or the mesh is balanced, limited, retried and watched. The nearest policy that sets a stanza replaces that stanza whole.',
})
