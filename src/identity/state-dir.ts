// The state directory: what a standalone control plane keeps between runs (CA, join tokens, warm set, addresses).
//
// It holds private keys, so nobody but its owner may enter it. A lock keeps a second process out, since both would rotate
// keys and overwrite each other's files.

import { chmod, mkdir, readdir, readFile, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { hasCode, TEMPORARY_FILE, unlessMissing, writeAtomically } from './atomic-file.ts'
import type { Random } from '../engine/clock.ts'
import { StateDirError } from './state-dir-error.ts'
import { lockDirectory } from './state-lock.ts'

export interface StateDirOptions {
  /** False for commands that only look or add a file: they may run beside the process that holds the lock. */
  readonly lock: boolean
  readonly random: Random
}

/** Folders are 0700, files 0600 unless told otherwise. Names are relative, with `/` between folders. */
export class StateDir implements AsyncDisposable {
  readonly #root: string
  readonly #random: Random
  readonly #lock: AsyncDisposable | undefined

  private constructor(root: string, random: Random, lock: AsyncDisposable | undefined) {
    this.#root = root
    this.#random = random
    this.#lock = lock
  }

  /** Makes the directory if it is missing. Throws a StateDirError that says how to mend it if it cannot be used. */
  static async open(path: string, { lock, random }: StateDirOptions): Promise<StateDir> {
    const root = await prepare(resolve(path))
    const held = lock ? await lockDirectory(root, random) : undefined
    // what a crash left half-written; only under the lock, or it could be another process's work
    if (lock) await sweep(root)
    return new StateDir(root, random, held)
  }

  /** The absolute path of a name. Throws a RangeError if it leads out of the directory. */
  path(name = ''): string {
    const path = resolve(this.#root, name)
    if (path !== this.#root && !path.startsWith(this.#root + sep)) {
      throw new RangeError(`'${name}' is not inside the state directory`)
    }
    return path
  }

  /** Undefined if there is no such file. */
  async read(name: string): Promise<string | undefined> {
    return unlessMissing(readFile(this.path(name), 'utf8'))
  }

  /** Replaces or creates a file atomically and durably, with the folders above it. */
  async write(name: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
    const path = this.path(name)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeAtomically(path, content, { mode, random: this.#random })
  }

  /** Removes a file or a folder with all that is in it; nothing happens if there is none. */
  async remove(name: string): Promise<void> {
    const path = this.path(name)
    if (path === this.#root) throw new RangeError('the state directory itself is not removed')
    await rm(path, { recursive: true, force: true })
  }

  /** The names in a folder, sorted; empty if there is none. */
  async list(folder = ''): Promise<readonly string[]> {
    const names = (await unlessMissing(readdir(this.path(folder)))) ?? []
    return names.filter((name) => !TEMPORARY_FILE.test(name)).toSorted()
  }

  /** Lets others have the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock?.[Symbol.asyncDispose]()
  }
}

/** The real path of a directory that exists and that nobody else may enter. */
async function prepare(path: string): Promise<string> {
  const created = await create(path)
  const real = await realpath(path)
  // the umask may have taken away more than it should
  if (created) await chmod(real, 0o700)
  const { uid, mode } = await stat(real)
  const self = process.geteuid?.()
  if (self !== undefined && uid !== self) {
    throw new StateDirError(
      'not-owned',
      `the state directory ${path} belongs to user ${uid}, but this process runs as user ${self}: ` +
        `run as that user, choose another directory with --state-dir, or \`chown ${self} ${path}\``,
    )
  }
  if ((mode & 0o077) !== 0) {
    throw new StateDirError(
      'too-open',
      `the state directory ${path} holds private keys, but its mode ${(mode & 0o777).toString(8).padStart(4, '0')} ` +
        `lets other users in: \`chmod 0700 ${path}\`; if others may have read it, remove it, so that new keys are made`,
    )
  }
  return real
}

async function create(path: string): Promise<boolean> {
  try {
    return (await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined
  } catch (error) {
    if (hasCode(error, 'EEXIST', 'ENOTDIR')) {
      throw new StateDirError('not-a-directory', `${path} cannot be the state directory: a file is in the way`)
    }
    const reason = error instanceof Error ? error.message : String(error)
    throw new StateDirError('cannot-create', `the state directory ${path} cannot be made: ${reason}`, { cause: error })
  }
}

async function sweep(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await sweep(path)
    else if (TEMPORARY_FILE.test(entry.name)) await rm(path, { force: true })
  }
}
