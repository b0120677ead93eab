// The demo's live table: redrawn in place on a terminal; elsewhere each line once, when it is settled.
import type { WriteStream } from 'node:tty'

export interface Line {
  readonly title: string
  /** undefined while it is still being watched. */
  readonly held: boolean | undefined
  readonly detail: string
}

const MARKS = { true: '\u001B[32m✓\u001B[0m', false: '\u001B[31m✗\u001B[0m', undefined: '\u001B[33m…\u001B[0m' }
const PLAIN = { true: 'ok  ', false: 'FAIL', undefined: '... ' }

export class Screen {
  readonly #out: NodeJS.WriteStream | WriteStream
  readonly #said = new Set<string>()
  #height = 0

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  /** A sentence, above the table. */
  say(text: string): void {
    this.#clear()
    this.#out.write(`${text}\n`)
  }

  /** `now` is shown below, on a terminal only. */
  draw(lines: readonly Line[], now: string): void {
    if (!this.#out.isTTY) {
      for (const { title, held, detail } of lines) {
        if (held === undefined || this.#said.has(title)) continue
        this.#said.add(title)
        this.#out.write(`${PLAIN[`${held}`]} ${title.padEnd(34)} ${detail}\n`)
      }
      return
    }
    this.#clear()
    // a terminal may not know its width
    const width = this.#out.columns > 40 ? this.#out.columns - 3 : 200
    for (const { title, held, detail } of lines) {
      this.#out.write(`${MARKS[`${held}`]} ${`${title.padEnd(34)} ${detail}`.slice(0, width)}\n`)
    }
    this.#out.write(`  ${now.slice(0, width)}\n`)
    this.#height = lines.length + 1
  }

  #clear(): void {
    if (this.#height > 0) this.#out.write(`\u001B[${this.#height}A\u001B[J`)
    this.#height = 0
  }
}
