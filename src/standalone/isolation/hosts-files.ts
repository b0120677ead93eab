/**
 * Names without a name server: one hosts file for each namespace, mounted over /etc/hosts in its workloads' places. A file is
 * rewritten where it lies, since a mount follows the file and not its name.
 */
import { chmod, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { HostEntry } from './isolation.ts'

const LOCALHOST = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'

/** The names of a Service as its own namespace and others know it, as in a cluster. */
function namesOf(entry: HostEntry, namespace: string): readonly string[] {
  if (entry.namespace === undefined) return [entry.name]
  const full = `${entry.name}.${entry.namespace}`
  const names = [full, `${full}.svc`, `${full}.svc.cluster.local`]
  return entry.namespace === namespace ? [entry.name, ...names] : names
}

/** Text of the hosts file of a namespace. */
export function renderHosts(entries: readonly HostEntry[], namespace: string): string {
  const lines = entries.flatMap((entry) =>
    entry.addresses.map((address) => `${address}\t${namesOf(entry, namespace).join(' ')}\n`),
  )
  return LOCALHOST + lines.join('')
}

export class HostsFiles {
  readonly #directory: string
  readonly #namespaces = new Set<string>()
  #entries: readonly HostEntry[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Path of the file of a namespace, which exists from then on and is kept up to date. */
  async file(namespace: string): Promise<string> {
    const path = join(this.#directory, namespace)
    if (!this.#namespaces.has(namespace)) {
      this.#namespaces.add(namespace)
      await this.#enqueue(async () => {
        await mkdir(this.#directory, { recursive: true, mode: 0o755 })
        await this.#write(namespace)
      })
    } else await this.#last
    return path
  }

  async set(entries: readonly HostEntry[]): Promise<void> {
    this.#entries = entries
    await this.#enqueue(async () => {
      for (const namespace of this.#namespaces) await this.#write(namespace)
    })
  }

  /** One write after the other, so that an older text never comes last. */
  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => undefined)
    return done
  }

  async #write(namespace: string): Promise<void> {
    const text = Buffer.from(renderHosts(this.#entries, namespace))
    const path = join(this.#directory, namespace)
    const file = await open(path, 'a+', 0o644).then(async (created) => {
      await created.close()
      return open(path, 'r+')
    })
    try {
      // one write and then the cut: a reader sees the old text or the new one, never an empty file
      await file.write(text, 0, text.length, 0)
      await file.truncate(text.length)
      await chmod(path, 0o644)
    } finally {
      await file.close()
    }
  }
}
