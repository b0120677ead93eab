/**
 * Rules between fields, which a schema of single fields cannot say. Each is written once as a predicate for zod
 * and, for our own CRDs, once as the CEL expression that the API server evaluates; tests run the same cases
 * through both. `uniqueItems` and `uniqueBy` are Kubernetes' `x-kubernetes-list-type: set` and `map`.
 */
import { z } from 'zod'

export interface Rule<T> {
  /** True when the value is acceptable. Runs on the value with defaults applied, as CEL does. */
  readonly holds: (value: T) => boolean
  /** A sentence: what must be, and so how to mend it. */
  readonly message: string
  /** Where the mistake is, below the object the rule belongs to. */
  readonly path?: readonly (string | number)[]
  /** The same rule for the API server; only for kinds whose CRD is ours. */
  readonly cel?: string
}

export interface CelRule {
  readonly rule: string
  readonly message: string
}

/** Marks issues whose message is a whole sentence; the rule's object is so many steps above the issue's path. */
export interface RuleMark {
  readonly sentence: true
  readonly depth: number
}

function mark(depth: number): { [name in keyof RuleMark]: RuleMark[name] } {
  return { sentence: true, depth }
}

/** The schema with cross-field rules; the CEL ones travel in its metadata as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  let ruled = schema
  for (const { holds, message, path } of rules) {
    ruled = ruled.refine(holds, { message, params: mark(path?.length ?? 0), ...(path && { path: [...path] }) })
  }
  const added: CelRule[] = rules.flatMap(({ cel, message }) => (cel === undefined ? [] : [{ rule: cel, message }]))
  return ruled.meta({
    rules: [...sentencesOf(schema), ...rules.map(({ message }) => message)],
    ...(added.length > 0 && { 'x-kubernetes-validations': [...celRulesOf(schema), ...added] }),
  })
}

/** All rules of a schema as sentences, for the reference pages. */
export function sentencesOf(schema: z.ZodType): readonly string[] {
  return z.array(z.string()).parse(schema.meta()?.['rules'] ?? [])
}

/** The CEL rules in a schema's metadata. */
export function celRulesOf(schema: z.ZodType): readonly CelRule[] {
  return z
    .array(z.object({ rule: z.string(), message: z.string() }))
    .parse(schema.meta()?.['x-kubernetes-validations'] ?? [])
}

/** An array without repeated values. */
export function uniqueItems<S extends z.ZodArray>(schema: S): S {
  return withoutRepetition(schema, (item) => item, 'is in the list already; write each value once').meta({
    'x-kubernetes-list-type': 'set',
  })
}

/** An array of objects in which no two agree in all of these fields. */
export function uniqueBy<S extends z.ZodArray>(schema: S, ...keys: readonly string[]): S {
  const keyOf = (item: unknown): unknown => keys.map((key) => (item as Readonly<Record<string, unknown>>)[key])
  const message = `has the same ${keys.join(' and ')} as an earlier item; write each once`
  return withoutRepetition(schema, keyOf, message).meta({
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [...keys],
  })
}

/** A map with at most so many entries, whose keys the API server checks too (a CRD cannot bound them otherwise). */
export function boundedMap<S extends z.ZodRecord>(schema: S, most: number, keys: RegExp, names: string): S {
  const cel = `self.all(key, key.matches(r'${keys.source.replaceAll(String.raw`\/`, '/')}'))`
  const few = {
    holds: (map: z.output<S>) => Object.keys(map).length <= most,
    message: `at most ${most} entries are allowed`,
  }
  const named = {
    holds: (map: z.output<S>) => Object.keys(map).every((key) => keys.test(key)),
    message: `names must be ${names}`,
    cel,
  }
  return withRules(schema, few, named).meta({ maxProperties: most })
}

function withoutRepetition<S extends z.ZodArray>(schema: S, keyOf: (item: unknown) => unknown, message: string): S {
  return schema.superRefine((items: readonly unknown[], context) => {
    const seen = new Set<string>()
    for (const [index, item] of items.entries()) {
      const key = JSON.stringify(keyOf(item))
      if (seen.has(key)) context.addIssue({ code: 'custom', message, path: [index], params: mark(1) })
      seen.add(key)
    }
  })
}
