/**
 * Reads messages from the wire into the ProtoJSON shape, with the protos' own field names (protobufjs prints camel case
 * only), so that what was sent can be compared with what was written. For tests and for looking at things, not for hot
 * paths. Only fields that are set appear; 64-bit integers are numbers where those hold them exactly, else strings.
 */
import protobuf from 'protobufjs/light.js'
import { writeDuration, writeTimestamp, type Seconds } from './scalars.ts'
import { hasJsonForm, nameOf } from './descriptors.ts'

type Decoded = Readonly<Record<string, unknown>>

/** Throws if the bytes are not a message of that type. */
export const decodeMessage = (type: protobuf.Type, bytes: Uint8Array): unknown => {
  const decoded: unknown = type.decode(bytes)
  return messageValue(type, decoded as Decoded)
}

const messageValue = (type: protobuf.Type, message: Decoded): unknown =>
  hasJsonForm(type) ? wellKnownValue(type, message) : plainValue(type, message)

const plainValue = (type: protobuf.Type, message: Decoded): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    const value = message[field.name]
    // protobufjs gives a message empty lists and maps of its own.
    if (!Object.hasOwn(message, field.name) || isEmpty(field, value)) continue
    out[field.protoName] = fieldValue(field, value)
  }
  return out
}

const isEmpty = (field: protobuf.Field, value: unknown): boolean =>
  field.repeated ? Array.isArray(value) && value.length === 0 : field.map && Object.keys(value as Decoded).length === 0

const fieldValue = (field: protobuf.Field, value: unknown): unknown => {
  if (field instanceof protobuf.MapField) {
    // Integer keys of 64 bits are kept by protobufjs as hashes of eight characters.
    const keyOf = field.keyType.endsWith('64') ? longKey : String
    return Object.fromEntries(
      Object.entries(value as Decoded).map(([key, item]) => [keyOf(key), oneValue(field, item)]),
    )
  }
  return Array.isArray(value) ? value.map((item) => oneValue(field, item)) : oneValue(field, value)
}

const oneValue = (field: protobuf.Field, value: unknown): unknown => {
  const { resolvedType } = field.resolve()
  if (resolvedType instanceof protobuf.Type) return messageValue(resolvedType, value as Decoded)
  if (resolvedType instanceof protobuf.Enum) {
    if (nameOf(resolvedType) === 'google.protobuf.NullValue') return null
    return typeof value === 'number' ? (resolvedType.valuesById[value] ?? value) : value
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (field.type.endsWith('64')) return longValue(value)
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

const longKey = (hash: string): string => {
  const long: { toString(): string } | number = protobuf.util.longFromHash(hash, false)
  return long.toString()
}

const longValue = (value: unknown): number | string => {
  const text = String(value)
  return Number.isSafeInteger(Number(text)) ? Number(text) : text
}

const secondsOf = (message: Decoded): Seconds => ({
  seconds: Number(message['seconds'] ?? 0),
  nanos: Number(message['nanos'] ?? 0),
})

const wellKnownValue = (type: protobuf.Type, message: Decoded): unknown => {
  switch (nameOf(type)) {
    case 'google.protobuf.Any':
      return anyValue(type.root, message)
    case 'google.protobuf.Duration':
      return writeDuration(secondsOf(message))
    case 'google.protobuf.Timestamp':
      return writeTimestamp(secondsOf(message))
    case 'google.protobuf.Struct':
      return structValue(message)
    case 'google.protobuf.Value':
      return valueValue(message)
    case 'google.protobuf.ListValue':
      return listValue(message)
    default: {
      const field = type.fields['value']
      if (field === undefined) return plainValue(type, message)
      return oneValue(field, Object.hasOwn(message, 'value') ? message['value'] : field.resolve().defaultValue)
    }
  }
}

const anyValue = (root: protobuf.Root, message: Decoded): unknown => {
  const url = message['typeUrl']
  if (typeof url !== 'string' || url === '') return {}
  const bytes = message['value'] instanceof Uint8Array ? message['value'] : new Uint8Array()
  const type = root.lookup(url.slice(url.lastIndexOf('/') + 1), [protobuf.Type])
  if (!(type instanceof protobuf.Type)) return { '@type': url, value: Buffer.from(bytes).toString('base64') }
  const inner = decodeMessage(type, bytes)
  return hasJsonForm(type) ? { '@type': url, value: inner } : { '@type': url, ...(inner as Decoded) }
}

const structValue = (message: Decoded): unknown =>
  Object.fromEntries(
    Object.entries((message['fields'] ?? {}) as Decoded).map(([key, value]) => [key, valueValue(value as Decoded)]),
  )

const listValue = (message: Decoded): unknown =>
  ((message['values'] ?? []) as readonly Decoded[]).map((value) => valueValue(value))

const valueValue = (message: Decoded): unknown => {
  if (Object.hasOwn(message, 'structValue')) return structValue(message['structValue'] as Decoded)
  if (Object.hasOwn(message, 'listValue')) return listValue(message['listValue'] as Decoded)
  for (const kind of ['numberValue', 'stringValue', 'boolValue']) {
    if (Object.hasOwn(message, kind)) return message[kind]
  }
  return null
}
