import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import { inspect } from 'node:util'
import {
  credentials,
  makeClientConstructor,
  Metadata,
  Server,
  type Client,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { keepBundleFile } from '../../src/identity/bundle-file.ts'
import { RotatingServerCredentials } from '../../src/identity/server-credentials.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { FAST, ManualClock, openWorld, present, SECOND, withFolder, type World } from './world.ts'

const ID = 'spiffe://cluster.local/ns/heddle-system/sa/heddle'

const identity = (bytes: Buffer): Buffer => bytes
const service: ServiceDefinition = {
  echo: {
    path: '/test.Echo/Echo',
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
}

interface Running extends Disposable {
  readonly port: number
  readonly credentials: RotatingServerCredentials
}

async function serve(world: World): Promise<Running> {
  const own = new RotatingServerCredentials(world.svids, { id: ID, dns: ['localhost'], ip: ['127.0.0.1'] })
  const server = new Server()
  server.addService(service, {
    echo: (call: NodeJS.ReadWriteStream) => {
      call.on('data', (data: Buffer) => call.write(data))
      call.on('end', () => call.end())
    },
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  server.bindAsync('127.0.0.1:0', own, (error, port) => (error === null ? resolve(port) : reject(error)))
  return {
    port: await promise,
    credentials: own,
    [Symbol.dispose]: () => {
      server.forceShutdown()
      own[Symbol.dispose]()
    },
  }
}

interface Stream extends Disposable {
  say(text: string): Promise<string>
}

/** A connection of its own, and one stream on it. */
function dial(port: number, roots: string): Stream {
  const Dialled = makeClientConstructor(service, 'test.Echo')
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.ssl_target_name_override': 'localhost' }
  const client: Client = new Dialled(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(roots)), options)
  const call = client.makeBidiStreamRequest('/test.Echo/Echo', identity, identity, new Metadata())
  const failed = once(call, 'error').then(([error]) => Promise.reject(error as Error))
  failed.catch(() => {})
  return {
    say: async (text) => {
      const answer = once(call, 'data')
      answer.catch(() => {})
      call.write(Buffer.from(text))
      const [data] = (await Promise.race([answer, failed])) as [Buffer]
      return data.toString()
    },
    [Symbol.dispose]: () => {
      call.cancel()
      client.close()
    },
  }
}

async function peer(port: number, options: Parameters<typeof connect>[1] = {}): Promise<PeerCertificate> {
  const socket = connect(port, '127.0.0.1', { ALPNProtocols: ['h2'], rejectUnauthorized: false, ...options })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate()
  } finally {
    socket.destroy()
  }
}

describe('the gRPC port', () => {
  it('has a certificate for its identity, names and addresses', async () => {
    using world = await openWorld({ clock: new ManualClock(Date.now()) })
    using server = await serve(world)
    const ca = world.authority.bundle.pem
    const certificate = await peer(server.port, { ca, rejectUnauthorized: true, host: '127.0.0.1' })
    expect(certificate.subjectaltname).toBe(`URI:${ID}, DNS:localhost, IP Address:127.0.0.1`)
    await peer(server.port, { ca, rejectUnauthorized: true, servername: 'localhost' })
    await expect(peer(server.port, { ca, rejectUnauthorized: true, servername: 'other' })).rejects.toThrow('altnames')
  })

  it('exchanges its certificate through all rotations while it runs; open streams go on', async () => {
    // as the rotation test: TLS looks at the real time
    const lives = { ...FAST, skew: 365 * 86_400 * SECOND }
    using world = await openWorld({ lives, clock: new ManualClock(Date.now()) })
    using server = await serve(world)
    using old = dial(server.port, world.authority.bundle.pem)
    expect(await old.say('first')).toBe('first')
    const seen = new Set<string>()
    const first = world.authority.root.id
    for (let round = 0; round < 40; round++) {
      await world.advance(10 * SECOND)
      const { pem } = world.authority.bundle
      using fresh = dial(server.port, pem)
      expect(await fresh.say('hello')).toBe('hello')
      expect(await old.say(`still ${round}`)).toBe(`still ${round}`)
      seen.add((await peer(server.port)).serialNumber)
    }
    expect(seen.size).toBeGreaterThan(20)
    expect(world.authority.root.id).not.toBe(first)
  })

  it('takes TLS 1.2 and 1.3, and nothing older or weaker', async () => {
    using world = await openWorld({ clock: new ManualClock(Date.now()) })
    using server = await serve(world)
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      await peer(server.port, { minVersion: version, maxVersion: version })
    }
    const older = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(peer(server.port, older)).rejects.toThrow(/protocol version|closed|reset/i)
    const weaker = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const
    await expect(peer(server.port, weaker)).rejects.toThrow(/handshake failure|closed|reset/i)
    // after an exchange too
    await world.advance(86_400 * SECOND)
    await expect(peer(server.port, older)).rejects.toThrow(/protocol version|closed|reset/i)
  })

  it('shows no key when it is printed', async () => {
    using world = await openWorld({ clock: new ManualClock(Date.now()) })
    using server = await serve(world)
    await world.advance(86_400 * SECOND)
    const shown = inspect(server.credentials, { depth: 20, showHidden: true }) + JSON.stringify(server.credentials)
    expect(shown).toContain(ID)
    expect(shown).not.toContain('PRIVATE KEY')
    expect(shown).not.toMatch(/key:/)
  })
})

describe('the bundle as a file', () => {
  it('is written at the start and at each change of the roots', async () => {
    await withFolder(async (folder) => {
      await using stateDir = await StateDir.open(join(folder, 'state'), { lock: true, random: randomBytes })
      using world = await openWorld({ lives: FAST })
      const { authority, metrics } = world
      const errors: unknown[] = []
      using file = await keepBundleFile({ authority, stateDir, metrics, onError: (error) => errors.push(error) })
      expect(file.path).toBe(stateDir.path('bundle.pem'))
      const contents: string[] = []
      for (const by of [0, 185, 60, 60]) {
        await world.advance(by * SECOND)
        await file.settled()
        expect(await readFile(file.path, 'utf8')).toBe(authority.bundle.pem)
        contents.push(present(authority.bundle.pem))
      }
      expect(new Set(contents).size).toBe(3)
      expect(errors).toEqual([])

      // what cannot be written is told, and tried again at the next change
      await rm(file.path)
      await mkdir(join(file.path, 'in the way'), { recursive: true })
      await authority.rotateRoot()
      await file.settled()
      expect(errors).toHaveLength(1)
      await rm(file.path, { recursive: true })
      await authority.rotateIssuer()
      await file.settled()
      expect(await readFile(file.path, 'utf8')).toBe(authority.bundle.pem)
    })
  })
})
