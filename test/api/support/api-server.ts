/**
 * What the API server would say of an object, from its CRD alone: nulls and unknown fields dropped, defaults filled in, the
 * OpenAPI schema, list types, then CEL. Metadata is checked elsewhere in a real one, and not here.
 */
import { Cel } from './cel.ts'
import type { OpenApi } from './open-api.ts'

export interface Refusal {
  readonly path: string
  readonly reason: string
  /** The CEL rule, by the path of its schema and its place there. */
  readonly rule?: string
}

export class ApiServer {
  readonly #cel = new Cel()
  readonly #schemas: ReadonlyMap<string, OpenApi>

  constructor(schemas: ReadonlyMap<string, OpenApi>) {
    this.#schemas = schemas
  }

  /** Why the object would be refused; empty where it would be taken, undefined where its kind is not served. */
  refusals(raw: unknown): readonly Refusal[] | undefined {
    const { apiVersion, kind } = raw as { readonly apiVersion: string; readonly kind: string }
    const schema = this.#schemas.get(`${apiVersion}/${kind}`)
    if (schema === undefined) return undefined
    const object = withDefaults(schema, pruned(schema, raw))
    const refused: Refusal[] = []
    check(schema, object, '', refused)
    if (refused.length === 0) this.#checkRules(schema, object, '', '', refused)
    return refused
  }

  #checkRules(schema: OpenApi, value: unknown, path: string, schemaPath: string, refused: Refusal[]): void {
    for (const [index, { rule, message }] of (schema['x-kubernetes-validations'] ?? []).entries()) {
      if (!this.#cel.holds(rule, schema, value)) refused.push({ path, reason: message, rule: `${schemaPath}#${index}` })
    }
    for (const [name, below, item] of children(schema, value)) {
      const step = Array.isArray(value) ? '[]' : schema.properties === undefined ? '.*' : `.${name}`
      this.#checkRules(
        below,
        item,
        `${path}${Array.isArray(value) ? `[${name}]` : `.${name}`}`,
        schemaPath + step,
        refused,
      )
    }
  }
}

/** Keys of all CEL rules of a schema, as `Refusal.rule` has them, with the rule. */
export function rulesOf(schema: OpenApi, path = ''): readonly { readonly key: string; readonly rule: string }[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ rule }, index) => ({ key: `${path}#${index}`, rule }))
  const below = Object.entries(schema.properties ?? {})
    .filter(([name]) => !(path === '' && (name === 'status' || name === 'metadata')))
    .flatMap(([name, property]) => rulesOf(property, `${path}.${name}`))
  const items = schema.items === undefined ? [] : rulesOf(schema.items, `${path}[]`)
  const values = schema.additionalProperties === undefined ? [] : rulesOf(schema.additionalProperties, `${path}.*`)
  return [...own, ...below, ...items, ...values]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function children(schema: OpenApi, value: unknown): readonly (readonly [string, OpenApi, unknown])[] {
  if (Array.isArray(value)) {
    const { items = {} } = schema
    return value.map((item: unknown, index) => [String(index), items, item] as const)
  }
  if (!isRecord(value)) return []
  return Object.entries(value).flatMap(([name, item]) => {
    const below = schema.properties?.[name] ?? schema.additionalProperties
    return below === undefined || (name === 'metadata' && 'apiVersion' in value) ? [] : [[name, below, item] as const]
  })
}

/** Without unknown fields, and without nulls where they are not taken; a status is not taken from people. */
function pruned(schema: OpenApi, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => pruned(schema.items ?? {}, item))
  if (!isRecord(value) || schema['x-kubernetes-preserve-unknown-fields'] === true) return value
  const root = 'apiVersion' in value && schema.properties?.['metadata'] !== undefined
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]) => {
      const below = schema.properties?.[name] ?? schema.additionalProperties
      if (below === undefined || (item === null && below.nullable !== true) || (root && name === 'status')) return []
      return [[name, root && name === 'metadata' ? item : pruned(below, item)]]
    }),
  )
}

function withDefaults(schema: OpenApi, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => withDefaults(schema.items ?? {}, item))
  if (!isRecord(value)) return value
  const filled = new Map<string, unknown>(Object.entries(value))
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!filled.has(name) && property.default !== undefined) filled.set(name, structuredClone(property.default))
  }
  return Object.fromEntries(
    [...filled].map(([name, item]) => [
      name,
      withDefaults(schema.properties?.[name] ?? schema.additionalProperties ?? {}, item),
    ]),
  )
}

function check(schema: OpenApi, value: unknown, path: string, refused: Refusal[]): void {
  const refuse = (reason: string): void => void refused.push({ path, reason })
  if (!hasType(schema, value)) return refuse(`is not ${schema.type}`)
  if (schema.enum !== undefined && !schema.enum.includes(value)) refuse('is none of the enum')
  if (typeof value === 'string') checkString(schema, value, refuse)
  if (typeof value === 'number') {
    if (value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity)) refuse('is out of bounds')
    if (schema.format === 'int32' && (value < -(2 ** 31) || value > 2 ** 31 - 1)) refuse('is not 32 bits')
  }
  if (Array.isArray(value)) checkList(schema, value, refuse)
  if (isRecord(value)) {
    for (const name of schema.required ?? [])
      if (!(name in value)) refused.push({ path: `${path}.${name}`, reason: 'is required' })
    if (Object.keys(value).length > (schema.maxProperties ?? Infinity)) refuse('has too many entries')
  }
  for (const [name, below, item] of children(schema, value)) check(below, item, `${path}.${name}`, refused)
}

function hasType(schema: OpenApi, value: unknown): boolean {
  if (schema['x-kubernetes-int-or-string'] === true) return typeof value === 'string' || Number.isInteger(value)
  if (value === null) return schema.nullable === true
  switch (schema.type) {
    case 'object':
      return isRecord(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
    case 'string':
    case 'boolean':
      return typeof value === schema.type
    default:
      return true
  }
}

function checkString(schema: OpenApi, value: string, refuse: (reason: string) => void): void {
  const length = Array.from(value).length
  if (length < (schema.minLength ?? 0) || length > (schema.maxLength ?? Infinity)) refuse('has a wrong length')
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
    refuse(`does not match ${schema.pattern}`)
  if (schema.format === 'byte' && (value === '' || Buffer.from(value, 'base64').toString('base64') !== value))
    refuse('is not base64')
}

function checkList(schema: OpenApi, value: readonly unknown[], refuse: (reason: string) => void): void {
  if (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? Infinity))
    refuse('has a wrong length')
  const type = schema['x-kubernetes-list-type']
  if (type !== 'set' && type !== 'map') return
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const keyOf = (item: unknown): string =>
    JSON.stringify(type === 'map' && isRecord(item) ? keys.map((key) => item[key]) : item)
  if (new Set(value.map(keyOf)).size !== value.length) refuse('repeats an item')
}
