/** Which connections an inbound listener lets through to the application, and as what, on a real Envoy. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { descriptorFile, loadProtos } from '../../../src/proto/encode.ts'
import { loopbackHost } from '../../../src/standalone/addresses.ts'
import { parseCase, renderCase } from '../../support/golden-case.ts'
import { staticBootstrap } from '../../support/static-bootstrap.ts'
import { authority, idOf } from '../identities.ts'
import { type Cluster, type Listener, type Secret, StaticEnvoy } from '../static-envoy.ts'

const protocols = ['http', 'tcp', 'tls', 'auto'] as const
const PORTS = { http: 18080, tcp: 18081, tls: 18082, auto: 18083 } as const
const ADDRESSES = { Permissive: '127.65.77.1', Strict: '127.65.77.2' } as const
type Mode = keyof typeof ADDRESSES

const issue = authority()
const identity = issue(idOf('default/web'))

/** What a client sends, and by which first byte the application knows it. */
const clients = {
  bytes: { open: plain, send: 'hello\n', first: 'h' },
  http: { open: plain, send: 'GET / HTTP/1.1\r\nhost: web\r\n\r\n', first: 'G' },
  // bytes of a client's own TLS: its hello
  'own TLS': { open: ownTls, send: '', first: '\x16' },
  'mesh TLS with HTTP': { open: meshTls('heddle-http'), send: 'GET / HTTP/1.1\r\nhost: web\r\n\r\n', first: 'G' },
  'mesh TLS with bytes': { open: meshTls('heddle-tcp'), send: 'hello\n', first: 'h' },
} as const
type Client = keyof typeof clients

const everything: readonly Client[] = ['bytes', 'http', 'own TLS', 'mesh TLS with HTTP', 'mesh TLS with bytes']
const meshOnly: readonly Client[] = ['mesh TLS with HTTP', 'mesh TLS with bytes']
/** Who gets through. What is declared HTTP never passes as anything else. */
const admitted: Readonly<Record<Mode, Readonly<Record<(typeof protocols)[number], readonly Client[]>>>> = {
  Permissive: { http: ['http', 'mesh TLS with HTTP'], tcp: everything, tls: everything, auto: everything },
  Strict: { http: ['mesh TLS with HTTP'], tcp: meshOnly, tls: meshOnly, auto: meshOnly },
}

describe.each(['Permissive', 'Strict'] as const)('%s', (mode) => {
  const address = ADDRESSES[mode]
  const stack = new AsyncDisposableStack()
  let told: ((first: string) => void) | undefined

  beforeAll(async () => {
    for (const port of Object.values(PORTS)) {
      const server = net.createServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', (data) => {
          told?.(data.toString('latin1', 0, 1))
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        })
      })
      server.listen(port, loopbackHost(address))
      await once(server, 'listening')
      stack.defer(() => void server.close())
    }
    const golden = parseCase(mode, '', [workload(mode, address)])
    const { full } = renderCase(loadProtos(readFileSync(descriptorFile)), golden)
    const { static_resources: all } = staticBootstrap(full, identity) as {
      readonly static_resources: { listeners: Listener[]; clusters: Cluster[]; secrets: Secret[] }
    }
    const listeners = all.listeners.filter(({ name }) => name === 'inbound')
    const clusters = all.clusters.filter(({ name }) => name?.startsWith('inbound/'))
    stack.use(await StaticEnvoy.start(listeners, clusters, all.secrets))
  })
  afterAll(() => stack.disposeAsync())

  describe.each(protocols)('a port declared %s', (protocol) => {
    test.each(Object.keys(clients) as Client[])('%s', async (name) => {
      const client = clients[name]
      const seen = await new Promise<string | undefined>((resolve) => {
        told = resolve
        const socket = client.open(address, PORTS[protocol])
        socket.on('error', () => undefined)
        socket.on('close', () => resolve(undefined))
        // whoever is not let through is told so, or closed
        socket.on('data', () => socket.destroy())
        if (client.send !== '') socket.write(client.send)
      })
      expect(seen).toBe(admitted[mode][protocol].includes(name) ? client.first : undefined)
    })
  })
})

function workload(mode: Mode, address: string): string {
  const ports = protocols.map((protocol) => ({
    port: PORTS[protocol],
    ...(protocol !== 'auto' && { appProtocol: protocol }),
  }))
  return `# A workload with a port of every kind.
#
# workload: web
# isolation: loopback
# show: all
${JSON.stringify({ apiVersion: 'heddle.dev/v1alpha1', kind: 'Mesh', metadata: { name: 'default' }, spec: { mtls: { mode } } })}
---
${JSON.stringify({ apiVersion: 'heddle.dev/v1alpha1', kind: 'Workload', metadata: { name: 'web' }, spec: { address, ports } })}
`
}

function plain(host: string, port: number): net.Socket {
  return net.connect({ host, port })
}

function ownTls(host: string, port: number): net.Socket {
  return tls.connect({
    host,
    port,
    servername: 'web.example.com',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
  })
}

function meshTls(alpn: string): (host: string, port: number) => net.Socket {
  return (host, port) =>
    tls.connect({
      host,
      port,
      ALPNProtocols: [alpn],
      key: identity.key,
      cert: identity.cert,
      rejectUnauthorized: false,
    })
}
