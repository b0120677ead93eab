/**
 * Names without a name server: one hosts file for the applications of each namespace, mounted over /etc/hosts in their places,
 * and one for the proxies. A proxy looks up hosts outside on its own account and must not find the mesh's addresses for
 * them, which lead back to itself. A file is rewritten where it lies, since a mount follows the file and not its name.
 */
import { chmod, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { HostEntry } from './isolation.ts'

/** No namespace is called so. */
const PROXIES = '.proxies'
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
  #outside: readonly HostEntry[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Path of the file that proxies see, which exists from then on and is kept up to date. */
  forProxies(): Promise<string> {
    return this.#file(PROXIES)
  }

  /** Path of the file that the applications of a namespace see, likewise. */
  forApplications(namespace: string): Promise<string> {
    return this.#file(namespace)
  }

  async #file(namespace: string): Promise<string> {
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

  /** What the mesh has names for. */
  async set(entries: readonly HostEntry[]): Promise<void> {
    this.#entries = entries
    await this.#rewrite()
  }

  /** What machines outside are called, to proxies and, where the mesh knows no such name, to applications. */
  async setOutside(entries: readonly HostEntry[]): Promise<void> {
    this.#outside = entries
    await this.#rewrite()
  }

  #rewrite(): Promise<void> {
    return this.#enqueue(async () => {
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
    const named = new Set(this.#entries.map(({ name }) => name))
    const outside = this.#outside.filter(({ name }) => namespace === PROXIES || !named.has(name))
    const inside = namespace === PROXIES ? [] : this.#entries
    const text = Buffer.from(renderHosts([...inside, ...outside], namespace))
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
