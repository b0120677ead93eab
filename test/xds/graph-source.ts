// A resource source over a real graph, small enough to steer by hand: contents and lists are rows of tables.
import { createHash } from 'node:crypto'
import { Graph } from '../../src/engine/graph.ts'
import type { Refusal, Resource, ResourceRef, ResourceSource } from '../../src/xds/source.ts'

export interface Content {
  readonly text: string
  /** In place of name and text: a real message. */
  readonly bytes?: Uint8Array
  readonly requires?: readonly ResourceRef[]
  readonly followedBy?: readonly ResourceRef[]
}

/** What a resource holds is `name` and `text`, so that a client without envelopes can tell names too. */
export function resourceOf(name: string, content: Content): Resource {
  const bytes = content.bytes ?? Buffer.from(`${name}\n${content.text}`)
  return {
    name,
    version: createHash('sha256').update(bytes).digest('base64url').slice(0, 12),
    bytes,
    requires: content.requires ?? [],
    ...(content.followedBy !== undefined && { followedBy: content.followedBy }),
  }
}

export const nameOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString().split('\n')[0] ?? ''

export const ref = (type: string, name: string): ResourceRef => ({ type, name })

export class GraphSource implements ResourceSource<string> {
  readonly graph = new Graph()
  readonly refusals: (Refusal & { client: string })[] = []
  readonly acceptances: string[] = []
  readonly asks: string[] = []
  readonly streams: string[] = []
  /** Watches that are open. */
  watches = 0
  readonly #contents = this.graph.table<Content>('contents')
  readonly #lists = this.graph.table<readonly string[]>('lists')
  readonly #resource = this.graph.derive<Resource | undefined>(
    'resource',
    (key) => {
      const content = this.#contents.get(key)
      return content === undefined ? undefined : resourceOf(key.slice(key.indexOf(' ') + 1), content)
    },
    (a, b) => a?.version === b?.version,
  )
  readonly #names = this.graph.derive<readonly string[]>('names', (type) => this.#lists.get(type) ?? [])

  /** Takes effect with the next `commit`. */
  set(type: string, name: string, text: string, more: Omit<Content, 'text'> = {}): this {
    this.#contents.set(`${type} ${name}`, { text, ...more })
    return this
  }

  /** A real message. */
  put(type: string, name: string, bytes: Uint8Array, more: Omit<Content, 'text' | 'bytes'> = {}): this {
    return this.set(type, name, '', { ...more, bytes })
  }

  remove(type: string, name: string): this {
    this.#contents.delete(`${type} ${name}`)
    return this
  }

  list(type: string, ...names: string[]): this {
    this.#lists.set(type, names)
    return this
  }

  commit(): this {
    this.graph.commit()
    return this
  }

  get(type: string, name: string): Resource | undefined {
    return this.#resource.get(`${type} ${name}`)
  }

  names(type: string): readonly string[] {
    return this.#names.get(type)
  }

  watch(_client: string, type: string, name: string, changed: () => void) {
    return this.#counted(this.graph.watch(this.#resource, `${type} ${name}`, changed))
  }

  watchNames(_client: string, type: string, changed: () => void) {
    return this.#counted(this.graph.watch(this.#names, type, changed))
  }

  refused(client: string, refusal: Refusal): void {
    this.refusals.push({ client, ...refusal })
  }

  accepted(_client: string, type: string, name: string, version: string): void {
    this.acceptances.push(`${type} ${name} ${version}`)
  }

  asked(_client: string, type: string, name: string, found: boolean): void {
    this.asks.push(`+ ${type} ${name} ${found ? 'found' : 'missing'}`)
  }

  released(_client: string, type: string, name: string): void {
    this.asks.push(`- ${type} ${name}`)
  }

  connected(client: string): void {
    this.streams.push(`+ ${client}`)
  }

  disconnected(client: string): void {
    this.streams.push(`- ${client}`)
  }

  #counted<T>(watch: { readonly value: T } & Disposable): { readonly value: T } & Disposable {
    this.watches++
    return {
      get value() {
        return watch.value
      },
      [Symbol.dispose]: () => {
        this.watches--
        watch[Symbol.dispose]()
      },
    }
  }
}
