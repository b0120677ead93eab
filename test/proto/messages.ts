/** Random messages of any type, in the ProtoJSON shape, for property tests. Keys of maps come sorted. */
import * as fc from 'fast-check'
import protobuf from 'protobufjs/light.js'
import { hasJsonForm, nameOf } from '../../src/proto/descriptors.ts'

const text = fc.oneof(fc.string({ maxLength: 6 }), fc.string({ unit: 'grapheme', maxLength: 4 }))
const key = fc.stringMatching(/^[a-z.]{1,6}$/)

const sorted = <T>(object: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)))

const json = (depth: number): fc.Arbitrary<unknown> => {
  const plain = [fc.constant(null), fc.boolean(), text, fc.double({ noNaN: true, noDefaultInfinity: true })]
  if (depth === 0) return fc.oneof(...plain)
  return fc.oneof(...plain, fc.array(json(depth - 1), { maxLength: 3 }), struct(depth - 1))
}

const struct = (depth: number): fc.Arbitrary<unknown> =>
  fc.dictionary(key, json(depth), { maxKeys: 3, noNullPrototype: true }).map(sorted)

const bigint = (min: bigint, max: bigint): fc.Arbitrary<string | number> =>
  fc.bigInt({ min, max }).map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)))

const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  bool: fc.boolean(),
  string: text,
  bytes: fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  float: fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  int32: fc.integer(),
  uint32: fc.nat({ max: 2 ** 32 - 1 }),
  int64: bigint(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: bigint(0n, 2n ** 64n - 1n),
}

const wellKnown = (type: protobuf.Type, depth: number): fc.Arbitrary<unknown> => {
  const name = nameOf(type).slice('google.protobuf.'.length)
  const nanos = fc.constantFrom('', '.5', '.000001', '.999999999')
  switch (name) {
    case 'Any':
      return depth === 0 ? fc.constant({}) : fc.oneof(...anyTypes.map((inner) => anyOf(type.root, inner, depth - 1)))
    case 'Duration':
      return fc.tuple(fc.integer({ min: -9999, max: 9999 }), nanos).map(([seconds, part]) => `${seconds}${part}s`)
    case 'Timestamp':
      return fc
        .tuple(fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }), nanos)
        .map(([date, part]) => `${date.toISOString().slice(0, 19)}${part}Z`)
    case 'Struct':
      return struct(2)
    case 'Value':
      return json(2)
    case 'ListValue':
      return fc.array(json(1), { maxLength: 3 })
    default:
      return scalars[type.fields['value']?.type ?? ''] ?? fc.constant({})
  }
}

const anyTypes = [
  'envoy.extensions.filters.http.router.v3.Router',
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  'envoy.extensions.filters.http.rbac.v3.RBAC',
  'google.protobuf.StringValue',
  'google.protobuf.Struct',
  'google.protobuf.Empty',
]

const anyOf = (root: protobuf.Root, name: string, depth: number): fc.Arbitrary<unknown> => {
  const type = root.lookupType(name)
  const url = { '@type': `type.googleapis.com/${name}` }
  return messageArbitrary(type, depth).map((value) =>
    hasJsonForm(type) ? { ...url, value } : { ...url, ...Object(value) },
  )
}

const single = (field: protobuf.FieldBase, depth: number): fc.Arbitrary<unknown> => {
  const { resolvedType } = field
  if (resolvedType instanceof protobuf.Type) return messageArbitrary(resolvedType, depth - 1)
  if (resolvedType instanceof protobuf.Enum) {
    return nameOf(resolvedType) === 'google.protobuf.NullValue'
      ? fc.constant(null)
      : fc.constantFrom(...Object.keys(resolvedType.values))
  }
  return scalars[field.type] ?? fc.constant(null)
}

const fieldArbitrary = (field: protobuf.Field, depth: number): fc.Arbitrary<unknown> => {
  if (field instanceof protobuf.MapField) {
    const keys = field.keyType === 'string' ? key : fc.nat({ max: 9 }).map(String)
    return fc.dictionary(keys, single(field, depth), { maxKeys: 3, noNullPrototype: true }).map(sorted)
  }
  return field.repeated ? fc.array(single(field, depth), { maxLength: 3 }) : single(field, depth)
}

/** Messages with up to six fields at each of `depth` levels. */
export const messageArbitrary = (type: protobuf.Type, depth: number): fc.Arbitrary<unknown> => {
  if (hasJsonForm(type)) return wellKnown(type, depth)
  const usable = type.fieldsArray.filter((field) => depth > 0 || !(field.resolvedType instanceof protobuf.Type))
  return fc.shuffledSubarray(usable, { maxLength: Math.min(6, usable.length) }).chain((chosen) => {
    const fields = chosen.filter(
      (field, index) => field.partOf === null || chosen.findIndex((other) => other.partOf === field.partOf) === index,
    )
    return fc.record(Object.fromEntries(fields.map((field) => [field.protoName, fieldArbitrary(field, depth)])), {
      noNullPrototype: true,
    })
  })
}
