// Where a folder's state lies unless told otherwise: below the user's own state folder (XDG Base Directory), by the folder's path.
import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { basename, join, resolve } from 'node:path'

export function defaultStateDir(path: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const folder = resolve(path)
  const own = env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state')
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 8)
  return join(own, 'heddle', `${basename(folder)}-${hash}`)
}
