// The server over real gRPC, on loopback and Unix sockets.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metadata, Client, ChannelCredentials, ServerCredentials, status as Status } from '@grpc/grpc-js'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startXdsServer, type XdsServer, type XdsServerOptions } from '../../src/xds/server.ts'
import type { Authenticator } from '../../src/xds/source.ts'
import { CLUSTER, ENDPOINTS, LISTENER } from '../../src/xds/types.ts'
import { encodeNode } from '../support/discovery.ts'
import { eventually } from '../support/eventually.ts'
import { selfSigned } from '../support/self-signed.ts'
import { DeltaClient, StateClient } from '../support/xds-client.ts'
import { GraphSource, nameOf } from './graph-source.ts'
import { ManualClock } from './harness.ts'

const insecure = ServerCredentials.createInsecure()

let source: GraphSource
let clock: ManualClock
let registry: Registry
let cleanup: AsyncDisposableStack
let directory: string

beforeEach(async () => {
  source = new GraphSource()
  clock = new ManualClock()
  registry = new Registry()
  cleanup = new AsyncDisposableStack()
  directory = await mkdtemp(join(tmpdir(), 'heddle-xds-'))
  cleanup.defer(() => rm(directory, { recursive: true, force: true }))
})

afterEach(() => cleanup.disposeAsync())

/** A token is the client's name; `until` follows it after a comma. */
const byToken: Authenticator<string> = {
  authenticate({ token, nodeId }) {
    if (token === undefined) return Promise.resolve({ ok: false, reason: 'no-token' })
    if (token === 'down') return Promise.reject(new Error('the API server is away'))
    const [client = '', until] = token.split(',')
    if (client !== nodeId) return Promise.resolve({ ok: false, reason: 'other-node' })
    return Promise.resolve({ ok: true, client, ...(until !== undefined && { until: Number(until) }) })
  },
}

async function start(options: Partial<XdsServerOptions<string>> = {}): Promise<XdsServer<string>> {
  const server = await startXdsServer<string>({
    source,
    clock,
    authenticator: byToken,
    listen: [{ address: '127.0.0.1:0', credentials: insecure }],
    metrics: registry,
    log: { debug() {}, info() {}, warn() {}, error: (fields) => expect.unreachable(JSON.stringify(fields)) },
    ...options,
  })
  return cleanup.use(server)
}

function client(
  server: XdsServer<string>,
  name: string,
  options: Partial<ConstructorParameters<typeof DeltaClient>[0]> = {},
) {
  const [address = ''] = server.addresses
  return cleanup.use(new DeltaClient({ address, token: name, node: encodeNode(name), ...options }))
}

async function metric(name: string, labels: Record<string, string> = {}): Promise<number> {
  const found = await registry.getSingleMetric(name)?.get()
  const matches = found?.values.filter((value) =>
    Object.entries(labels).every(([key, label]) => value.labels[key] === label),
  )
  return matches?.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN
}

describe('streams', () => {
  it('serves delta and state of the world, and tells who has what', async () => {
    source.set(CLUSTER, 'a', '1').list(CLUSTER, 'a').set(ENDPOINTS, 'a', '1')
    const server = await start()
    const one = client(server, 'one', { node: encodeNode('one', 61_000) }).connect()
    one.peer.wildcard(CLUSTER)
    one.peer.subscribe(ENDPOINTS, 'a')
    const [address = ''] = server.addresses
    const whole = new Set([CLUSTER, LISTENER])
    const other = cleanup
      .use(new StateClient({ address, token: 'other', node: encodeNode('other'), nameOf, whole }))
      .connect()
    other.peer.want(CLUSTER)
    await one.until(() => one.peer.has(CLUSTER).size === 1 && one.peer.has(ENDPOINTS).size === 1)
    await other.until(() => other.peer.has(CLUSTER).size === 1)
    await eventually(() => expect(source.acceptances).toHaveLength(3))
    const version = source.get(CLUSTER, 'a')?.version
    expect(server.clients()).toMatchObject([
      {
        client: 'one',
        nodeId: 'one',
        protocol: 'delta',
        connectedAt: clock.now(),
        types: [
          {
            type: CLUSTER,
            wildcard: true,
            subscribed: 0,
            resources: [{ name: 'a', sent: version, acknowledged: version }],
          },
          { type: ENDPOINTS, wildcard: false, subscribed: 1, pending: 0 },
        ],
      },
      { client: 'other', protocol: 'sotw' },
    ])
    expect(await metric('heddle_xds_streams')).toBe(2)
    one.drop()
    await eventually(() => expect(source.streams).toEqual(['+ one', '+ other', '- one']))
    expect(await metric('heddle_xds_streams', { protocol: 'delta' })).toBe(0)
  })

  it('resends nothing to a client that comes back', async () => {
    source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a')
    const one = client(await start(), 'one').connect()
    one.peer.wildcard(CLUSTER)
    one.peer.subscribe(CLUSTER, 'b')
    await one.until(() => one.peer.has(CLUSTER).size === 2)
    await one.reconnect().barrier()
    expect(one.peer.log).toEqual([])
    source.set(CLUSTER, 'a', '2').commit()
    await one.until(() => one.peer.log.length === 1)
    expect(one.peer.log[0]?.resources.map(({ name }) => name)).toEqual(['a'])
  })

  it('sends a change to its subscribers and not a byte to anybody else', async () => {
    const server = await start()
    const clients = Array.from({ length: 100 }, (_, index) => client(server, `client-${index}`).connect())
    for (const [index, one] of clients.entries()) {
      source.set(ENDPOINTS, `e${index}`, '1')
      one.peer.subscribe(ENDPOINTS, `e${index}`, 'shared')
    }
    source.set(ENDPOINTS, 'shared', '1').commit()
    await Promise.all(clients.map((one) => one.until(() => one.peer.has(ENDPOINTS).size === 2)))
    const before = clients.map(({ peer }) => peer.bytes)
    const pushes = await metric('heddle_xds_pushes_total')
    source.set(ENDPOINTS, 'e7', '2').commit()
    await clients[7]?.until(
      () => clients[7]?.peer.has(ENDPOINTS).get('e7')?.version === source.get(ENDPOINTS, 'e7')?.version,
    )
    expect(await metric('heddle_xds_pushes_total')).toBe(pushes + 1)
    source.set(ENDPOINTS, 'shared', '2').commit()
    const version = source.get(ENDPOINTS, 'shared')?.version
    await Promise.all(clients.map((one) => one.until(() => one.peer.has(ENDPOINTS).get('shared')?.version === version)))
    expect(await metric('heddle_xds_pushes_total', { type: 'ClusterLoadAssignment' })).toBe(pushes + 101)
    const grown = new Set(
      clients.flatMap(({ peer }, index) => (index === 7 ? [] : [peer.bytes - (before[index] ?? 0)])),
    )
    expect(grown.size).toBe(1)
    expect(await metric('heddle_xds_pending')).toBe(0)
  })

  it('serves over TLS', async () => {
    const { key, cert } = selfSigned('localhost')
    const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }
    const server = await start({
      listen: [{ address: '127.0.0.1:0', credentials: ServerCredentials.createSsl(null, [pair]) }],
    })
    source.set(CLUSTER, 'a', '1').list(CLUSTER, 'a')
    const credentials = ChannelCredentials.createSsl(Buffer.from(cert))
    const one = client(server, 'one', {
      credentials,
      channel: { 'grpc.ssl_target_name_override': 'localhost' },
    }).connect()
    one.peer.wildcard(CLUSTER)
    await one.until(() => one.peer.has(CLUSTER).size === 1)
    expect(one.peer.names(CLUSTER)).toEqual(['a'])
  })

  it('listens on a Unix socket, also where one was left behind by a process that was killed', async () => {
    const path = join(directory, 'xds.sock')
    const left = createServer()
    await new Promise<void>((resolve) => left.listen(path, resolve))
    const elsewhere = await start({ listen: [{ address: `unix:${path}`, credentials: insecure }] }).catch(
      (error: unknown) => error,
    )
    expect(elsewhere).toMatchObject({ message: expect.stringContaining('cannot serve discovery on unix:') })
    registry.clear()
    // closing removes the file, so it is made anew under a name that nobody listens on
    await new Promise((resolve) => left.close(resolve))
    await leaveSocket(path)
    const server = await start({ listen: [{ address: `unix:${path}`, credentials: insecure }] })
    source.set(CLUSTER, 'a', '1').list(CLUSTER, 'a')
    const one = client(server, 'one').connect()
    one.peer.wildcard(CLUSTER)
    await one.until(() => one.peer.has(CLUSTER).size === 1)
  })
})

describe('authentication', () => {
  it.each([
    ['no token', undefined, 'no-token', Status.UNAUTHENTICATED],
    ['the token of somebody else', 'two', 'other-node', Status.UNAUTHENTICATED],
    ['a token that has expired', 'one,1000', 'expired', Status.UNAUTHENTICATED],
    ['nobody to ask', 'down', 'unavailable', Status.UNAVAILABLE],
  ])('%s: sends nothing, and counts', async (_, token, reason, code) => {
    source.set(CLUSTER, 'a', '1').list(CLUSTER, 'a')
    const [address = ''] = (await start()).addresses
    const one = cleanup
      .use(new DeltaClient({ address, node: encodeNode('one'), ...(token !== undefined && { token }) }))
      .connect()
    one.peer.wildcard(CLUSTER)
    await one.until(() => one.ended !== undefined)
    expect(one.ended).toMatchObject({ code, details: `not authenticated: ${reason}` })
    expect(one.peer.received).toBe(0)
    expect(source.streams).toEqual([])
    expect(await metric('heddle_xds_auth_failures_total', { reason })).toBe(1)
  })

  it('ends a stream when what the client showed ends', async () => {
    const server = await start()
    const one = client(server, 'one', { token: `one,${clock.now() + 60_000}` }).connect()
    one.peer.wildcard(CLUSTER)
    await one.barrier()
    clock.advance(60_000)
    await one.until(() => one.ended !== undefined)
    expect(one.ended?.code).toBe(Status.OK)
    expect(server.clients()).toEqual([])
    expect(source.watches).toBe(0)
  })

  it('ends the streams of those whose leave is taken away', async () => {
    const server = await start()
    const [one, two] = [client(server, 'one').connect(), client(server, 'two').connect()]
    for (const each of [one, two]) {
      each.peer.wildcard(CLUSTER)
      await each.barrier()
    }
    expect(server.disconnect((name) => name === 'one')).toBe(1)
    await one.until(() => one.ended !== undefined)
    expect(one.ended?.code).toBe(Status.UNAUTHENTICATED)
    expect(server.clients().map((state) => state.client)).toEqual(['two'])
    await two.barrier()
  })

  it('lets an address have an authenticator of its own', async () => {
    const anybody: Authenticator<string> = {
      authenticate: ({ nodeId }) => Promise.resolve({ ok: true, client: `guest ${nodeId}` }),
    }
    const server = await start({
      listen: [
        { address: '127.0.0.1:0', credentials: insecure },
        { address: '127.0.0.1:0', credentials: insecure, authenticator: anybody },
      ],
    })
    const [, address = ''] = server.addresses
    const guest = cleanup.use(new DeltaClient({ address, node: encodeNode('x') })).connect()
    guest.peer.wildcard(CLUSTER)
    await guest.barrier()
    expect(server.clients().map((state) => state.client)).toEqual(['guest x'])
  })

  it('ends a call that says nothing', async () => {
    const server = await start()
    const one = client(server, 'one').connect()
    one.peer.closed()
    // the call reaches the server, which then waits for its first request
    await eventually(async () => {
      clock.advance(10_000)
      await Promise.resolve()
      expect(one.ended?.code).toBe(Status.DEADLINE_EXCEEDED)
    })
  })
})

describe('clients that behave badly', () => {
  it('ends a stream whose request cannot be read', async () => {
    const [address = ''] = (await start()).addresses
    const raw = new Client(address, ChannelCredentials.createInsecure())
    cleanup.defer(() => raw.close())
    const same = (bytes: Buffer): Buffer => bytes
    const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
    const call = raw.makeBidiStreamRequest(path, same, same, new Metadata(), {})
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)))
    call.on('error', () => {}).on('data', () => {})
    call.write(Buffer.from([0xff, 0xff]))
    expect(await ended).toBe(Status.INVALID_ARGUMENT)
  })

  it('ends a stream that asks for too many names', async () => {
    const one = client(await start({ mostNames: 10 }), 'one').connect()
    one.peer.subscribe(CLUSTER, ...Array.from({ length: 11 }, (_, index) => `c${index}`))
    await one.until(() => one.ended !== undefined)
    expect(one.ended?.code).toBe(Status.RESOURCE_EXHAUSTED)
    expect(source.watches).toBe(0)
  })

  it('ends the stream, and nothing else, of a client for whom the source fails', async () => {
    const failures: object[] = []
    const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => failures.push(fields) }
    const watch = source.watch.bind(source)
    source.watch = (name, type, resource, changed) => {
      if (resource === 'broken') throw new Error('a bug')
      return watch(name, type, resource, changed)
    }
    const server = await start({ log })
    const [one, two] = [client(server, 'one').connect(), client(server, 'two').connect()]
    two.peer.wildcard(CLUSTER)
    one.peer.subscribe(CLUSTER, 'broken')
    await one.until(() => one.ended !== undefined)
    expect(one.ended).toMatchObject({ code: Status.INTERNAL, details: 'internal error' })
    expect(failures).toHaveLength(1)
    await two.barrier()
  })

  it('does not gather what a client that does not read should be sent', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `e${index}`)
    const change = (round: number): void => {
      for (const name of names) source.set(ENDPOINTS, name, `${round}${'.'.repeat(20_000)}`)
      source.commit()
    }
    change(0)
    const server = await start()
    const [slow, quick] = [client(server, 'slow').connect(), client(server, 'quick').connect()]
    for (const each of [slow, quick]) {
      each.peer.subscribe(ENDPOINTS, ...names)
      await each.until(() => each.peer.has(ENDPOINTS).size === names.length)
    }
    slow.pause()
    const version = (): string | undefined => source.get(ENDPOINTS, 'e0')?.version
    for (let round = 1; round <= 60; round++) {
      change(round)
      await quick.until(() => quick.peer.has(ENDPOINTS).get('e0')?.version === version())
    }
    const bytes = await metric('heddle_xds_push_bytes_total')
    // 24 MB went to the one that reads
    expect(bytes).toBeGreaterThan(24_000_000)
    expect(bytes).toBeLessThan(24_000_000 + 5_000_000)
    expect(await metric('heddle_xds_pending')).toBeGreaterThan(0)
    slow.resume()
    await slow.until(() =>
      names.every((name) => slow.peer.has(ENDPOINTS).get(name)?.version === source.get(ENDPOINTS, name)?.version),
    )
  })
})

describe('shutting down', () => {
  it('ends all streams and stops listening', async () => {
    const end = new AbortController()
    const server = await start({ signal: end.signal })
    const one = client(server, 'one').connect()
    one.peer.wildcard(CLUSTER)
    await one.barrier()
    end.abort()
    await one.until(() => one.ended !== undefined)
    expect(one.ended?.code).toBe(Status.UNAVAILABLE)
    expect(source.watches).toBe(0)
    one.drop()
    const port = Number(server.addresses[0]?.split(':')[1])
    await eventually(() => expect(canConnect(port)).resolves.toBe(false))
  })

  it('cuts what does not end by itself', async () => {
    const server = await start()
    const one = client(server, 'one').connect()
    one.peer.wildcard(CLUSTER)
    await one.barrier()
    let closed = false
    const closing = server[Symbol.asyncDispose]().then(() => (closed = true))
    await eventually(() => {
      clock.advance(1_000)
      expect(closed).toBe(true)
    })
    await closing
  })
})

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** A socket file that nobody listens on: its listener's process was killed. */
async function leaveSocket(path: string): Promise<void> {
  const { spawn } = await import('node:child_process')
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await new Promise((resolve) => spawn(process.execPath, ['-e', script]).once('exit', resolve))
}
