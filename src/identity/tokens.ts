// Join tokens: how a standalone proxy proves which Workload it is for.
//
// A token is bound to one Workload when it is made, and that binding is all that counts: what a proxy says of itself, its
// node ID included, changes nothing. The registry keeps hashes only. Each token is a file of its own there, read whenever
// it is presented, so that what another process creates or revokes holds at once.

import { createHash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import * as z from 'zod'
import type { Clock, Random } from '../engine/clock.ts'
import type { StateDir } from './state-dir.ts'

/** A Workload by namespace and name. */
export interface WorkloadRef {
  readonly namespace: string
  readonly name: string
}

/** What may be printed of a token. */
export interface JoinTokenInfo {
  /** Public: the part of the token that names it. */
  readonly id: string
  readonly workload: WorkloadRef
  /** Milliseconds since the epoch. */
  readonly created: number
  /** Undefined: until it is revoked. */
  readonly expires: number | undefined
}

/** A token just made. The secret cannot be had again from the registry. What prints this shows no secret. */
export class JoinToken {
  readonly info: JoinTokenInfo
  readonly #secret: string

  constructor(info: JoinTokenInfo, secret: string) {
    this.info = info
    this.#secret = secret
  }

  /** What the proxy presents. */
  reveal(): string {
    return this.#secret
  }

  toJSON(): JoinTokenInfo {
    return this.info
  }

  [inspect.custom](): string {
    return `JoinToken ${inspect(this.info)}`
  }
}

export type TokenVerdict =
  | { readonly ok: true; readonly workload: WorkloadRef; /** It expires then. */ readonly until?: number }
  | { readonly ok: false; readonly reason: string }

export interface JoinTokensOptions {
  readonly stateDir: StateDir
  readonly clock: Clock
  readonly random: Random
}

const REGISTRY = 'tokens'
/** Where the secrets lie that a runner hands to its proxies, one file a Workload. */
const ISSUED = 'join'
/** Recognisable, so that scanners for leaked secrets (and our own `redact`) find it: `hjt_<id>_<secret>`. */
const FORM = /^hjt_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/
/** What may be a namespace or name: also what keeps a file name inside its folder. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

const entrySchema = z.object({
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  namespace: z.string(),
  name: z.string(),
  created: z.number(),
  expires: z.number().optional(),
})

export class JoinTokens {
  readonly #stateDir: StateDir
  readonly #clock: Clock
  readonly #random: Random

  constructor({ stateDir, clock, random }: JoinTokensOptions) {
    this.#stateDir = stateDir
    this.#clock = clock
    this.#random = random
  }

  /** Makes a token for one Workload, beside those that it may have. `expires`: milliseconds since the epoch. */
  async create(workload: WorkloadRef, { expires }: { readonly expires?: number } = {}): Promise<JoinToken> {
    checkWorkload(workload)
    const id = Buffer.from(this.#random(8)).toString('hex')
    const secret = `hjt_${id}_${Buffer.from(this.#random(32)).toString('base64url')}`
    const info: JoinTokenInfo = { id, workload, created: this.#clock.now(), expires }
    const entry: z.infer<typeof entrySchema> = {
      hash: hashOf(secret).toString('hex'),
      namespace: workload.namespace,
      name: workload.name,
      created: info.created,
      ...(expires === undefined ? {} : { expires }),
    }
    await this.#stateDir.write(registryFile(id), `${JSON.stringify(entry)}\n`)
    return new JoinToken(info, secret)
  }

  /** The token that the runner gives to the proxies of a Workload: the one kept for it if that is still good, else a new one. */
  async ensure(workload: WorkloadRef): Promise<JoinToken> {
    checkWorkload(workload)
    const file = issuedFile(workload)
    const kept = (await this.#stateDir.read(file))?.trim()
    if (kept !== undefined) {
      const info = await this.#verify(kept)
      if (typeof info !== 'string' && isSame(info.workload, workload)) return new JoinToken(info, kept)
    }
    const token = await this.create(workload)
    await this.#stateDir.write(file, `${token.reveal()}\n`)
    return token
  }

  /** The file of `ensure`, mode 0600. */
  fileOf(workload: WorkloadRef): string {
    checkWorkload(workload)
    return this.#stateDir.path(issuedFile(workload))
  }

  /** Who presents this token. `nodeId` is taken for the sake of the interface, and looked at for nothing. */
  async authenticate({ token }: { readonly token?: string; readonly nodeId: string }): Promise<TokenVerdict> {
    if (token === undefined || token === '') return { ok: false, reason: 'no join token was presented' }
    const info = await this.#verify(token)
    if (typeof info === 'string') return { ok: false, reason: info }
    return { ok: true, workload: info.workload, ...(info.expires === undefined ? {} : { until: info.expires }) }
  }

  /** By token ID. False if there is none. */
  async revoke(id: string): Promise<boolean> {
    if (!/^[0-9a-f]{16}$/.test(id) || (await this.#stateDir.read(registryFile(id))) === undefined) return false
    await this.#stateDir.remove(registryFile(id))
    return true
  }

  /** All tokens of a Workload that is no more; returns how many there were. */
  async revokeAll(workload: WorkloadRef): Promise<number> {
    const tokens = (await this.list()).filter((info) => isSame(info.workload, workload))
    for (const { id } of tokens) await this.revoke(id)
    await this.#stateDir.remove(issuedFile(workload))
    return tokens.length
  }

  /** All tokens, expired ones too, oldest first. */
  async list(): Promise<readonly JoinTokenInfo[]> {
    const infos: JoinTokenInfo[] = []
    for (const file of await this.#stateDir.list(REGISTRY)) {
      const entry = await this.#read(file.replace(/\.json$/, ''))
      if (entry !== undefined) infos.push(entry.info)
    }
    return infos.toSorted((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))
  }

  /** What the token is, or why it is refused. */
  async #verify(token: string): Promise<JoinTokenInfo | string> {
    const [, id] = FORM.exec(token) ?? []
    const entry = id === undefined ? undefined : await this.#read(id)
    // the comparison is made in any case: how long a refusal takes tells nothing of what was wrong
    const isEqual = timingSafeEqual(hashOf(token), entry?.hash ?? Buffer.alloc(32))
    if (id === undefined) return 'what was presented does not have the form of a join token'
    if (entry === undefined || !isEqual) return 'the join token is unknown or was revoked'
    const { expires } = entry.info
    if (expires !== undefined && this.#clock.now() >= expires) {
      return `the join token ${id} expired at ${new Date(expires).toISOString()}`
    }
    return entry.info
  }

  /** Undefined also for a file that somebody damaged: such a token is not good. */
  async #read(id: string): Promise<{ readonly info: JoinTokenInfo; readonly hash: Buffer } | undefined> {
    const text = await this.#stateDir.read(registryFile(id))
    if (text === undefined) return undefined
    const entry = entrySchema.safeParse(parseJson(text))
    if (!entry.success) return undefined
    const { hash, namespace, name, created, expires } = entry.data
    return { info: { id, workload: { namespace, name }, created, expires }, hash: Buffer.from(hash, 'hex') }
  }
}

function checkWorkload({ namespace, name }: WorkloadRef): void {
  if (!NAME.test(namespace) || !NAME.test(name)) throw new RangeError(`'${namespace}/${name}' cannot name a Workload`)
}

function registryFile(id: string): string {
  return `${REGISTRY}/${id}.json`
}

function issuedFile({ namespace, name }: WorkloadRef): string {
  return `${ISSUED}/${namespace}/${name}`
}

function isSame(a: WorkloadRef, b: WorkloadRef): boolean {
  return a.namespace === b.namespace && a.name === b.name
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
