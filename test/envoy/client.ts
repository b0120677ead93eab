/** Clients of Envoys under test: requests and connections from loopback addresses, in plaintext or as an identity. */
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import type { TlsIdentity } from './identities.ts'

export interface Sending {
  readonly method?: string
  /** As it is, without normalisation. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Who asks, in mutual TLS; plaintext if not given. */
  readonly as?: TlsIdentity | undefined
  /** Where the connection comes from; 127.0.0.1 if not given. */
  readonly from?: string
  readonly agent?: http.Agent
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<http.IncomingHttpHeaders>
  readonly body: string
}

/** One request on a connection of its own. */
export function send(port: number, { as, from, ...sending }: Sending = {}): Promise<Answer> {
  const options: http.RequestOptions = {
    host: '127.0.0.1',
    port,
    agent: false,
    setHost: sending.headers?.['host'] === undefined,
    ...(from !== undefined && { localAddress: from }),
    ...sending,
  }
  return new Promise((resolve, reject) => {
    const request = as === undefined ? http.request(options) : https.request({ ...options, ...credentials(as) })
    request.on('error', reject).on('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response
        .on('error', reject)
        .on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    request.end()
  })
}

/** Statuses of requests of one kind, one after the other. */
export async function statuses(count: number, port: number, sending: Sending = {}): Promise<number[]> {
  const found: number[] = []
  for (let at = 0; at < count; at += 1) found.push((await send(port, sending)).status)
  return found
}

/** Sends a text on a connection; what came back before as much came as was sent, or the other side closed. */
export function talk(port: number, text: string, as?: TlsIdentity): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port }
    const socket = as === undefined ? net.connect(options) : tls.connect({ ...options, ...credentials(as) })
    let came = ''
    const done = (): void => {
      socket.destroy()
      resolve(came)
    }
    socket.setEncoding('utf8').on('data', (data: string) => {
      came += data
      if (came.length >= text.length) done()
    })
    // a reset is one way of being closed
    socket.on('error', done).on('close', done)
    socket.write(text)
  })
}

/** The name in the certificate is a SPIFFE ID, not the address that is dialled. */
const credentials = ({ cert, key, ca }: TlsIdentity): tls.ConnectionOptions => ({
  cert,
  key,
  ca,
  checkServerIdentity: () => undefined,
})
