/**
 * Rules between fields, which a schema of single fields cannot say. Each is written once as a predicate for zod
 * and, for our own CRDs, once as the CEL expression that the API server evaluates; tests run the same cases
 * through both. `unique` is Kubernetes' `x-kubernetes-list-type: set | map`.
 */
import { z } from 'zod'

export interface Rule<T> {
  /** True when the value is acceptable. Runs on the value with defaults applied, as CEL does. */
  readonly holds: (value: T) => boolean
  /** What is expected, and so how to mend it. */
  readonly message: string
  /** Where the mistake is, below the object the rule belongs to. */
  readonly path?: readonly (string | number)[]
  /** The same rule for the API server; only for kinds whose CRD is ours. */
  readonly cel?: string
}

interface Validation {
  readonly rule: string
  readonly message: string
}

/** The schema with cross-field rules; the CEL ones travel in its metadata as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  let ruled = schema
  for (const rule of rules) {
    ruled = ruled.refine((value) => rule.holds(value as z.output<S>), {
      message: rule.message,
      ...(rule.path ? { path: [...rule.path] } : {}),
    }) as S
  }
  const earlier = (schema.meta()?.['x-kubernetes-validations'] ?? []) as readonly Validation[]
  const added = rules.flatMap(({ cel, message }) => (cel === undefined ? [] : [{ rule: cel, message }]))
  if (added.length === 0) return ruled
  return ruled.meta({ ...schema.meta(), 'x-kubernetes-validations': [...earlier, ...added] }) as S
}

/** An array without repeated values (`x-kubernetes-list-type: set`). */
export function uniqueItems<S extends z.ZodArray>(schema: S): S {
  return withRepetitionCheck(schema, (item) => JSON.stringify(item), 'each value once; this one is there before').meta({
    ...schema.meta(),
    'x-kubernetes-list-type': 'set',
  }) as S
}

/** An array of objects without repeated keys (`x-kubernetes-list-type: map`). */
export function uniqueBy<S extends z.ZodArray>(schema: S, ...keys: readonly string[]): S {
  const keyOf = (item: unknown): string => JSON.stringify(keys.map((key) => (item as Record<string, unknown>)[key]))
  return withRepetitionCheck(schema, keyOf, `each ${keys.join(' and ')} once; this one is there before`).meta({
    ...schema.meta(),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [...keys],
  }) as S
}

function withRepetitionCheck<S extends z.ZodArray>(schema: S, keyOf: (item: unknown) => string, message: string): S {
  return schema.superRefine((items, context) => {
    const seen = new Set<string>()
    for (const [index, item] of (items as unknown[]).entries()) {
      const key = keyOf(item)
      if (seen.has(key)) context.addIssue({ code: 'custom', message, path: [index] })
      seen.add(key)
    }
  }) as S
}
