// What the tests of this room share: a clock that only moves when told to, a store that replicas share, TLS between two
// SVIDs, and OpenSSL's opinion.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import type { AuthorityStore, Stored } from '../../src/identity/authority-store.ts'
import { OwnAuthority } from '../../src/identity/authority.ts'
import type { Clock } from '../../src/engine/clock.ts'
import { lifetimes, type Lifetimes } from '../../src/identity/lifetimes.ts'
import { identityMetrics, type IdentityMetrics } from '../../src/identity/metrics.ts'
import { Svids } from '../../src/identity/svids.ts'

export const DOMAIN = 'cluster.local'
export const CART = 'spiffe://cluster.local/ns/shop/sa/cart'
export const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
export const SECOND = 1000
export const DAY = 86_400_000

export class ManualClock implements Clock {
  #now: number
  readonly #timers = new Set<{ readonly time: number; readonly run: () => void }>()

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): Disposable {
    const timer = { time, run }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => this.#timers.delete(timer) }
  }

  /** When the next timer is due. */
  get next(): number | undefined {
    return this.#timers.size === 0 ? undefined : Math.min(...[...this.#timers].map(({ time }) => time))
  }

  /** Lets time pass, with every timer at its own moment; `settle` waits for what a timer started. */
  async advance(by: number, settle: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const end = this.#now + by
    for (;;) {
      const [due] = [...this.#timers].filter(({ time }) => time <= end).toSorted((a, b) => a.time - b.time)
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.time)
      due.run()
      await settle()
    }
    this.#now = end
  }
}

/** One stored state that several replicas share, as an API server would hold it. */
export class SharedStore implements AuthorityStore {
  readonly description = 'the shared store'
  stored: Stored | undefined
  /** Saving fails with this as long as it is set. */
  failure: Error | undefined
  saves = 0
  readonly #watchers = new Set<() => void>()

  load(): Promise<Stored | undefined> {
    return Promise.resolve(this.stored)
  }

  async save(text: string, from: string | undefined): Promise<string | undefined> {
    // others may come in between, as over a network
    await Promise.resolve()
    if (this.failure !== undefined) throw this.failure
    if (this.stored?.revision !== from) return undefined
    this.saves++
    this.stored = { text, revision: String(this.saves) }
    for (const watcher of this.#watchers) watcher()
    return this.stored.revision
  }

  watch(changed: () => void): Disposable {
    this.#watchers.add(changed)
    return { [Symbol.dispose]: () => this.#watchers.delete(changed) }
  }
}

/** A mesh whose certificates live seconds: a whole rotation of the root takes five minutes. */
export const FAST: Lifetimes = lifetimes(30 * SECOND, {
  issuer: 120 * SECOND,
  overlap: 60 * SECOND,
  root: 360 * SECOND,
  skew: 5 * SECOND,
})

export interface World extends Disposable {
  readonly clock: ManualClock
  readonly store: SharedStore
  readonly registry: Registry
  readonly metrics: IdentityMetrics
  readonly authority: OwnAuthority
  readonly svids: Svids
  readonly errors: unknown[]
  readonly advance: (by: number) => Promise<void>
}

export interface WorldOptions {
  readonly lives?: Lifetimes
  readonly clock?: ManualClock
  readonly store?: SharedStore
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { lives = lifetimes(), clock = new ManualClock(), store = new SharedStore() } = options
  const registry = new Registry()
  const metrics = identityMetrics(registry)
  const errors: unknown[] = []
  const authority = await OwnAuthority.open({
    trustDomain: DOMAIN,
    store,
    lifetimes: lives,
    clock,
    random: randomBytes,
    metrics,
    onError: (error) => errors.push(error),
  })
  const svids = new Svids({ authority, lifetimes: lives, clock, random: randomBytes, metrics })
  return {
    clock,
    store,
    registry,
    metrics,
    authority,
    svids,
    errors,
    advance: (by) => clock.advance(by, () => authority.settled()),
    [Symbol.dispose]: () => {
      svids[Symbol.dispose]()
      authority[Symbol.dispose]()
    },
  }
}

/** A value that must be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value is missing')
  return value
}

/** A folder for one test. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-identity-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const run = promisify(execFile)

/** What the openssl command prints. */
export async function openssl(...args: readonly string[]): Promise<string> {
  return (await run('openssl', args)).stdout
}

/** OpenSSL's verdict on a chain against roots at a time; undefined if it is fine, else its words. */
export async function opensslVerify(
  chain: string,
  roots: string,
  time: number,
  strict = true,
): Promise<string | undefined> {
  return withFolder(async (folder) => {
    const [chainFile, rootsFile] = [join(folder, 'chain.pem'), join(folder, 'roots.pem')]
    await writeFile(chainFile, chain)
    await writeFile(rootsFile, roots)
    const how = [...(strict ? ['-x509_strict'] : []), '-attime', String(Math.floor(time / 1000))]
    try {
      await openssl('verify', ...how, '-CAfile', rootsFile, '-untrusted', chainFile, chainFile)
      return undefined
    } catch (error) {
      return error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
    }
  })
}

/** One end of a mutual TLS connection. */
export interface Side {
  readonly chain: string
  readonly key: string
  readonly trusted: string
}

/** A TLS server whose certificate can be exchanged while it runs. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number
  use(side: Side): void
}

/** It sends the identity of its client, after `greeting`, and closes. */
export async function startServer(side: Side, greeting = ''): Promise<RunningServer> {
  const server = createServer({ ...contextOf(side), requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.on('error', () => {})
    const answer = `${greeting}${peerId(socket)}${greeting === '' ? '' : '\r\n\r\n'}`
    // a client that sends a request wants it to be read before the answer
    if (greeting === '') socket.end(answer)
    else socket.once('data', () => socket.end(answer))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    use: (next) => server.setSecureContext(contextOf(next)),
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

function contextOf({ chain, key, trusted }: Side): SecureContextOptions {
  return { cert: chain, key, ca: trusted, minVersion: 'TLSv1.2' }
}

/** Both identities as each end has verified the other; throws if either refuses. */
export async function handshake(port: number, client: Side): Promise<{ server: string; client: string }> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    cert: client.chain,
    key: client.key,
    ca: client.trusted,
    checkServerIdentity: () => undefined,
  })
  try {
    let seen = ''
    socket.on('data', (data: Buffer) => {
      seen += data.toString()
    })
    await once(socket, 'secureConnect')
    const server = peerId(socket)
    // under TLS 1.3 the server's refusal comes after the handshake
    await once(socket, 'end')
    return { server, client: seen }
  } finally {
    socket.destroy()
  }
}

function peerId(socket: TLSSocket): string {
  return socket.getPeerCertificate().subjectaltname?.replace('URI:', '') ?? ''
}
