/**
 * JSON Schemas (draft 7, which editors' YAML support reads) of the kinds that are fully typed: one a kind and version, and
 * `heddle.json`, which picks among them by `apiVersion` and `kind` and so fits any file or folder.
 */
import { z } from 'zod'
import { apiVersionOf, type Kind } from '../../src/api/index.ts'

type Json = Readonly<Record<string, unknown>>

/** Extensions that mean nothing to an editor. */
const ours = new Set(['rules', 'sensitive', 'nullable'])

const draft7 = 'http://json-schema.org/draft-07/schema#'

/** Contents by file name. Versions that do not differ share a file. */
export function editorSchemas(kinds: readonly Kind[]): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  const choices: Json[] = []
  for (const kind of kinds) {
    for (const schema of new Set(Object.values(kind.schemas))) {
      const versions = kind.versions.filter((version) => kind.schemas[version] === schema)
      const name = [kind.kind, ...(schema === kind.schema ? [] : versions)].join('_').toLowerCase() + '.json'
      const apiVersion = { enum: versions.map((version) => apiVersionOf(kind, version)) }
      const identity = { apiVersion, kind: { const: kind.kind } }
      files.set(name, text(schemaOf(kind, schema, identity)))
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      choices.push({ if: { properties: identity, required: ['apiVersion', 'kind'] }, then: { $ref: name } })
    }
  }
  const description = 'Any object that Heddle reads; objects of other kinds pass.'
  files.set('heddle.json', text({ $schema: draft7, title: 'Heddle', description, type: 'object', allOf: choices }))
  return files
}

function schemaOf(kind: Kind, schema: z.ZodType, identity: Readonly<Record<string, Json>>): Json {
  const made = plain(z.toJSONSchema(schema, { target: 'draft-7', io: 'input' })) as Json
  const properties = made['properties'] as Readonly<Record<string, Json>>
  const described = Object.entries(identity).map(([name, one]) => [name, { ...properties[name], ...one }])
  const status = { type: 'object', description: 'Written by Heddle.' }
  return {
    ...made,
    $schema: draft7,
    title: kind.kind,
    description: kind.description,
    properties: { ...properties, ...Object.fromEntries(described), status },
  }
}

/** Without what only the API server reads, and without the bounds that only say that JavaScript is meant. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(
    ([key, item]) =>
      !(key.startsWith('x-kubernetes-') || (ours.has(key) && !isSchemaMap(value, key))) &&
      !((key === 'minimum' || key === 'maximum') && Math.abs(Number(item)) >= Number.MAX_SAFE_INTEGER),
  )
  return Object.fromEntries(kept.map(([key, item]) => [key, plain(item)]))
}

/** A property may have the name of one of our extensions: `rules` of a route. */
function isSchemaMap(parent: object, key: string): boolean {
  const item: unknown = (parent as Readonly<Record<string, unknown>>)[key]
  return typeof item === 'object' && item !== null && !Array.isArray(item)
}

function text(schema: Json): string {
  return `${JSON.stringify(schema, null, 2)}\n`
}
