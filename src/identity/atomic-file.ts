// Replacing a file as a whole: after a crash there is the old one or the new one, never half of one.

import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Random } from '../engine/clock.ts'

export interface AtomicWriteOptions {
  readonly mode: number
  /** For the name of the temporary file. */
  readonly random: Random
  /** Gives the file to another user, as to an Envoy that runs under its own. Needs the right to do so. */
  readonly owner?: { readonly uid: number; readonly gid: number }
}

/** What the temporary files are called that a crash may leave behind. */
export const TEMPORARY_FILE = /^\..*\.tmp$/

/**
 * Writes beside the target, makes it durable, then renames over it: readers and watchers (Envoy's included) see the old
 * content or the new one. I/O errors are thrown and leave the old file as it was.
 */
export async function writeAtomically(
  path: string,
  content: string | Uint8Array,
  { mode, random, owner }: AtomicWriteOptions,
): Promise<void> {
  const suffix = Buffer.from(random(6)).toString('hex')
  const temporary = join(dirname(path), `.${basename(path)}.${suffix}.tmp`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      if (owner !== undefined) await file.chown(owner.uid, owner.gid)
      // explicitly, since the mode given to `open` is subject to the umask
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

/** The rename, too, must survive a power cut. Some file systems cannot do that for a directory: then it may not. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'EPERM', 'EISDIR')) throw error
  } finally {
    await directory.close()
  }
}

/** Undefined instead of the error that a file is not there. */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code)
}
