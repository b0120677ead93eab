/**
 * The one door to protobuf: Envoy messages, written as Envoy's documentation writes them, to bytes and back. The set of
 * messages is the one that `make build` generated; `generated/envoy.binpb` is its file, `descriptorFile` its place.
 */
import protobuf from 'protobufjs/light.js'
import { readRoot } from './descriptors.ts'
import { decodeMessage } from './reader.ts'
import type { Message, MessageName } from './types.ts'
import { MessageWriter } from './writer.ts'

export { EncodeError } from './encode-error.ts'

export interface Protos {
  /**
   * The bytes of a message: the same for equal messages, whatever the order of their keys. Fields that are `undefined`
   * are absent. Throws an `EncodeError`, which says where, for anything that the types would not have let through.
   */
  encode<N extends MessageName>(type: N, message: Message<N>): Uint8Array
  /** As `encode`, for what comes from people and is not typed. */
  encodeUnknown(type: string, message: unknown): Uint8Array
  /** The message in its ProtoJSON shape, snake_case, set fields only. Throws if the bytes are not such a message. */
  decode<N extends MessageName>(type: N, bytes: Uint8Array): Message<N>
  /** Whether messages of that full name can be encoded. */
  knows(type: string): boolean
}

/** Where the generated descriptor set is, beside the sources and beside the compiled files alike. */
export const descriptorFile = new URL('../../generated/envoy.binpb', import.meta.url)

/** From a serialised FileDescriptorSet; it takes some 60 ms and 7 MB. */
export const loadProtos = (descriptorSet: Uint8Array): Protos => {
  const root = readRoot(descriptorSet)
  const writer = new MessageWriter(root)
  const types = new Map<string, protobuf.Type>()

  const typeOf = (name: string): protobuf.Type => {
    let type = types.get(name)
    if (type === undefined) {
      type = root.lookupType(name)
      types.set(name, type)
    }
    return type
  }

  return {
    encode: (type, message) => writer.encode(typeOf(type), message),
    encodeUnknown: (type, message) => writer.encode(typeOf(type), message),
    decode: <N extends MessageName>(type: N, bytes: Uint8Array) => decodeMessage(typeOf(type), bytes) as Message<N>,
    knows: (type) => root.lookup(type, [protobuf.Type]) !== null,
  }
}
