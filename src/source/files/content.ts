// The text of one file as declarations for the catalog: documents, Lists taken apart, faults with their place. Documents are
// remembered by their text, so a change parses and checks only what it touched.

import type { Diagnostic } from '../../api/index.ts'
import type { Broken, Declaration, Origin, Position } from '../../catalog/change.ts'
import { fields } from '../../catalog/identify.ts'
import { decode } from './decode.ts'
import { peek, readDocument, type Fault } from './document.ts'
import type { FileLimits } from './limits.ts'
import { Locator } from './locator.ts'
import { splitDocuments, type Chunk } from './split.ts'

/** What a file says now. */
export interface FileContent {
  readonly text: string
  /** In the order of the file; broken ones are those whose document cannot be read. */
  readonly declarations: readonly Declaration[]
  /** True when all of the file could be read. */
  readonly whole: boolean
  /** The documents by their text. */
  readonly documents: ReadonlyMap<string, Objects>
}

/** The objects of one document. */
interface Objects {
  readonly fault: Fault | undefined
  readonly objects: readonly { readonly path: readonly (string | number)[]; readonly object: unknown }[]
}

export interface ContentOptions {
  /** The file's name as it is shown. */
  readonly source: string
  readonly limits: FileLimits
  /** What the file said before. */
  readonly before?: FileContent | undefined
  /** Awaited between documents, to let others have their turn. */
  readonly pause?: (() => Promise<void>) | undefined
}

export async function readContent(bytes: Uint8Array, options: ContentOptions): Promise<FileContent> {
  const { source, limits, before, pause } = options
  const { text, fault } = decode(bytes)
  const documents = new Map<string, Objects>()
  const declarations: Declaration[] = []
  for (const chunk of splitDocuments(text)) {
    let objects = before?.documents.get(chunk.text)
    if (objects === undefined) {
      objects = objectsOf(chunk.text, limits, fault?.message)
      await pause?.()
    }
    documents.set(chunk.text, objects)
    declarations.push(...declare(source, chunk, objects))
  }
  if (fault !== undefined && !declarations.some(({ op }) => op === 'broken')) {
    declarations.push(broken(source, undefined, fault.at, fault.message))
  }
  return { text, declarations, whole: declarations.every(({ op }) => op === 'upsert'), documents }
}

/** The objects that a file seems to hold which is too large to be parsed: they are there and cannot be read. */
export function peekContent(bytes: Uint8Array, source: string, message: string): FileContent {
  const declarations: Declaration[] = [broken(source, undefined, { line: 1, column: 1 }, message)]
  const known = new Set<string>()
  for (const { text, line } of splitDocuments(decode(bytes).text)) {
    const object = peek(text)
    const id = JSON.stringify(object)
    if (object === undefined || known.has(id)) continue
    known.add(id)
    declarations.push(broken(source, object, { line, column: 1 }, 'stands in a file that is too large to be read'))
  }
  return { text: '', declarations, whole: false, documents: new Map() }
}

/** A file of which nothing could be read. */
export function faultContent(source: string, message: string): FileContent {
  const declarations = [broken(source, undefined, { line: 1, column: 1 }, message)]
  return { text: '', declarations, whole: false, documents: new Map() }
}

/** A file, or a part of one, that cannot be read; `object` is as much of it as could be. */
export function broken(source: string, object: unknown, at: Position, message: string): Broken {
  const diagnostic: Diagnostic = { severity: 'error', code: 'unreadable', path: [], field: '', message }
  return { op: 'broken', object, origin: { source, line: at.line, at: () => at }, diagnostics: [diagnostic] }
}

function declare(source: string, { text, line }: Chunk, { fault, objects }: Objects): Declaration[] {
  const locator = new Locator(text, line)
  if (fault !== undefined) return [broken(source, objects[0]?.object, locator.place(fault.offset), fault.message)]
  return objects.map(({ path, object }) => ({ op: 'upsert', object, origin: originOf(source, locator, path) }))
}

function originOf(source: string, locator: Locator, prefix: readonly (string | number)[]): Origin {
  return {
    source,
    // found when it is asked for: most objects have nothing to be told of
    get line() {
      return locator.at(prefix).line
    },
    at: (path) => locator.at([...prefix, ...path]),
  }
}

function objectsOf(text: string, limits: FileLimits, encoding: string | undefined): Objects {
  const { value, fault } = readDocument(text, limits)
  if (fault !== undefined) return { fault, objects: [{ path: [], object: value }] }
  const bad = encoding === undefined ? -1 : text.indexOf('\uFFFD')
  if (encoding !== undefined && bad >= 0) {
    return { fault: { offset: bad, message: encoding }, objects: [{ path: [], object: value }] }
  }
  if (value === null || value === undefined) return { fault, objects: [] }
  const items = itemsOf(value)
  const objects = items?.map((object, index) => ({ path: ['items', index], object }))
  return { fault, objects: objects ?? [{ path: [], object: value }] }
}

/** The objects of a `List`, or of a `ServiceList` and its like as the API server answers them, where the items name no kind. */
function itemsOf(value: unknown): unknown[] | undefined {
  const { apiVersion, kind, items } = fields(value)
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return undefined
  const own = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) }
  return items.map((item: unknown) => {
    const complete =
      typeof item !== 'object' || item === null || Array.isArray(item) || 'kind' in item || kind === 'List'
    return complete ? item : { ...own, ...item }
  })
}
