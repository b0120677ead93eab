// The gRPC service between reviews and ratings. Its messages are JSON, so that the shop needs no generated code.
import type { ServiceDefinition } from '@grpc/grpc-js'

export interface Rating {
  readonly stars: number
  readonly instance: string
  /** Identity of the caller, as the proxy verified it. */
  readonly caller: string | undefined
}

const serialize = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

export const ratingsService = {
  Get: {
    path: '/shop.Ratings/Get',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: (bytes: Buffer): { readonly id: string } => JSON.parse(bytes.toString()),
    responseSerialize: serialize,
    responseDeserialize: (bytes: Buffer): Rating => JSON.parse(bytes.toString()),
  },
} satisfies ServiceDefinition
