// One YAML or JSON document as a JSON value, with bounds on everything that could run away, and the place of each field.
//
// Values are built here rather than by the library: its aliases are resolved in quadratic time and only their number is bounded,
// and its search for repeated keys is quadratic too.

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  visit,
  type Document,
  type LineCounter,
  type Node,
  type YAMLMap,
} from 'yaml'
import type { FileLimits } from './limits.ts'

/** The first thing that is wrong with a document. */
export interface Fault {
  /** Counted from 0, in the document's text. */
  readonly offset: number
  /** What was got and expected, and how to mend it. Quotes no content, which may be secret. */
  readonly message: string
}

export interface Read {
  /** The JSON value; of a document with a fault, as much of it as could be read. */
  readonly value: unknown
  readonly fault: Fault | undefined
}

export function readDocument(text: string, limits: FileLimits): Read {
  if (text.length > limits.documentChars) {
    const message =
      `got a document of ${text.length} characters; expected at most ${limits.documentChars} (documentChars). ` +
      'Mend: split it into documents with `---` between them'
    return { value: peek(text.slice(0, limits.documentChars)), fault: { offset: 0, message } }
  }
  let document: Document.Parsed
  try {
    document = parseYaml(text)
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    return { value: peek(text), fault: { offset: 0, message: tooDeep(limits) } }
  }
  // the only warnings are about tags, which would make a value something that JSON is not
  const error = document.errors[0] ?? document.warnings[0]
  const builder = new Builder(limits)
  const value = builder.build(document.contents, 0)
  const fault =
    error === undefined ? builder.fault : { offset: offsetOf(error, document), message: syntaxMessage(error, limits) }
  const known = typeof value === 'object' && value !== null
  return { value: fault === undefined || known ? value : peek(text), fault }
}

/** Where to look: what is not closed is told by where it begins, which the library tells by where the text ends. */
function offsetOf(
  error: { readonly message: string; readonly pos: readonly [number, number] },
  document: Document.Parsed,
): number {
  let [offset] = error.pos
  if (!/^Missing closing|end with a [}\]]$/.test(error.message)) return offset
  visit(document, {
    Node: (_, node) => {
      const [start = 0, end = 0] = node.range ?? []
      const open = isScalar(node) ? node.type?.startsWith('QUOTE') === true : !isAlias(node) && node.flow === true
      if (open && start <= error.pos[0] && end >= error.pos[0] - 1) offset = start
    },
  })
  return offset
}

/** Tolerant: what is wrong is in `errors` and `warnings`. May throw a RangeError where the text nests too deeply. */
export function parseYaml(text: string, lineCounter?: LineCounter): Document.Parsed {
  const quiet = { prettyErrors: false, logLevel: 'silent' } as const
  const options = { uniqueKeys: false, stringKeys: true, schema: 'core', ...quiet } as const
  return parseDocument(text, lineCounter === undefined ? options : { ...options, lineCounter })
}

export function startOf(node: unknown): number {
  return (node as Node | null | undefined)?.range?.[0] ?? 0
}

interface Anchor {
  readonly value: unknown
  readonly size: number
}

class Builder {
  fault: Fault | undefined
  readonly #limits: FileLimits
  /** Undefined while the anchored value is being built. */
  readonly #anchors = new Map<string, Anchor | undefined>()
  #size = 0

  constructor(limits: FileLimits) {
    this.#limits = limits
  }

  build(node: unknown, depth: number): unknown {
    if (!this.#count(node, 1)) return undefined
    if (isAlias(node)) {
      const anchor = this.#anchors.get(node.source)
      if (anchor === undefined) {
        const known = this.#anchors.has(node.source)
        const got = known ? 'an alias inside of what it stands for' : 'an alias of an anchor that is not there'
        this.#fail(node, `got ${got}; expected an anchor further up. Mend: write the value out`)
        return undefined
      }
      return this.#count(node, anchor.size) ? anchor.value : undefined
    }
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    const before = this.#size
    const value = this.#plain(node, depth)
    if (anchor !== undefined) this.#anchors.set(anchor, { value, size: this.#size - before + 1 })
    return value
  }

  #plain(node: unknown, depth: number): unknown {
    if (isScalar(node)) {
      const { value } = node
      if (typeof value === 'number' && !Number.isFinite(value))
        this.#fail(node, `got ${value}; expected a finite number`)
      else if (value === null || typeof value !== 'object') return value
      else this.#fail(node, 'got a value with a tag; expected plain YAML. Mend: remove the tag (`!…`)')
      return undefined
    }
    if (!isMap(node) && !isSeq(node)) return null
    if (depth >= this.#limits.depth) {
      this.#fail(node, tooDeep(this.#limits))
      return undefined
    }
    return isSeq(node) ? node.items.map((item) => this.build(item, depth + 1)) : this.#map(node, depth + 1)
  }

  #map(map: YAMLMap, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {}
    const merged: Record<string, unknown>[] = []
    for (const { key, value: node } of map.items) {
      if (!isScalar(key)) {
        this.#fail(key, 'got a key that is no plain text; expected a field name')
        continue
      }
      const name = String(key.value)
      if (name === '<<' && key.type === 'PLAIN') {
        const source = this.build(node, depth)
        for (const one of Array.isArray(source) ? source : [source]) {
          if (typeof one === 'object' && one !== null && !Array.isArray(one))
            merged.push(one as Record<string, unknown>)
          else this.#fail(key, 'got a merge of something that is no map; expected an alias of a map')
        }
        continue
      }
      if (Object.hasOwn(value, name)) {
        this.#fail(key, 'got the same field twice in one map; expected each once. Mend: remove one of them')
        continue
      }
      put(value, name, this.build(node, depth))
    }
    // what is written in the map itself wins, then the first merged
    for (const one of merged) {
      for (const [name, inherited] of Object.entries(one)) if (!Object.hasOwn(value, name)) put(value, name, inherited)
    }
    return value
  }

  /** False when the document has too many values; nothing more is built then. */
  #count(node: unknown, size: number): boolean {
    const most = this.#limits.documentValues
    if (this.#size <= most) this.#size += size
    if (this.#size <= most) return true
    const message = `got more than ${most} values, each alias counted as often as it is used; expected at most that (documentValues)`
    this.#fail(node, `${message}. Mend: split the document, or use fewer aliases`)
    return false
  }

  #fail(node: unknown, message: string): void {
    this.fault ??= { offset: startOf(node), message }
  }
}

/** Also for `__proto__`, which is a field like any other. */
function put(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  else object[name] = value
}

function tooDeep(limits: FileLimits): string {
  return `got maps and lists nested deeper than ${limits.depth}; expected at most that (depth)`
}

function syntaxMessage(error: { code: string; message: string }, limits: FileLimits): string {
  if (error.code === 'RESOURCE_EXHAUSTION' || /call stack/i.test(error.message)) return tooDeep(limits)
  // what follows the colon quotes the file, which may hold secrets
  const quotes = error.code === 'UNEXPECTED_TOKEN' || error.code === 'BAD_DQ_ESCAPE'
  const told = quotes ? error.message.replace(/(?:: | sequence ).*$/s, '') : error.message
  return `is no valid YAML: ${told}. Mend: ${mends[error.code] ?? 'correct the text at this place'}`
}

const mends: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'align the line with the level it belongs to, and close what was opened before',
  BAD_DQ_ESCAPE: 'write \\\\ for a backslash, or use single quotes',
  BAD_SCALAR_START: 'put the value in quotes',
  MULTILINE_IMPLICIT_KEY: 'end the key with a colon, on one line',
  BLOCK_AS_IMPLICIT_KEY: 'put the value in quotes, or begin it on a line of its own',
  MISSING_CHAR: 'complete the text; the file may be half written',
  TAG_RESOLVE_FAILED: 'remove the tag (`!…`)',
}

/** Which object a text that cannot be parsed seems to be, from its lines. */
export function peek(text: string): unknown {
  const value = '[ \\t]+["\']?([^\\s"\'#]+)'
  const top = (name: string): string | undefined => new RegExp(`^${name}:${value}`, 'm').exec(text)?.[1]
  const [, metadata = '', indent = ''] = /^metadata:[ \t]*\r?\n(([ \t]+).*(?:\r?\n[ \t]+.*)*)/m.exec(text) ?? []
  const below = (name: string): string | undefined => new RegExp(`^${indent}${name}:${value}`, 'm').exec(metadata)?.[1]
  const apiVersion = top('apiVersion')
  const kind = top('kind')
  if (apiVersion === undefined || kind === undefined) return undefined
  return { apiVersion, kind, metadata: { name: below('name'), namespace: below('namespace') } }
}
