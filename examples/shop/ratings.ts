// How many stars a product has, over gRPC. With FAILING set, an instance that is broken: it answers nothing but UNAVAILABLE.
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { identityIn } from './http.ts'
import { type Rating, ratingsService } from './ratings-service.ts'

const instance = process.env['WORKLOAD_NAME'] ?? 'ratings'

const get: handleUnaryCall<{ readonly id: string }, Rating> = (call, callback) => {
  if (process.env['FAILING'] !== undefined) {
    callback({ code: status.UNAVAILABLE, details: `${instance} is broken` })
    return
  }
  const caller = identityIn(call.metadata.get('x-forwarded-client-cert')[0]?.toString())
  callback(null, { stars: 1 + (Number(call.request.id) % 5), instance, caller })
}

const server = new Server()
server.addService(ratingsService, { Get: get })
const host = process.env['HOST'] ?? '127.0.0.1'
const address = `${host.includes(':') ? `[${host}]` : host}:${process.env['PORT']}`
server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
})
process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)))
