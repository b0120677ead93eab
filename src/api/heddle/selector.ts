/**
 * How Heddle's policies name what they apply to. Traffic policies name destinations (Services, routes, whole
 * namespaces, the mesh); the policies of instances select them by label as GEP-3779 does.
 */
import { z } from 'zod'
import { gatewayGroup, heddleGroup } from '../constants.ts'
import { labelKeyPattern, labelValue } from '../object.ts'
import { boundedMap, withRules } from '../rules.ts'
import { apiGroup, dnsSubdomain, objectName } from '../text.ts'

const groupOf: Readonly<Record<string, string>> = {
  Service: '',
  Namespace: '',
  Pod: '',
  HTTPRoute: gatewayGroup,
  GRPCRoute: gatewayGroup,
  Mesh: heddleGroup,
  Workload: heddleGroup,
  ExternalService: heddleGroup,
}

const groupsCel = (kinds: readonly string[]): string =>
  `!has(self.group) || ${kinds.map((kind) => `self.kind == '${kind}' && self.group == '${groupOf[kind]}'`).join(' || ')}`

const rightGroup = (kinds: readonly string[]) => ({
  holds: ({ group, kind }: { group?: string | undefined; kind: string }): boolean =>
    group === undefined || group === groupOf[kind],
  message:
    'the group must be that of the kind: "" for Service, Namespace and Pod, gateway.networking.k8s.io for routes, heddle.dev for the others; it may be left out',
  path: ['group'],
  cel: groupsCel(kinds),
})

const destinationKinds = ['Service', 'ExternalService', 'HTTPRoute', 'GRPCRoute', 'Namespace', 'Mesh'] as const

const destination = withRules(
  z.object({
    group: apiGroup.optional().describe('Group of the target; follows from the kind.'),
    kind: z.enum(destinationKinds).describe('Kind of the target.'),
    name: objectName
      .optional()
      .describe(
        "Name of the target in the policy's namespace. A Namespace target is the policy's own, and the Mesh is `default`, so that these need none.",
      ),
    sectionName: dnsSubdomain
      .optional()
      .describe(
        'A part of the target: the name or number of a port of a Service or ExternalService, or the name of a rule of a route.',
      ),
  }),
  rightGroup(destinationKinds),
  {
    holds: ({ kind, name }) => kind === 'Namespace' || kind === 'Mesh' || name !== undefined,
    message: 'name is needed for this kind of target',
    path: ['name'],
    cel: "self.kind in ['Namespace', 'Mesh'] || has(self.name)",
  },
  {
    holds: ({ kind, sectionName }) => sectionName === undefined || (kind !== 'Namespace' && kind !== 'Mesh'),
    message: 'a Namespace and the Mesh have no sections',
    path: ['sectionName'],
    cel: "!has(self.sectionName) || !(self.kind in ['Namespace', 'Mesh'])",
  },
)

/** Targets of a policy on destinations. */
export const destinations = uniqueTargets(z.array(destination).min(1).max(16)).describe(
  'What the policy applies to. The nearest wins: rule, route, Service, namespace, mesh.',
)

export type DestinationReference = z.infer<typeof destination>

const expression = withRules(
  z.object({
    key: z.string().min(1).max(317).describe('Label.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label is compared.'),
    values: z.array(z.string().max(63)).max(32).optional().describe('Values, for In and NotIn.'),
  }),
  {
    holds: ({ operator, values = [] }) => (operator === 'In' || operator === 'NotIn') === values.length > 0,
    message: 'In and NotIn need values; Exists and DoesNotExist take none',
    path: ['values'],
    cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
  },
)

/** A label selector as Kubernetes has it; an empty one selects everything. */
export const labelSelector = z.object({
  matchLabels: boundedMap(
    z.record(z.string(), labelValue),
    64,
    labelKeyPattern,
    'label keys such as app or example.com/app',
  )
    .optional()
    .describe('Labels that must all be there with these values.'),
  matchExpressions: z.array(expression).max(32).optional().describe('Conditions that must all hold.'),
})

export type LabelSelector = z.infer<typeof labelSelector>

const instanceKinds = ['Pod', 'Workload', 'Namespace', 'Mesh'] as const

const instances = withRules(
  z.object({
    group: apiGroup.optional().describe('Group of the target; follows from the kind.'),
    kind: z
      .enum(instanceKinds)
      .describe(
        '`Pod` selects by label whatever runs in the namespace, pods and Workloads alike; `Workload` only Workloads, by name or label; `Namespace` all of the namespace; `Mesh` everything.',
      ),
    name: objectName.optional().describe('Name of one Workload.'),
    selector: labelSelector
      .optional()
      .describe("Labels of the instances in the policy's namespace; an empty selector takes all."),
  }),
  rightGroup(instanceKinds),
  {
    holds: ({ kind, name, selector }) => kind !== 'Pod' || (selector !== undefined && name === undefined),
    message: 'a Pod target needs a selector and no name: pods are selected by label',
    path: ['selector'],
    cel: "self.kind != 'Pod' || has(self.selector) && !has(self.name)",
  },
  {
    holds: ({ kind, name, selector }) => kind !== 'Workload' || (selector === undefined) !== (name === undefined),
    message: 'a Workload target needs either a name or a selector',
    path: ['name'],
    cel: "self.kind != 'Workload' || has(self.selector) != has(self.name)",
  },
  {
    holds: ({ kind, selector }) => selector === undefined || kind === 'Pod' || kind === 'Workload',
    message: 'a selector goes with Pod and Workload only',
    path: ['selector'],
    cel: "!has(self.selector) || self.kind in ['Pod', 'Workload']",
  },
)

/** Targets of a policy on instances. */
export const instanceTargets = z
  .array(instances)
  .min(1)
  .max(16)
  .describe(
    "Which instances the policy applies to: those of the policy's own namespace, or for `Mesh`, from heddle-system, all.",
  )

export type InstanceReference = z.infer<typeof instances>

function uniqueTargets<S extends z.ZodArray>(targets: S): S {
  const keys = ['kind', 'name', 'sectionName'] as const
  return withRules(targets, {
    holds: (list) =>
      new Set(list.map((item) => JSON.stringify(keys.map((key) => (item as Record<string, unknown>)[key])))).size ===
      list.length,
    message: 'targetRefs must name each target once',
    cel: 'self.all(a, self.exists_one(b, a.kind == b.kind && (has(a.name) ? a.name : "") == (has(b.name) ? b.name : "") && (has(a.sectionName) ? a.sectionName : "") == (has(b.sectionName) ? b.sectionName : "")))',
  })
}
