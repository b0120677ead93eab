/**
 * Reads the descriptor set that `make build` writes into reflection types. `protobufjs/ext/descriptor` is what adds
 * `Root.fromDescriptor`. Field names must be converted to camel case inside (the default): with `keepCase`, ProtoJSON
 * silently turns every Struct value into null. What is written and read stays as the protos spell it.
 */
import protobuf from 'protobufjs/light.js'
import 'protobufjs/ext/descriptor.js'

/** Types of a serialised `google.protobuf.FileDescriptorSet`, resolved. Throws if it is not one. */
export const readRoot = (descriptorSet: Uint8Array): protobuf.Root => {
  const root = protobuf.Root.fromDescriptor(descriptorSet)
  root.resolveAll()
  return root
}

/** Full name, without the leading dot. */
export const nameOf = (type: protobuf.ReflectionObject): string => type.fullName.slice(1)

/** Whether ProtoJSON writes the type as something else than an object of its fields, so that an Any nests it in `value`. */
export const hasJsonForm = (type: protobuf.Type): boolean => {
  const name = nameOf(type)
  return /^google\.protobuf\.(Any|Duration|Timestamp|FieldMask|Struct|\w*Value)$/.test(name)
}
