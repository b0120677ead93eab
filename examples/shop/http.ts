// What the shop's HTTP services share: serving, asking another, answering with JSON, and saying who called.
import http from 'node:http'

/** Handed on from request to request, so that what belongs together is seen together and routed alike. */
const PASSED_ON = ['traceparent', 'tracestate', 'x-request-id', 'x-canary']

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** GET, on behalf of the request that is being answered. Status 0 if nobody answered. */
export function ask(url: string, behalf?: http.IncomingMessage, more: Record<string, string> = {}): Promise<Answer> {
  const headers: Record<string, string> = { ...more }
  for (const name of PASSED_ON) {
    const value = behalf?.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return new Promise((resolve) => {
    const request = http.get(url, { headers, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parse(text) }))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', (error) => resolve({ status: 0, body: { error: error.message } }))
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return { error: text.trim() }
  }
}

export function json(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}

/** The SPIFFE ID that the proxy verified and wrote into the request; a client cannot set this header. */
export const identityIn = (header: string | string[] | undefined): string | undefined =>
  /(?:^|;)URI=([^;,]+)/.exec(header?.toString() ?? '')?.[1]

export const caller = (request: http.IncomingMessage): string | undefined =>
  identityIn(request.headers['x-forwarded-client-cert'])

/** Serves on HOST and PORT until SIGTERM; then answers what it was asked already, and ends. */
export function serve(handler: http.RequestListener): void {
  const server = http.createServer(handler)
  server.listen(Number(process.env['PORT']), process.env['HOST'])
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0))
    // connections that become idle only now
    setInterval(() => server.closeIdleConnections(), 20)
  })
}
