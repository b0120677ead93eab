// A lock on a directory that ends with its process, however that ends: a Unix socket that the holder listens on.
//
// Binding is atomic, and the kernel refuses connections as soon as the holder is gone, also across containers that share
// the directory, where process numbers would say nothing. Only a socket left over from a crash is taken away.

import { link, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { hasCode, unlessMissing } from './atomic-file.ts'
import type { Random } from '../engine/clock.ts'
import { StateDirError } from './state-dir-error.ts'

const SOCKET = 'lock'
/** Whose lock it is, for messages only. */
const HOLDER = 'lock.pid'
/** `sun_path` has 104 to 108 bytes, depending on the system. */
const LONGEST_SOCKET_PATH = 100

/** Takes the lock or throws a StateDirError. */
export async function lockDirectory(directory: string, random: Random): Promise<AsyncDisposable> {
  const isLong = Buffer.byteLength(join(directory, SOCKET)) > LONGEST_SOCKET_PATH
  // Linux offers a short way to the same place
  const handle = isLong ? await open(directory, 'r') : undefined
  try {
    const path = join(handle === undefined ? directory : `/proc/self/fd/${handle.fd}`, SOCKET)
    const server = await acquire(path, directory, random)
    const holder = join(directory, HOLDER)
    await writeFile(holder, `${process.pid}\n`, { mode: 0o600 })
    return {
      [Symbol.asyncDispose]: async () => {
        await rm(holder, { force: true })
        await close(server)
        await handle?.close()
      },
    }
  } catch (error) {
    await handle?.close()
    throw error
  }
}

async function acquire(path: string, directory: string, random: Random): Promise<Server> {
  for (;;) {
    const server = await listen(path, directory)
    if (server !== undefined) return server
    await removeStale(path, `${path}.${Buffer.from(random(4)).toString('hex')}`, directory)
  }
}

/** Throws if the lock is held. Otherwise there is none when this returns, unless somebody was faster. */
async function removeStale(path: string, aside: string, directory: string): Promise<void> {
  if (await isHeld(path)) throw await inUse(directory)
  // two processes may both have seen a stale socket: only one renames that one, and looks at what it got
  const gone = (await unlessMissing(rename(path, aside).then(() => false))) ?? true
  if (gone) return
  const taken = await isHeld(aside)
  // if a third one has the place by now, giving it back is too late: all that is left is to stay out
  if (taken) await unlessExists(link(aside, path))
  await rm(aside, { force: true })
  if (taken) throw await inUse(directory)
}

async function unlessExists(promise: Promise<void>): Promise<void> {
  try {
    await promise
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

async function listen(path: string, directory: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen(path, resolve)
  try {
    await promise
  } catch (error) {
    if (hasCode(error, 'EADDRINUSE')) return undefined
    throw new StateDirError(
      'cannot-lock',
      `the state directory ${directory} cannot be locked (${error instanceof Error ? error.message : String(error)}): ` +
        'choose one on a file system that supports Unix sockets with --state-dir',
      { cause: error },
    )
  }
  server.unref()
  return server
}

async function isHeld(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', (error) => {
    if (hasCode(error, 'ECONNREFUSED', 'ENOENT')) resolve(false)
    // the holder is too busy to accept
    else if (hasCode(error, 'EAGAIN')) resolve(true)
    else reject(error)
  })
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  await promise
}

async function inUse(directory: string): Promise<StateDirError> {
  const pid = (await unlessMissing(readFile(join(directory, HOLDER), 'utf8')))?.trim()
  return new StateDirError(
    'in-use',
    `the state directory ${directory} is in use by another control plane${pid === undefined ? '' : ` (process ${pid})`}: ` +
      'stop that one first, or choose another directory with --state-dir',
  )
}
