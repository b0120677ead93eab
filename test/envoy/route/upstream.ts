/**
 * Applications behind the Envoy of a test, in this process: each instance says who it is and what arrived. A request asks
 * for another answer by headers: `x-status`, `x-delay` (milliseconds), `x-reset` (no answer), `x-fail: KEY:N` (the former only
 * for the first N requests with that key), `x-set-NAME` (a response header).
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import grpc from '@grpc/grpc-js'
import { echoService } from '../../support/grpc-echo.ts'

export interface Arrival {
  /** `name.namespace:port` of the backend. */
  readonly backend: string
  /** Of the backend's, from 0. */
  readonly instance: number
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** Key of a request that is to fail some times, and how often; always, without a key. */
export const keyOf = ({ headers }: Arrival): string | undefined => headers['x-fail']?.split(':')[0]
const timesOf = ({ headers }: Arrival): number => Number(headers['x-fail']?.split(':')[1] ?? Infinity)

export interface Upstream extends AsyncDisposable {
  readonly port: number
}

/** @param arrived told of each request; gives how often the request's key, if it has one, came before */
export async function httpUpstream(
  backend: string,
  instance: number,
  arrived: (arrival: Arrival) => number,
): Promise<Upstream> {
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, value?.toString()]),
    )
    const arrival = { backend, instance, method: request.method ?? '', path: request.url ?? '', headers }
    const asked = arrived(arrival) < timesOf(arrival)
    request.resume()
    if (asked && headers['x-delay'] !== undefined) await delay(Number(headers['x-delay']))
    if (asked && headers['x-reset'] !== undefined) return void request.socket.destroy()
    response.statusCode = asked ? Number(headers['x-status'] ?? 200) : 200
    response.setHeader('x-upstream', 'yes')
    for (const [name, value] of Object.entries(headers))
      if (name.startsWith('x-set-')) response.setHeader(name.slice(6), value ?? '')
    response.end(JSON.stringify(arrival))
  }
  const server = http.createServer(
    (request, response) => void answer(request, response).catch(() => response.destroy()),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const statusOf = (code: string): grpc.status =>
  Object.entries(grpc.status).flatMap(([, status]) =>
    typeof status === 'number' && String(status) === code ? [status] : [],
  )[0] ?? grpc.status.UNKNOWN

export async function grpcUpstream(
  backend: string,
  instance: number,
  arrived: (arrival: Arrival) => number,
): Promise<Upstream> {
  const server = new grpc.Server()
  const unary: grpc.handleUnaryCall<unknown, unknown> = (call, callback) => {
    const headers = Object.fromEntries(
      Object.entries(call.metadata.getMap()).map(([name, value]) => [name, String(value)]),
    )
    const arrival = { backend, instance, method: 'POST', path: call.getPath(), headers }
    if (arrived(arrival) < timesOf(arrival) && headers['x-status'] !== undefined)
      callback({ code: statusOf(headers['x-status']), details: 'as asked' })
    else callback(null, { backend, instance })
  }
  server.addService(echoService, { Unary: unary, Stream: () => undefined })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return {
    port,
    [Symbol.asyncDispose]() {
      server.forceShutdown()
      return Promise.resolve()
    },
  }
}
