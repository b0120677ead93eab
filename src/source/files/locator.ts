// Where the fields of a document stand, found only when someone asks: positions are for messages to people.

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Document, type Pair } from 'yaml'
import type { Position } from '../../catalog/change.ts'
import { parseYaml, startOf } from './document.ts'

/** Finds fields of a document. What it parses for that is kept only as long as memory allows. */
export class Locator {
  readonly #text: string
  readonly #firstLine: number
  #parsed: WeakRef<Parsed> | undefined

  /** @param firstLine the line of the file at which the text begins, counted from 1 */
  constructor(text: string, firstLine: number) {
    this.#text = text
    this.#firstLine = firstLine
  }

  /** The place of a field, or of its nearest enclosing field that is there. For maps that of the key, for lists that of the item. */
  at(path: readonly (string | number)[]): Position {
    const { document } = this.#parse()
    let node: unknown = document?.contents
    let offset = startOf(node)
    for (const segment of path) {
      if (isAlias(node) && document !== undefined) node = node.resolve(document)
      if (isMap(node)) {
        const pair: Pair | undefined = node.items.find(
          ({ key }) => isScalar(key) && String(key.value) === String(segment),
        )
        if (pair === undefined) break
        offset = startOf(pair.key)
        node = pair.value
      } else if (isSeq(node)) {
        const item: unknown = typeof segment === 'number' ? node.items[segment] : undefined
        if (item === undefined) break
        offset = startOf(item)
        node = item
      } else break
    }
    return this.place(offset)
  }

  /** The place of an offset in the text. */
  place(offset: number): Position {
    const { line, col } = this.#parse().lines.linePos(offset)
    return { line: this.#firstLine + Math.max(line, 1) - 1, column: Math.max(col, 1) }
  }

  #parse(): Parsed {
    let parsed = this.#parsed?.deref()
    if (parsed === undefined) {
      const lines = new LineCounter()
      let document: Document.Parsed | undefined
      try {
        document = parseYaml(this.#text, lines)
      } catch {
        // nested too deeply to be parsed: the beginning of the document is all that can be said
      }
      parsed = { document, lines }
      this.#parsed = new WeakRef(parsed)
    }
    return parsed
  }
}

interface Parsed {
  readonly document: Document.Parsed | undefined
  readonly lines: LineCounter
}
