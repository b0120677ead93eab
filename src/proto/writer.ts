/**
 * Writes ProtoJSON-shaped objects straight to the wire, with protobufjs' reflection types and its writer. protobufjs'
 * own way (`ext/protojson`, then `encode`) gives the same messages; this one takes a third of the time, has the same
 * bytes whatever the order of keys (maps are sorted), reads `undefined` as absent, and says where an error is.
 */
import protobuf from 'protobufjs/light.js'
import { hasJsonForm, nameOf } from './descriptors.ts'
import { describe, EncodeError, formatPath } from './encode-error.ts'
import * as scalar from './scalars.ts'
import type { Refuse } from './scalars.ts'

type Fields = Readonly<Record<string, unknown>>
type Writer = protobuf.Writer

/** Writes one field, tag included; nothing where the value is the default and the field has no presence. */
type WriteField = (writer: Writer, value: unknown) => void

/** Writes a message's fields, without tag and length. */
type WriteMessage = (writer: Writer, value: unknown) => void

interface FieldPlan {
  readonly id: number
  readonly oneof: string | undefined
  readonly takesNull: boolean
  readonly write: WriteField
}

const varint = 0
const fixed64 = 1
const delimited = 2
const fixed32 = 5

const wireTypes: Readonly<Record<string, number>> = {
  double: fixed64,
  fixed64,
  sfixed64: fixed64,
  float: fixed32,
  fixed32,
  sfixed32: fixed32,
  string: delimited,
  bytes: delimited,
}

const maximumDepth = 100

/** Writers for the messages of one root. They are made at first use and kept. */
export class MessageWriter {
  readonly #root: protobuf.Root
  readonly #messages = new Map<protobuf.Type, WriteMessage>()
  readonly #path: (string | number)[] = []

  constructor(root: protobuf.Root) {
    this.#root = root
  }

  /** The wire form of `message`. Throws an `EncodeError` if it does not fit the type. */
  encode(type: protobuf.Type, message: unknown): Uint8Array {
    this.#path.length = 0
    const writer = protobuf.Writer.create()
    this.#messageWriter(type)(writer, message)
    return writer.finish()
  }

  readonly #refuse: Refuse = (expected, value) => {
    throw new EncodeError(`${formatPath(this.#path)}: expected ${expected}, got ${describe(value)}`, this.#path.slice())
  }

  #messageWriter(type: protobuf.Type): WriteMessage {
    let write = this.#messages.get(type)
    if (write === undefined) {
      write = this.#wellKnown(type) ?? this.#plain(type)
      this.#messages.set(type, write)
    }
    return write
  }

  #plain(type: protobuf.Type): WriteMessage {
    const plans = new Map<string, FieldPlan>()
    for (const field of type.fieldsArray) {
      const plan = this.#fieldPlan(field)
      for (const name of [field.protoName, field.jsonName]) plans.set(name, plan)
    }
    return (writer, value) => {
      const object = this.#object(value)
      if (this.#path.length > maximumDepth) this.#refuse(`at most ${maximumDepth} levels`, value)
      const found: [FieldPlan, unknown, string][] = []
      let ordered = true
      let last = 0
      for (const key of Object.keys(object)) {
        const plan = plans.get(key)
        if (plan === undefined) {
          this.#path.push(key)
          return this.#refuse(`a field of ${nameOf(type)}`, key)
        }
        const item = object[key]
        if (item === undefined || (item === null && !plan.takesNull)) continue
        if (plan.id < last) ordered = false
        last = plan.id
        found.push([plan, item, key])
      }
      if (!ordered) found.sort((a, b) => a[0].id - b[0].id)
      this.#checkOneofs(type, found)
      for (const [plan, item, key] of found) {
        this.#path.push(key)
        plan.write(writer, item)
        this.#path.pop()
      }
    }
  }

  /** At most one field of a oneof, and no field under both of its names. */
  #checkOneofs(type: protobuf.Type, found: readonly (readonly [FieldPlan, unknown, string])[]): void {
    const seen: (string | number)[] = []
    for (const [plan, , key] of found) {
      const slot = plan.oneof ?? plan.id
      if (seen.includes(slot)) {
        this.#path.push(key)
        this.#refuse(`only one of the ${plan.oneof ?? key} fields of ${nameOf(type)}`, key)
      }
      seen.push(slot)
    }
  }

  #fieldPlan(field: protobuf.Field): FieldPlan {
    const resolved = field.resolve().resolvedType
    return {
      id: field.id,
      oneof: field.partOf?.name,
      takesNull: resolved?.fullName === '.google.protobuf.Value' || resolved?.fullName === '.google.protobuf.NullValue',
      write:
        field instanceof protobuf.MapField
          ? this.#map(field)
          : field.repeated
            ? this.#repeated(field)
            : this.#one(field),
    }
  }

  #one(field: protobuf.Field): WriteField {
    const { resolvedType, id } = field
    if (resolvedType instanceof protobuf.Type) return this.#delimited(resolvedType, id)
    const read = this.#scalar(field)
    const write = writeScalar(field)
    const tag = tagOf(field)
    const keepsDefault = field.hasPresence
    return (writer, value) => {
      const item = read(value)
      if (keepsDefault || !isDefault(item)) write(writer.uint32(tag), item)
    }
  }

  #repeated(field: protobuf.Field): WriteField {
    const { resolvedType, id } = field
    if (resolvedType instanceof protobuf.Type) {
      const one = this.#delimited(resolvedType, id)
      return (writer, value) => this.#each(value, (item) => one(writer, item))
    }
    const read = this.#scalar(field)
    const write = writeScalar(field)
    if (field.packed && wireType(field) !== delimited) {
      return (writer, value) => {
        if (Array.isArray(value) && value.length === 0) return
        writer.uint32((id << 3) | delimited).fork()
        this.#each(value, (item) => write(writer, read(item)))
        writer.ldelim()
      }
    }
    const tag = tagOf(field)
    return (writer, value) => this.#each(value, (item) => write(writer.uint32(tag), read(item)))
  }

  #each(value: unknown, visit: (item: unknown) => void): void {
    if (!Array.isArray(value)) return this.#refuse('a list', value)
    let index = 0
    for (const item of value) {
      this.#path.push(index++)
      visit(item)
      this.#path.pop()
    }
  }

  /** Entries are written with both fields, sorted by key, so that equal maps have equal bytes. */
  #map(field: protobuf.MapField): WriteField {
    const { keyType, resolvedType } = field
    const tag = (field.id << 3) | delimited
    const writeKey = this.#mapKey(keyType)
    const valueOf = resolvedType instanceof protobuf.Type ? this.#delimited(resolvedType, 2) : this.#mapScalar(field)
    return (writer, value) => {
      const object = this.#object(value)
      for (const key of Object.keys(object).toSorted()) {
        const item = object[key]
        if (item === undefined) continue
        this.#path.push(key)
        writer.uint32(tag).fork()
        writeKey(writer, key)
        valueOf(writer, item)
        writer.ldelim()
        this.#path.pop()
      }
    }
  }

  #mapKey(type: string): (writer: Writer, key: string) => void {
    if (type === 'string') return (writer, key) => writer.uint32(10).string(scalar.readString(key, this.#refuse))
    if (scalar.isLongType(type))
      return (writer, key) => writer.uint32(8)[type](scalar.readLong(type, key, this.#refuse))
    throw new Error(`map keys of type ${type} are not supported`)
  }

  #mapScalar(field: protobuf.FieldBase): WriteField {
    const read = this.#scalar(field)
    const write = writeScalar(field)
    const tag = (2 << 3) | wireType(field)
    return (writer, value) => write(writer.uint32(tag), read(value))
  }

  /** A message field. Its writer is looked up when it is used, because messages contain themselves. */
  #delimited(type: protobuf.Type, id: number): WriteField {
    const tag = (id << 3) | delimited
    let write: WriteMessage | undefined
    return (writer, value) => {
      write ??= this.#messageWriter(type)
      writer.uint32(tag).fork()
      write(writer, value)
      writer.ldelim()
    }
  }

  #scalar(field: protobuf.FieldBase): (value: unknown) => unknown {
    const { type, resolvedType } = field
    const refuse = this.#refuse
    if (resolvedType instanceof protobuf.Enum) return (value) => this.#enum(resolvedType, value)
    if (scalar.isIntegerType(type)) return (value) => scalar.readInteger(type, value, refuse)
    if (scalar.isLongType(type)) return (value) => scalar.readLong(type, value, refuse)
    if (type === 'float' || type === 'double') return (value) => scalar.readFloat(type, value, refuse)
    if (type === 'bool') return (value) => scalar.readBool(value, refuse)
    if (type === 'string') return (value) => scalar.readString(value, refuse)
    if (type === 'bytes') return (value) => scalar.readBytes(value, refuse)
    throw new Error(`${field.fullName}: fields of type ${type} are not supported`)
  }

  #enum(type: protobuf.Enum, value: unknown): number {
    if (value === null) return 0 // only NullValue fields take null
    const number = typeof value === 'string' && Object.hasOwn(type.values, value) ? type.values[value] : value
    if (typeof number === 'number' && Number.isInteger(number) && Math.abs(number) < 2 ** 31) return number
    return this.#refuse(`one of ${Object.keys(type.values).join(', ')}`, value)
  }

  #object(value: unknown): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.#refuse('an object', value)
    return value as Fields
  }

  #wellKnown(type: protobuf.Type): WriteMessage | undefined {
    const name = nameOf(type)
    if (!name.startsWith('google.protobuf.')) return undefined
    if (name.endsWith('Value') && name !== 'google.protobuf.Value' && name !== 'google.protobuf.ListValue') {
      const field = type.fields['value']
      if (field !== undefined) return this.#one(field)
    }
    switch (name) {
      case 'google.protobuf.Any':
        return (writer, value) => this.#any(writer, value)
      case 'google.protobuf.Duration':
        return (writer, value) => writeSeconds(writer, scalar.readDuration(value, this.#refuse))
      case 'google.protobuf.Timestamp':
        return (writer, value) => writeSeconds(writer, scalar.readTimestamp(value, this.#refuse))
      case 'google.protobuf.Struct':
        return (writer, value) => this.#struct(writer, value)
      case 'google.protobuf.Value':
        return (writer, value) => this.#value(writer, value)
      case 'google.protobuf.ListValue':
        return (writer, value) => this.#list(writer, value)
      default:
        return undefined
    }
  }

  #any(writer: Writer, value: unknown): void {
    const { '@type': url, ...fields } = this.#object(value)
    if (url === undefined && Object.keys(fields).length === 0) return
    this.#path.push('@type')
    if (typeof url !== 'string') return this.#refuse("the message's type, as 'type.googleapis.com/NAME'", url)
    const found = this.#root.lookup(url.slice(url.lastIndexOf('/') + 1), [protobuf.Type])
    if (!(found instanceof protobuf.Type))
      return this.#refuse('a message that Heddle knows, or xds.type.v3.TypedStruct', url)
    this.#path.pop()
    const inner = protobuf.Writer.create()
    const write = this.#messageWriter(found)
    if (hasJsonForm(found)) {
      this.#path.push('value')
      write(inner, fields['value'])
      this.#path.pop()
    } else {
      write(inner, fields)
    }
    writer.uint32(10).string(url)
    const bytes = inner.finish()
    if (bytes.length > 0) writer.uint32(18).bytes(bytes)
  }

  #struct(writer: Writer, value: unknown): void {
    const object = this.#object(value)
    for (const key of Object.keys(object).toSorted()) {
      const item = object[key]
      if (item === undefined) continue
      this.#path.push(key)
      writer.uint32(10).fork().uint32(10).string(scalar.readString(key, this.#refuse)).uint32(18).fork()
      this.#value(writer, item)
      writer.ldelim().ldelim()
      this.#path.pop()
    }
  }

  #list(writer: Writer, value: unknown): void {
    this.#each(value, (item) => {
      writer.uint32(10).fork()
      this.#value(writer, item)
      writer.ldelim()
    })
  }

  /** A oneof of null, number, string, bool, Struct and ListValue, numbered in that order. */
  #value(writer: Writer, value: unknown): void {
    if (value === null) {
      writer.uint32(8).int32(0)
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) this.#refuse('a finite number', value)
      writer.uint32(17).double(value)
    } else if (typeof value === 'string') {
      writer.uint32(26).string(scalar.readString(value, this.#refuse))
    } else if (typeof value === 'boolean') {
      writer.uint32(32).bool(value)
    } else if (Array.isArray(value)) {
      writer.uint32(50).fork()
      this.#list(writer, value)
      writer.ldelim()
    } else {
      writer.uint32(42).fork()
      this.#struct(writer, value)
      writer.ldelim()
    }
  }
}

const wireType = (field: protobuf.FieldBase): number => wireTypes[field.type] ?? varint

const tagOf = (field: protobuf.Field): number => (field.id << 3) | wireType(field)

const writeScalar = (field: protobuf.FieldBase): ((writer: Writer, value: unknown) => void) => {
  const method = field.resolvedType instanceof protobuf.Enum ? 'int32' : field.type
  // The readers give each type the values that its writer takes.
  return (writer, value) => (writer as unknown as Record<string, (value: unknown) => void>)[method]?.(value)
}

const isDefault = (value: unknown): boolean =>
  value === 0 ||
  value === '' ||
  value === false ||
  (typeof value === 'object' &&
    value !== null &&
    (value instanceof Uint8Array
      ? value.length === 0
      : 'low' in value && value.low === 0 && 'high' in value && value.high === 0))

const writeSeconds = (writer: Writer, { seconds, nanos }: scalar.Seconds): void => {
  if (seconds !== 0) writer.uint32(8).int64(seconds)
  if (nanos !== 0) writer.uint32(16).int32(nanos)
}
