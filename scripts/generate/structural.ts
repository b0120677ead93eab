/**
 * From a zod schema to a structural OpenAPI v3 schema, as the API server demands it of a CRD: every node typed, no
 * `$ref`, no typed branches, CEL and list types as extensions. What cannot be said that way is an error here, so that it
 * is noticed when a kind is written and not when it is installed.
 */
import { z } from 'zod'

export interface Structural {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly nullable?: boolean
  readonly properties?: Readonly<Record<string, Structural>>
  readonly required?: readonly string[]
  readonly items?: Structural
  readonly additionalProperties?: Structural
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[]
}

type Json = Readonly<Record<string, unknown>>

const int32 = { min: -(2 ** 31), max: 2 ** 31 - 1 }

/** Keywords that go over as they are. */
const plain = [
  'description',
  'enum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'nullable',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
] as const

/** Keywords that are only for ourselves, or said otherwise. */
const dropped = new Set(['rules', 'sensitive', 'contentEncoding', 'title'])

/** What RE2 does not know: look-around and back-references. */
const notRe2 = /\(\?(?:=|!|<[=!])|\\[1-9]/

/** The structural schema of what people may write; of the metadata, which is the API server's, only that there is some. */
export function structural(schema: z.ZodType): Structural {
  const given = json(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }))
  const properties = json(given['properties'])
  const metadata = 'metadata' in properties ? { metadata: { type: 'object' } } : {}
  return node({ ...given, properties: { ...properties, ...metadata } }, 'root')
}

function node(given: Json, path: string): Structural {
  const made: Record<string, unknown> = {}
  const { type } = given
  if (type === undefined && given['x-kubernetes-preserve-unknown-fields'] !== true) {
    throw new Error(`${path}: a structural schema needs a type here, not ${JSON.stringify(given)}`)
  }
  if (type !== undefined) made['type'] = type
  for (const key of plain) if (given[key] !== undefined) made[key] = given[key]
  if (given['default'] !== undefined) made['default'] = given['default']
  const seen = new Set<string>([...plain, ...dropped, 'type', 'default'])
  const take = (key: string): unknown => {
    seen.add(key)
    return given[key]
  }

  const pattern = take('pattern')
  if (typeof pattern === 'string') made['pattern'] = re2(pattern, path)
  const format = take('format')
  if (format === 'base64' || format === 'byte') made['format'] = 'byte'
  else if (format === 'date-time') made['format'] = format

  const [minimum, maximum] = [take('minimum'), take('maximum')]
  if (within(minimum) && minimum !== int32.min) made['minimum'] = minimum
  if (within(maximum) && (type !== 'integer' || maximum !== int32.max)) made['maximum'] = maximum
  if (type === 'integer') made['format'] = within(maximum) && maximum <= int32.max ? 'int32' : 'int64'

  const properties = take('properties')
  if (properties !== undefined) {
    made['properties'] = Object.fromEntries(
      Object.entries(json(properties)).map(([name, value]) => [name, node(json(value), `${path}.${name}`)]),
    )
  }
  const items = take('items')
  if (items !== undefined) made['items'] = node(json(items), `${path}[]`)
  const additional = take('additionalProperties')
  if (typeof additional === 'object') made['additionalProperties'] = node(json(additional), `${path}.*`)
  take('propertyNames')

  // The API server checks a default by itself, CEL rules included, before it fills in what is below.
  if (made['default'] !== undefined) made['default'] = withDefaults(made, made['default'])

  const unknown = Object.keys(given).filter((key) => !seen.has(key))
  if (unknown.length > 0) throw new Error(`${path}: not structural: ${unknown.join(', ')}`)
  return bounded(made, path)
}

/** A value with the defaults of its schema filled in. */
export function withDefaults(schema: Structural, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema
    return items === undefined ? value : value.map((item: unknown) => withDefaults(items, item))
  }
  if (typeof value !== 'object' || value === null) return value
  const filled = new Map(Object.entries(value))
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const given: unknown = filled.get(name) ?? property.default
    if (given !== undefined) filled.set(name, withDefaults(property, given))
  }
  return Object.fromEntries(filled)
}

/** CEL's cost estimate multiplies sizes: whatever has none counts as megabytes. */
function bounded(made: Structural, path: string): Structural {
  const scalar = made.enum !== undefined || path === 'root.apiVersion' || path === 'root.kind'
  if (made.type === 'string' && made.maxLength === undefined && !scalar)
    throw new Error(`${path}: a string without bound`)
  if (made.type === 'array' && made.maxItems === undefined) throw new Error(`${path}: a list without bound`)
  if (made.additionalProperties !== undefined && made.maxProperties === undefined)
    throw new Error(`${path}: a map without bound`)
  return made
}

/** zod bounds all integers by what JavaScript can count; that is no bound. */
function within(limit: unknown): limit is number {
  return typeof limit === 'number' && Math.abs(limit) < Number.MAX_SAFE_INTEGER
}

function re2(pattern: string, path: string): string {
  if (notRe2.test(pattern)) throw new Error(`${path}: RE2 does not take ${pattern}`)
  return pattern.replaceAll(String.raw`\/`, '/')
}

function json(value: unknown): Json {
  if (typeof value !== 'object' || value === null) throw new Error(`not a schema: ${JSON.stringify(value)}`)
  return value as Json
}
