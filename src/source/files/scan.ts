// Which files there are, found by looking: events of a file system get lost, what stands there does not. A file's stamp differs
// whenever its content may. Symbolic links are followed, so the folders that a ConfigMap mounts and that git-sync swaps work;
// names that begin with a dot are passed over, as editors and ConfigMaps keep what is theirs there.

import type { BigIntStats, Dirent } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

export interface Seen {
  /** As it is shown to people: the root as given, and the way from there. */
  readonly source: string
  readonly stamp: string
}

export interface Scan {
  /** By absolute path. */
  readonly files: ReadonlyMap<string, Seen>
  /** What could not be looked at, by absolute path: whatever was known of it, and below it, is as it was. */
  readonly faults: ReadonlyMap<string, Fault>
  /** True if every root could be looked at. */
  readonly complete: boolean
  /** Folders in which a change may be seen; where names are given, of those entries alone. */
  readonly watch: ReadonlyMap<string, ReadonlySet<string> | 'all'>
}

export interface Fault {
  readonly source: string
  readonly message: string
}

/** Looks at folders, recursively, and single files. */
export async function scan(roots: readonly string[], most: number): Promise<Scan> {
  const scanner = new Scanner(most)
  for (const root of roots) await scanner.root(root)
  return scanner
}

/**
 * Looks again at some files that are known, and at nothing else: the scan as it is now, or undefined if one of them is no longer
 * the plain file that it was, so that only a whole scan can tell.
 */
export async function glance(before: Scan, paths: Iterable<string>): Promise<Scan | undefined> {
  const files = new Map(before.files)
  for (const path of paths) {
    const seen = files.get(path)
    if (seen === undefined) return undefined
    try {
      const stats = await lstat(path, { bigint: true })
      if (!stats.isFile()) return undefined
      files.set(path, { ...seen, stamp: stampOf(stats) })
    } catch {
      return undefined
    }
  }
  const { faults, watch, complete } = before
  return { files, faults, watch, complete }
}

type Found = { readonly stats: BigIntStats; readonly target: string | undefined } | Error

/** What stands at a path; of a link what it leads to. */
async function look(path: string, mayBeLink: boolean): Promise<Found> {
  try {
    const stats = await stat(path, { bigint: true })
    const isLink = mayBeLink && (await lstat(path)).isSymbolicLink()
    return { stats, target: isLink ? await realpath(path) : undefined }
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  }
}

const isNamed = (path: string): boolean => /\.(?:ya?ml|json)$/.test(path)
const atOnce = 64

class Scanner implements Scan {
  readonly files = new Map<string, Seen>()
  readonly faults = new Map<string, Fault>()
  readonly watch = new Map<string, Set<string> | 'all'>()
  complete = true
  readonly #visited = new Set<string>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  async root(root: string): Promise<void> {
    const path = resolve(root)
    // the root itself may be replaced, which only its parent sees
    this.#watchName(path)
    await this.#take(path, root, true, await look(path, true))
    if (this.faults.has(path)) this.complete = false
  }

  async #take(path: string, source: string, isRoot: boolean, found: Found): Promise<void> {
    const named = isRoot || isNamed(path)
    if (found instanceof Error) {
      if (named) this.#fail(path, source, reasonOf(found))
      return
    }
    const { stats, target } = found
    if (!stats.isDirectory() && !named) return
    if (target !== undefined) this.#watchName(target)
    if (stats.isDirectory()) await this.#folder(path, source, `${stats.dev}:${stats.ino}`)
    else if (!stats.isFile()) this.#fail(path, source, 'is neither a file nor a folder. Mend: remove it or rename it')
    else if (this.files.size < this.#most) this.files.set(path, { source, stamp: stampOf(stats) })
    else this.#fail(path, source, `is one more than ${this.#most} files, which are all that is read (files)`)
  }

  #watchName(path: string): void {
    const names = this.watch.get(dirname(path)) ?? new Set()
    if (names !== 'all') this.watch.set(dirname(path), names.add(basename(path)))
  }

  async #folder(path: string, source: string, id: string): Promise<void> {
    // a link to a folder that was already looked at, perhaps one that it is in
    if (this.#visited.has(id)) return
    this.#visited.add(id)
    this.watch.set(path, 'all')
    let entries: Dirent[]
    try {
      entries = (await readdir(path, { withFileTypes: true })).toSorted(byName)
    } catch (thrown) {
      this.#fail(path, source, reasonOf(thrown))
      return
    }
    const wanted = entries.filter((entry) => !entry.name.startsWith('.') && (!entry.isFile() || isNamed(entry.name)))
    for (let at = 0; at < wanted.length; at += atOnce) {
      const some = wanted.slice(at, at + atOnce)
      const found = await Promise.all(some.map((entry) => look(join(path, entry.name), entry.isSymbolicLink())))
      for (const [index, one] of found.entries()) {
        const name = some[index]?.name ?? ''
        await this.#take(join(path, name), join(source, name), false, one)
      }
    }
  }

  #fail(path: string, source: string, message: string): void {
    this.faults.set(path, { source, message })
  }
}

export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'is not there, or links to what is not. Mend: create it, or remove the link',
  EACCES: 'may not be read. Mend: grant read permission',
  EPERM: 'may not be read. Mend: grant read permission',
  ELOOP: 'is a link in a circle. Mend: remove it',
  ENOTDIR: 'is below something that is no folder',
}

/** Why something could not be read, in words. */
export function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  return reasons[code] ?? `cannot be read (${code === '' ? String(thrown) : code})`
}
