import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

describe.each(isolations)('two workloads in %s', (isolation) => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('client', { upstreams: ['server:80', 'server:9000', 'server:9001', 'server:9090'] }),
        echoWorkload('server', { ports: ['http:8080', 'tcp:9000', 'tcp-banner=banner:9001', 'grpc:9090'] }),
        service('server', { ports: ['http:80:8080', 'tcp:9000', 'tcp-banner:9001', 'grpc:9090'] }),
      ),
      { isolation },
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  test('HTTP', async () => {
    const answer = await mesh.request('client', 'http://server/hello', { method: 'POST', body: 'x'.repeat(100_000) })
    expect(answer).toMatchObject({
      status: 200,
      echo: { instance: 'server', method: 'POST', path: '/hello', bodyLength: 100_000, headers: { host: 'server' } },
    })
    expect(answer.echo?.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/client')
    expect(answer.echo?.headers).not.toHaveProperty('x-heddle-dst')
  })

  test('HTTP/2', async () => {
    const answer = await mesh.request('client', 'http://server/hello', { version: '2' })
    expect(answer).toMatchObject({ status: 200, echo: { protocol: 'HTTP/2.0' } })
  })

  test('WebSocket', async () => {
    expect(await mesh.websocket('client', 'ws://server/', ['one', 'two'])).toEqual(['one', 'two'])
  })

  test('gRPC', async () => {
    const answer = await mesh.grpc('client', 'server:9090', { messages: [{ n: 1 }] })
    expect(answer).toMatchObject({
      code: 0,
      messages: [{ instance: 'server', message: { n: 1 } }],
      trailers: { 'x-trailer': 'status 0' },
    })
    const stream = await mesh.grpc('client', 'server:9090', { method: 'Stream', messages: [1, 2, 3] })
    expect(stream.messages).toEqual([1, 2, 3].map((message) => ({ instance: 'server', message })))
  })

  test('TCP', async () => {
    const answer = await mesh.tcp('client', 'server', 9000, { send: 'hello', until: 'hello' })
    expect(answer.data).toBe('server: hello')
    const banner = await mesh.tcp('client', 'server', 9001, { until: 'ready' })
    expect(banner.data).toBe('220 server ready\r\n')
  })

  test('what arrived is known', () => {
    expect(mesh.received('server')).toContainEqual(expect.objectContaining({ kind: 'http', path: '/hello' }))
  })
})
