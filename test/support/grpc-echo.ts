/** The gRPC service of echo.ts, without a .proto: its messages are JSON. */
import type { ServiceDefinition } from '@grpc/grpc-js'

export const serialize = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
export const deserialize = (bytes: Buffer): unknown => JSON.parse(bytes.toString())

const method = (name: string, stream: boolean) => ({
  path: `/echo.Echo/${name}`,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
})

export const echoService: ServiceDefinition = { Unary: method('Unary', false), Stream: method('Stream', true) }
