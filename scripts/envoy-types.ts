/**
 * Writes TypeScript types for the pruned Envoy API, in the shape that Envoy's documentation shows (ProtoJSON with the
 * protos' own field names), so that configuration in the code looks like the manual and is checked against it.
 * Namespaces and interfaces carry the protos' names. Deprecated fields are left out: encoding still takes them.
 *
 * Usage: node scripts/envoy-types.ts DESCRIPTOR_SET ROOTS_JSON OUTPUT
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Enum, type Field, MapField, Namespace, Type } from 'protobufjs'
import { z } from 'zod'
import { readRoot } from '../src/proto/descriptors.ts'

const scalars: Readonly<Record<string, string>> = {
  bool: 'boolean',
  string: 'string',
  bytes: 'Base64',
  double: 'number',
  float: 'number',
  int32: 'number',
  sint32: 'number',
  sfixed32: 'number',
  uint32: 'number',
  fixed32: 'number',
  int64: 'Int64',
  sint64: 'Int64',
  sfixed64: 'Int64',
  uint64: 'Int64',
  fixed64: 'Int64',
}

/** Types of google.protobuf that ProtoJSON writes in a way of their own. */
const wellKnown: Readonly<Record<string, string>> = {
  Any: 'Any',
  BoolValue: 'boolean',
  BytesValue: 'Base64',
  DoubleValue: 'number',
  Duration: 'Duration',
  Empty: 'Empty',
  FieldMask: 'string',
  FloatValue: 'number',
  Int32Value: 'number',
  Int64Value: 'Int64',
  ListValue: 'readonly JsonValue[]',
  NullValue: 'null',
  StringValue: 'string',
  Struct: 'JsonObject',
  Timestamp: 'string',
  UInt32Value: 'number',
  UInt64Value: 'Int64',
  Value: 'JsonValue',
}

const prelude = `// Generated from the installed xds-protos by scripts/envoy-types.ts: change that, not this.

/** Seconds with a suffix, as \`'0.25s'\`. */
export type Duration = \`\${number}s\`
/** A 64-bit integer; beyond 2^53 write it as a string. */
export type Int64 = number | string
export type Base64 = string
export type Empty = Readonly<Record<string, never>>
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}
/** An extension's configuration: the message that \`@type\` names, with its fields beside it. */
export type Any = { readonly [N in keyof Extensions]: { readonly '@type': \`type.googleapis.com/\${N}\` } & Extensions[N] }[keyof Extensions]
`

const fullName = (type: { readonly fullName: string }): string => type.fullName.slice(1)

const wellKnownOf = (name: string): string | undefined =>
  name.startsWith('google.protobuf.') ? wellKnown[name.slice('google.protobuf.'.length)] : undefined

const typeName = (field: Field): string => {
  const { resolvedType } = field
  if (resolvedType === null) return scalars[field.type] ?? 'never'
  const name = fullName(resolvedType)
  return wellKnownOf(name) ?? name
}

const fieldLine = (field: Field): string => {
  const one = typeName(field)
  const many = one.startsWith('readonly ') ? `readonly (${one})[]` : `readonly ${one}[]`
  const type = field instanceof MapField ? `{ readonly [key: string]: ${one} }` : field.repeated ? many : one
  return `readonly ${field.protoName}?: ${type} | undefined`
}

const enumType = (type: Enum): string =>
  `type ${type.name} = ${Object.keys(type.values)
    .map((value) => `'${value}'`)
    .join(' | ')}`

/** The lines that declare a namespace's members, indented, and those of the namespaces inside. */
function* declarations(scope: Namespace, indent: string): Generator<string> {
  for (const member of scope.nestedArray.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (wellKnownOf(fullName(member)) !== undefined) continue
    if (member instanceof Enum) {
      yield indent + enumType(member)
    } else if (member instanceof Namespace) {
      if (member instanceof Type) {
        yield `${indent}interface ${member.name} {`
        for (const field of member.fieldsArray) {
          if (field.options?.['deprecated'] !== true) yield `${indent}  ${fieldLine(field)}`
        }
        yield `${indent}}`
      }
      const inner = [...declarations(member, `${indent}  `)]
      if (inner.length > 0) yield* [`${indent}namespace ${member.name} {`, ...inner, `${indent}}`]
    }
  }
}

function* allTypes(scope: Namespace): Generator<Type> {
  for (const member of scope.nestedArray) {
    if (member instanceof Type) yield member
    if (member instanceof Namespace) yield* allTypes(member)
  }
}

/** Inside an Any, a value that is not written as an object of its fields goes under `value`. */
const extensionType = (name: string): string => {
  const known = wellKnownOf(name)
  if (known === undefined) return name
  return known === 'Empty' ? '{}' : `{ readonly value: ${known} }`
}

const generate = (descriptors: Uint8Array, roots: readonly string[]): string => {
  const root = readRoot(descriptors)
  const lines = [prelude]
  for (const member of root.nestedArray) {
    if (!(member instanceof Namespace)) continue
    const inner = [...declarations(member, '  ')]
    if (inner.length > 0) lines.push(`export namespace ${member.name} {`, ...inner, '}')
  }
  lines.push('/** Every message by its full name. */', 'export interface Messages {')
  for (const type of allTypes(root)) {
    const name = fullName(type)
    if (wellKnownOf(name) === undefined) lines.push(`  '${name}': ${name}`)
  }
  lines.push('}', '/** What an Any may hold, by full name. */', 'export interface Extensions {')
  for (const name of roots) {
    lines.push(`  '${name}': ${extensionType(name)}`)
  }
  return [...lines, '}', ''].join('\n')
}

const [descriptorPath, rootsPath, output] = process.argv.slice(2)
if (descriptorPath === undefined || rootsPath === undefined || output === undefined) {
  throw new Error('usage: envoy-types.ts DESCRIPTOR_SET ROOTS_JSON OUTPUT')
}
const { about: _, ...groups } = z
  .object({ about: z.string() })
  .catchall(z.array(z.string()))
  .parse(JSON.parse(readFileSync(rootsPath, 'utf8')))
writeFileSync(output, generate(readFileSync(descriptorPath), Object.values(groups).flat()))
