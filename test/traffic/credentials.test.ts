/** What a proxy is sent follows from its join token alone. A client of our own plays the proxy, over TLS, as one elsewhere would. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ChannelCredentials, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { DeltaClient } from '../support/xds-client.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret'
const LISTENER = 'envoy.config.listener.v3.Listener'

/** A serialised Node with this ID. */
const node = (id: string): Uint8Array => Buffer.concat([Buffer.from([0x0a, id.length]), Buffer.from(id)])

describe('join tokens', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(documents(echoWorkload('client'), echoWorkload('server'), service('server')), {
      isolation: 'loopback',
      standalone: { xds: '127.0.0.1:0' },
    })
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  function proxy(nodeId: string, token?: string): DeltaClient {
    const address = mesh.standalone.addresses.xds.find((one) => !one.startsWith('unix:')) ?? ''
    const credentials = ChannelCredentials.createSsl(readFileSync(mesh.standalone.bundleFile))
    const client = new DeltaClient({
      address,
      credentials,
      node: node(nodeId),
      ...(token === undefined ? {} : { token }),
    })
    for (const name of ['svid', 'bundle']) client.peer.subscribe(SECRET, name)
    client.peer.subscribe(LISTENER, 'inbound')
    return client.connect()
  }
  const tokenOf = async (name: string) => mesh.standalone.tokens.create({ namespace: 'default', name })
  const failures = async (): Promise<number> => {
    const metric = await mesh.standalone.registry.getSingleMetric('heddle_xds_auth_failures_total')?.get()
    return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0
  }
  const identityIn = (client: DeltaClient): string | undefined => {
    const text = Buffer.from(client.peer.has(SECRET).get('svid')?.bytes ?? []).toString('latin1')
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text)?.[0]
    return pem === undefined ? undefined : new X509Certificate(pem).subjectAltName
  }

  test.each([
    ['none', undefined],
    ['one that nobody made', `hjt_0123456789abcdef_${'x'.repeat(43)}`],
    ['nonsense', 'let-me-in'],
  ])('%s: nothing is sent, and it is counted', async (_, token) => {
    const before = await failures()
    using client = proxy('default/client', token)
    await client.until(() => client.ended !== undefined)
    expect(client.ended?.code).toBe(status.UNAUTHENTICATED)
    expect(client.peer.received).toBe(0)
    expect(await failures()).toBe(before + 1)
  })

  test("a proxy that claims another workload's node ID gets its own identity, and no other secret", async () => {
    using client = proxy('default/server', (await tokenOf('client')).reveal())
    for (const name of ['server', 'svid/server', 'default/server', 'spiffe://cluster.local/ns/default/sa/server'])
      client.peer.subscribe(SECRET, name)
    await client.until(() => client.peer.has(SECRET).has('svid') && client.peer.has(LISTENER).has('inbound'))
    await client.barrier()
    expect(identityIn(client)).toBe('URI:spiffe://cluster.local/ns/default/sa/client')
    expect(client.peer.names(SECRET)).toEqual(['bundle', 'svid'])
  })

  test('one that was revoked opens no further stream', async () => {
    const token = await tokenOf('client')
    using client = proxy('default/client', token.reveal())
    await client.until(() => identityIn(client) !== undefined)
    await mesh.standalone.tokens.revoke(token.info.id)
    using again = proxy('default/client', token.reveal())
    await again.until(() => again.ended !== undefined)
    expect(again.ended?.code).toBe(status.UNAUTHENTICATED)
    expect(again.peer.received).toBe(0)
  })

  test('one for a workload that there is not is refused', async () => {
    using client = proxy('default/nobody', (await tokenOf('nobody')).reveal())
    await client.until(() => client.ended !== undefined)
    expect(client.peer.received).toBe(0)
  })

  test('tokens and keys are in no log', async () => {
    const token = (await tokenOf('client')).reveal()
    using client = proxy('default/client', token)
    await client.until(() => identityIn(client) !== undefined)
    expect(mesh.log.join('')).not.toContain(token)
    expect(mesh.log.join('')).not.toContain('PRIVATE KEY')
  })
})
