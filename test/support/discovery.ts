// Discovery messages from the client's side, as bytes: what the server's own framing is held against, so none of it is used here.
import protobuf from 'protobufjs/minimal.js'

const { Reader, Writer } = protobuf
const TYPE_URL_PREFIX = 'type.googleapis.com/'

export interface DeltaAsk {
  readonly type: string
  readonly node?: Uint8Array | undefined
  readonly subscribe?: Iterable<string>
  readonly unsubscribe?: Iterable<string>
  readonly has?: Iterable<readonly [name: string, version: string]>
  readonly nonce?: string
  readonly error?: string | undefined
}

export interface StateAsk {
  readonly type: string
  readonly node?: Uint8Array | undefined
  readonly names: Iterable<string>
  readonly version: string
  readonly nonce: string
  readonly error?: string | undefined
}

export interface ReceivedResource {
  readonly name: string
  readonly version: string
  readonly bytes: Uint8Array
}

export interface DeltaAnswer {
  readonly type: string
  readonly nonce: string
  readonly resources: readonly ReceivedResource[]
  readonly removed: readonly string[]
}

export interface StateAnswer {
  readonly type: string
  readonly nonce: string
  readonly version: string
  readonly resources: readonly Uint8Array[]
}

/** A Node of that id; padded to some `size` bytes, as Envoy's list of extensions pads its own to 61 kB. */
export function encodeNode(id: string, size = 0): Uint8Array {
  const writer = Writer.create().uint32(tag(1, 2)).string(id)
  for (let written = 0; written < size; written += 100) {
    const name = `envoy.filters.http.of_a_very_long_list_${String(written)}`.padEnd(90, '_')
    writer.uint32(tag(9, 2)).fork().uint32(tag(1, 2)).string(name).ldelim()
  }
  return writer.finish()
}

export function encodeDeltaAsk(ask: DeltaAsk): Buffer {
  const writer = Writer.create()
  if (ask.node !== undefined) writer.uint32(tag(1, 2)).bytes(ask.node)
  writer.uint32(tag(2, 2)).string(TYPE_URL_PREFIX + ask.type)
  for (const name of ask.subscribe ?? []) writer.uint32(tag(3, 2)).string(name)
  for (const name of ask.unsubscribe ?? []) writer.uint32(tag(4, 2)).string(name)
  for (const [name, version] of ask.has ?? []) {
    writer.uint32(tag(5, 2)).fork().uint32(tag(1, 2)).string(name).uint32(tag(2, 2)).string(version).ldelim()
  }
  if (ask.nonce !== undefined) writer.uint32(tag(6, 2)).string(ask.nonce)
  if (ask.error !== undefined) encodeStatus(writer, 7, ask.error)
  return Buffer.from(writer.finish())
}

export function encodeStateAsk(ask: StateAsk): Buffer {
  const writer = Writer.create()
  writer.uint32(tag(1, 2)).string(ask.version)
  if (ask.node !== undefined) writer.uint32(tag(2, 2)).bytes(ask.node)
  for (const name of ask.names) writer.uint32(tag(3, 2)).string(name)
  writer.uint32(tag(4, 2)).string(TYPE_URL_PREFIX + ask.type)
  writer.uint32(tag(5, 2)).string(ask.nonce)
  if (ask.error !== undefined) encodeStatus(writer, 6, ask.error)
  return Buffer.from(writer.finish())
}

export function decodeDeltaAnswer(bytes: Uint8Array): DeltaAnswer {
  const answer = { type: '', nonce: '', resources: [] as ReceivedResource[], removed: [] as string[] }
  each(bytes, (field, reader) => {
    if (field === 2) answer.resources.push(decodeResource(reader.bytes()))
    else if (field === 4) answer.type = withoutPrefix(reader.string())
    else if (field === 5) answer.nonce = reader.string()
    else if (field === 6) answer.removed.push(reader.string())
    else return false
    return true
  })
  return answer
}

export function decodeStateAnswer(bytes: Uint8Array): StateAnswer {
  const answer = { type: '', nonce: '', version: '', resources: [] as Uint8Array[] }
  each(bytes, (field, reader) => {
    if (field === 1) answer.version = reader.string()
    else if (field === 2) answer.resources.push(decodeAny(reader.bytes()))
    else if (field === 4) answer.type = withoutPrefix(reader.string())
    else if (field === 5) answer.nonce = reader.string()
    else return false
    return true
  })
  return answer
}

function decodeResource(bytes: Uint8Array): ReceivedResource {
  const resource = { name: '', version: '', bytes: new Uint8Array() as Uint8Array }
  each(bytes, (field, reader) => {
    if (field === 1) resource.version = reader.string()
    else if (field === 2) resource.bytes = decodeAny(reader.bytes())
    else if (field === 3) resource.name = reader.string()
    else return false
    return true
  })
  return resource
}

function decodeAny(bytes: Uint8Array): Uint8Array {
  let value: Uint8Array = new Uint8Array()
  each(bytes, (field, reader) => {
    if (field !== 2) return false
    value = reader.bytes()
    return true
  })
  return value
}

function encodeStatus(writer: protobuf.Writer, field: number, message: string): void {
  writer.uint32(tag(field, 2)).fork().uint32(tag(1, 0)).int32(3).uint32(tag(2, 2)).string(message).ldelim()
}

function each(bytes: Uint8Array, read: (field: number, reader: protobuf.Reader) => boolean): void {
  const reader = Reader.create(bytes)
  while (reader.pos < reader.len) {
    const key = reader.uint32()
    if (!read(key >>> 3, reader)) reader.skipType(key & 7)
  }
}

const tag = (field: number, wireType: number): number => (field << 3) | wireType

const withoutPrefix = (url: string): string => url.slice(url.lastIndexOf('/') + 1)
