// Brings the catalog in line with folders of files, round by round. Each round looks at all files, reads those whose stamp
// changed and then stood still for a moment, and hands over what changed in one step.

import { setImmediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Catalog } from '../../catalog/catalog.ts'
import type { Declaration } from '../../catalog/change.ts'
import type { Clock } from '../../engine/clock.ts'
import { faultContent, type FileContent } from './content.ts'
import { held, suspicious, unfinished } from './hold.ts'
import { defaultLimits, type FileLimits } from './limits.ts'
import type { FileMetrics } from './metrics.ts'
import { readFile } from './read.ts'
import { glance, scan, type Scan, type Seen } from './scan.ts'

export interface FolderOptions {
  /** Folders, read recursively, and single files. */
  readonly paths: readonly string[]
  readonly catalog: Catalog
  readonly clock: Clock
  readonly limits?: Partial<FileLimits> | undefined
  readonly timing?: Partial<FolderTiming> | undefined
  /**
   * Plays the API server's part of filling in what objects leave open. Gets all objects of all files whenever any changed, and
   * answers one for each in the same order; where nothing is filled in, or nothing else than before, the same reference.
   */
  readonly admit?: ((objects: readonly unknown[]) => readonly unknown[]) | undefined
  readonly log?: Logger | undefined
  readonly metrics?: FileMetrics | undefined
}

/** All in milliseconds. */
export interface FolderTiming {
  /** How long a file stands still before it is read. */
  readonly settle: number
  /** How long a file that looks half written, or has gone, is given to become whole again. */
  readonly patience: number
  /** A file that never stands still is read after this. */
  readonly ceiling: number
  /** How often to look without any event. */
  readonly rescan: number
}

export const defaultTiming: FolderTiming = { settle: 25, patience: 250, ceiling: 1000, rescan: 2000 }

interface FileState {
  readonly source: string
  readonly stamp: string
  /** The last content that was taken. */
  readonly content: FileContent | undefined
  /** What the file is held to declare. */
  readonly declarations: readonly Declaration[]
  readonly held: boolean
  /** What the catalog was given for it. */
  handed: readonly Declaration[]
}

/** A change that was seen and not yet taken; the stamp of a file that has gone is empty. */
interface Pending {
  readonly stamp: string
  /** When this stamp was first seen. */
  readonly since: number
  /** When the file was first seen to differ from what was taken. */
  readonly first: number
  /** It was read, looks half written, and is looked at again only then. */
  readonly until?: number
}

export class FolderReader {
  readonly #options: FolderOptions
  readonly #limits: FileLimits
  readonly #timing: FolderTiming
  readonly #files = new Map<string, FileState>()
  readonly #pending = new Map<string, Pending>()
  #scan: Scan = { files: new Map(), faults: new Map(), watch: new Map(), complete: false }
  /** Sources of files that have gone, and when the first change was seen, until the catalog has it all. */
  #gone: string[] = []
  #since: number | undefined
  #slice = 0
  #scanTime = 0

  constructor(options: FolderOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#timing = { ...defaultTiming, ...options.timing }
  }

  /** Where a change may be seen. */
  get watch(): Scan['watch'] {
    return this.#scan.watch
  }

  /** How long the last look at everything took, in milliseconds. */
  get scanTime(): number {
    return this.#scanTime
  }

  /** False while a path cannot be looked at, so that what it holds is not known. */
  get complete(): boolean {
    return this.#scan.complete
  }

  /**
   * One look, at everything, or at some files and those that are yet to settle.
   * @param patient false to take what there is at once, as at the start
   * @returns when to look again for what is not taken yet; undefined if nothing is left
   */
  async round(patient: boolean, paths: ReadonlySet<string> | 'all'): Promise<number | undefined> {
    const glanced = paths === 'all' ? undefined : await glance(this.#scan, [...paths, ...this.#pending.keys()])
    const began = this.#options.clock.now()
    this.#scan = glanced ?? (await scan(this.#options.paths, this.#limits.files))
    const since = this.#options.clock.now()
    if (glanced === undefined) this.#scanTime = since - began
    const dues: number[] = []
    const taken: number[] = []
    const take = async (
      path: string,
      stamp: string,
      act: () => Promise<number | undefined>,
      wait: number,
    ): Promise<void> => {
      const pending = this.#pend(path, stamp)
      const settled = pending.until ?? Math.min(pending.since + wait, pending.first + this.#timing.ceiling)
      const due = patient ? settled : since
      const again = due > this.#options.clock.now() ? due : await act()
      if (again !== undefined) {
        this.#pending.set(path, { ...this.#pend(path, stamp), until: again })
        dues.push(again)
        return
      }
      this.#pending.delete(path)
      taken.push(pending.first)
    }
    for (const [path, seen] of this.#seen()) {
      if (this.#files.get(path)?.stamp === seen.stamp) this.#pending.delete(path)
      else await take(path, seen.stamp, () => this.#read(path, seen, patient), this.#timing.settle)
    }
    for (const [path, { source }] of this.#files) {
      if (this.#scan.files.has(path) || this.#scan.faults.has(path) || this.#isHidden(path)) continue
      const remove = (): Promise<undefined> => {
        this.#files.delete(path)
        this.#gone.push(source)
        return Promise.resolve(undefined)
      }
      await take(path, '', remove, this.#timing.patience)
    }
    if (taken.length > 0) this.#since = Math.min(this.#since ?? Infinity, ...taken)
    if (this.#since !== undefined) this.#hand(this.#since)
    return dues.length === 0 ? undefined : Math.min(...dues)
  }

  /** Files, and what could not be looked at. */
  *#seen(): Generator<[string, Seen]> {
    yield* this.#scan.files
    for (const [path, { source, message }] of this.#scan.faults) yield [path, { source, stamp: `fault: ${message}` }]
  }

  /** True for what is below a folder that could not be looked at. */
  #isHidden(path: string): boolean {
    return [...this.#scan.faults.keys()].some((fault) => path.startsWith(`${fault}/`))
  }

  #pend(path: string, stamp: string): Pending {
    const before = this.#pending.get(path)
    if (before?.stamp === stamp) return before
    const now = this.#options.clock.now()
    const pending = { stamp, since: now, first: before?.first ?? now }
    this.#pending.set(path, pending)
    return pending
  }

  /** Reads one file and takes or holds it; or says when to look again. */
  async #read(path: string, seen: Seen, patient: boolean): Promise<number | undefined> {
    const { clock, log, metrics } = this.#options
    const { source, stamp } = seen
    const state = this.#files.get(path)
    const before = state?.content
    const fault = this.#scan.faults.get(path)
    const options = { source, limits: this.#limits, before, pause: () => this.#pause() }
    const content = fault === undefined ? await readFile(path, seen, options) : faultContent(source, fault.message)
    if (content === undefined) return clock.now() + this.#timing.settle
    const pending = this.#pend(path, stamp)
    if (patient && suspicious(before, content)) {
      const due = Math.min(pending.since + this.#timing.patience, pending.first + this.#timing.ceiling)
      if (due > clock.now()) return due
    }
    const handed = state?.handed ?? []
    const reason = before?.whole === true ? unfinished(before, content) : undefined
    if (before === undefined || reason === undefined) {
      const { declarations } = content
      this.#files.set(path, { source, stamp, content, declarations, held: false, handed })
    } else {
      metrics?.refused()
      log?.warn({ source }, `${source} ${reason}; its last good content stays in force`)
      const declarations = held(source, before, content, reason)
      this.#files.set(path, { source, stamp, content: before, declarations, held: true, handed })
    }
    return undefined
  }

  /** Gives the catalog what differs from what it was given. */
  #hand(since: number): void {
    const { admit, catalog, clock, log, metrics } = this.#options
    const files = [...this.#files.values()].toSorted((a, b) => (a.source < b.source ? -1 : 1))
    const objects = files.flatMap(({ declarations }) => declarations.filter(isUpsert).map(({ object }) => object))
    const admitted = (admit?.(objects) ?? objects).values()
    const batch: [string, readonly Declaration[]][] = this.#gone.map((source) => [source, []])
    for (const file of files) {
      const next = file.declarations.map((declaration) =>
        declaration.op === 'upsert' ? withObject(declaration, admitted.next().value) : declaration,
      )
      const same = next.length === file.handed.length && next.every((one, at) => sameDeclaration(one, file.handed[at]))
      if (same) continue
      file.handed = next
      batch.push([file.source, next])
    }
    catalog.replaceSources(batch)
    this.#since = undefined
    this.#gone = []
    const seconds = (clock.now() - since) / 1000
    metrics?.reloaded(seconds)
    metrics?.files(files.length, files.filter((file) => file.held).length)
    log?.info({ files: batch.map(([source]) => source).slice(0, 20), seconds }, `${batch.length} files changed`)
  }

  /** Between documents: lets others have their turn once in a while. */
  async #pause(): Promise<void> {
    const now = this.#options.clock.now()
    if (now - this.#slice < 10) return
    await setImmediate()
    this.#slice = this.#options.clock.now()
  }
}

function isUpsert(declaration: Declaration): boolean {
  return declaration.op === 'upsert'
}

function withObject(declaration: Declaration, object: unknown): Declaration {
  return declaration.object === object ? declaration : { ...declaration, object }
}

/** The same object at the same place: origins are made anew with each reading of a file. */
function sameDeclaration(a: Declaration, b: Declaration | undefined): boolean {
  return a.op === b?.op && a.object === b.object && a.origin === b.origin
}
