/**
 * Looks at a raw value side by side with its schema, before it is checked: drops nulls, which the API server takes for
 * absence, and finds the fields that the schema does not know. Also says which fields may hold secrets.
 */
import { z } from 'zod'
import type { SomeType } from 'zod/v4/core'

type Path = readonly (string | number)[]

export interface Conformed {
  /** The value without nulls. */
  readonly value: unknown
  /** Fields that the schema does not know, and those it knows there. */
  readonly unknownFields: readonly { readonly path: Path; readonly known: readonly string[] }[]
}

/** The value as the API server would read it, and what it holds besides what the schema knows. */
export function conform(schema: z.ZodType, raw: unknown): Conformed {
  const unknownFields: { path: Path; known: readonly string[] }[] = []
  const visit = (within: SomeType, value: unknown, path: Path): unknown => {
    const inner = unwrap(within)
    if (inner instanceof z.ZodObject && isRecord(value)) {
      const shape: Readonly<Record<string, SomeType>> = inner.shape
      const known = Object.keys(shape)
      const kept: [string, unknown][] = []
      for (const [key, item] of Object.entries(value)) {
        const field = Object.hasOwn(shape, key) ? shape[key] : undefined
        if (field === undefined) unknownFields.push({ path: [...path, key], known })
        else if (item !== null || unwrap(field) instanceof z.ZodUnknown)
          kept.push([key, visit(field, item, [...path, key])])
      }
      return Object.fromEntries(kept)
    }
    if (inner instanceof z.ZodArray && Array.isArray(value)) {
      return value.map((item: unknown, index) => visit(inner.element, item, [...path, index]))
    }
    if (inner instanceof z.ZodRecord && isRecord(value)) {
      const entries = Object.entries(value).filter(([key, item]) => item !== null && key !== '__proto__')
      return Object.fromEntries(entries.map(([key, item]) => [key, visit(inner.valueType, item, [...path, key])]))
    }
    return value
  }
  return { value: visit(schema, raw, []), unknownFields }
}

/** The schema of the field at a path, as far as the path is known. */
export function schemaAt(schema: z.ZodType, path: Path): SomeType | undefined {
  let at: SomeType | undefined = schema
  for (const segment of path) {
    if (at === undefined) return undefined
    at = below(unwrap(at), segment)
  }
  return at
}

/** The first sentence of the description of the field at a path. */
export function describedAt(schema: z.ZodType, path: Path): string | undefined {
  for (let layer = schemaAt(schema, path); layer !== undefined; layer = inside(layer)) {
    const description = layer instanceof z.ZodType ? layer.description : undefined
    if (description !== undefined) return /^.*?(?=\.(?:\s|$)|;|$)/.exec(description)?.[0]
  }
  return undefined
}

/** True if the field at a path, or one that contains it, may hold a secret. */
export function isSensitive(schema: z.ZodType, path: Path): boolean {
  let at: SomeType | undefined = schema
  for (let depth = 0; at !== undefined; depth += 1) {
    for (let layer: SomeType | undefined = at; layer !== undefined; layer = inside(layer)) {
      if (layer instanceof z.ZodType && layer.meta()?.['sensitive'] === true) return true
    }
    const segment = path[depth]
    if (segment === undefined) return false
    at = below(unwrap(at), segment)
  }
  return false
}

/** The schema without the wrappers that say what may be left out. */
export function unwrap(schema: SomeType): SomeType {
  let inner = schema
  for (let layer = inside(schema); layer !== undefined; layer = inside(layer)) inner = layer
  return inner
}

function inside(schema: SomeType): SomeType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return schema.def.innerType
  }
  return undefined
}

function below(schema: SomeType, segment: string | number): SomeType | undefined {
  if (schema instanceof z.ZodObject) return (schema.shape as Readonly<Record<string, SomeType>>)[segment]
  if (schema instanceof z.ZodArray) return schema.element
  if (schema instanceof z.ZodRecord) return schema.valueType
  return undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
