// Which policies of an instance apply to it, and how near each is: by name or label, by namespace, by mesh (GEP-3779, and GEP-713 for
// the order of inherited policies).
import { type InstanceReference, type LabelSelector, systemNamespace } from '../api/index.ts'
import { type Lookup, type PolicyKind, targetRow } from './lookup.ts'
import { splitKey, type Workload } from './model.ts'

export type Nearness = 'instance' | 'namespace' | 'mesh'

interface Targeting {
  readonly spec: { readonly targetRefs: readonly InstanceReference[] }
}

/** Keys of the policies of one kind that apply to a workload, the nearest first; equal ones by key. */
export function policiesOf(
  lookup: Lookup,
  kind: Exclude<PolicyKind, 'TrafficPolicy'>,
  get: (key: string) => Targeting | undefined,
  workload: Workload,
): readonly { readonly key: string; readonly nearness: Nearness }[] {
  const index = lookup.policiesByTarget[kind]
  const { namespace, name } = workload
  const candidates = (rows: readonly string[]): string[] =>
    [...new Set(rows.flatMap((row) => index.get(row)))].toSorted()
  const selects = (key: string): boolean =>
    get(key)?.spec.targetRefs.some((target) => selectsWorkload(target, workload)) ?? false
  return [
    ...candidates([`Pod/${namespace}/`, `Pod/${namespace}/${name}`])
      .filter(selects)
      .map((key) => ({ key, nearness: 'instance' as const })),
    ...index.get(targetRow(namespace, { kind: 'Namespace' })).map((key) => ({ key, nearness: 'namespace' as const })),
    ...index
      .get(targetRow('', { kind: 'Mesh' }))
      .filter((key) => splitKey(key).namespace === systemNamespace)
      .map((key) => ({ key, nearness: 'mesh' as const })),
  ]
}

export function selectsWorkload(target: InstanceReference, workload: Workload): boolean {
  if (target.kind !== 'Pod' && target.kind !== 'Workload') return false
  if (target.name !== undefined) return target.name === workload.name
  return matchesLabels(target.selector ?? {}, workload.labels)
}

/** A label selector as Kubernetes has it (meta/v1 LabelSelector): all conditions hold; an empty one selects everything. */
export function matchesLabels(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const exact = Object.entries(selector.matchLabels ?? {}).every(([label, value]) => labels[label] === value)
  return (
    exact &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key]
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value)
        case 'NotIn':
          return value === undefined || !values.includes(value)
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
          return value === undefined
      }
    })
  )
}
