// Reading one file, whole and unchanged meanwhile, and never more of it than the limits allow.

import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { faultContent, peekContent, readContent, type ContentOptions, type FileContent } from './content.ts'
import { reasonOf, stampOf, type Seen } from './scan.ts'

/** How much of a file over the limit is searched for the names of objects, as a multiple of the limit. */
const searched = 16

/** What a file says; undefined if it changed before or while it was read. */
export async function readFile(path: string, seen: Seen, options: ContentOptions): Promise<FileContent | undefined> {
  let handle: FileHandle
  try {
    // non-blocking: it may have become a pipe meanwhile
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    return faultContent(seen.source, reasonOf(thrown))
  }
  try {
    const { fileBytes } = options.limits
    const before = await handle.stat({ bigint: true })
    if (stampOf(before) !== seen.stamp) return undefined
    const size = Number(before.size)
    const bytes = await readBytes(handle, Math.min(size, fileBytes * searched))
    if (stampOf(await handle.stat({ bigint: true })) !== seen.stamp) return undefined
    if (size <= fileBytes) return await readContent(bytes, options)
    const message = `got a file of ${size} bytes; expected at most ${fileBytes} (fileBytes). Mend: split it`
    return peekContent(bytes, seen.source, message)
  } catch (thrown) {
    return faultContent(seen.source, reasonOf(thrown))
  } finally {
    await handle.close()
  }
}

async function readBytes(handle: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
