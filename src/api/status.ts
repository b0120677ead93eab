/**
 * The status that Heddle writes: conditions on an object of its own account, or per ancestor on a policy (GEP-713). People
 * never write it; it is here for the CRDs and for whoever writes it.
 */
import { z } from 'zod'
import { apiGroup, dnsLabel, dnsSubdomain, kindName, objectName, portNumber } from './text.ts'

const condition = z.object({
  type: z
    .string()
    .min(1)
    .max(316)
    .regex(/^[A-Za-z]([-A-Za-z0-9_./]*[A-Za-z0-9])?$/)
    .describe('What the condition is about, e.g. `Accepted`.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z.int().min(0).optional().describe('Generation of the object that was looked at.'),
  lastTransitionTime: z.string().max(64).meta({ format: 'date-time' }).describe('When `status` changed last.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('Why, in one word.'),
  message: z.string().max(32_768).describe("Why, for people; Envoy's own words where it refused something."),
})

const conditions = z
  .array(condition)
  .max(8)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('Conditions.')

/** Conditions of an object on its own account. */
export const objectStatus = z.object({ conditions: conditions.optional() }).describe('What became of the object.')

const ancestor = z.object({
  ancestorRef: z
    .object({
      group: apiGroup.optional().describe('Group of the ancestor.'),
      kind: kindName.optional().describe('Kind of the ancestor.'),
      namespace: dnsLabel.optional().describe('Namespace of the ancestor.'),
      name: objectName.describe('Name of the ancestor.'),
      sectionName: dnsSubdomain.optional().describe('Part of the ancestor.'),
      port: portNumber.optional().describe('Port of the ancestor.'),
    })
    .describe('What the policy applies to.'),
  controllerName: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9.-]+\/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$/)
    .describe('Who wrote the entry.'),
  conditions: conditions.min(1),
})

/** Conditions of a policy, for each object that it applies to. */
export const policyStatus = z
  .object({ ancestors: z.array(ancestor).max(16).describe('One entry for each object that the policy applies to.') })
  .describe('What became of the policy.')

export type Condition = z.infer<typeof condition>
export type ObjectStatus = z.infer<typeof objectStatus>
export type PolicyStatus = z.infer<typeof policyStatus>
