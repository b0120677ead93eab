/**
 * Single changes to a valid object, each of which may or may not make it invalid: fields taken away, added, of another
 * type, at and beyond each bound of the schema, of each enum, lists emptied, repeated and overfilled.
 */
import type { OpenApi } from './open-api.ts'

export interface Mutation {
  readonly what: string
  readonly object: unknown
}

type Path = readonly (string | number)[]

/** What strings may hold that some pattern, list or rule takes and another does not. */
const strings = [
  '', ' ', '-', '*', '/', '//', 'a', 'A', 'é', '😀', 'a b', 'a  b', 'a_b', 'a.b', 'a..b', '.a', 'a-', 'a\n', 'a\tb', 'x/y', '(', '.*', '(?=a)',
  '*.example.com', 'a.*.com', '*.', 'example.com:80', '1.2.3.4', 'fd00::1',
  '::ffff:1.2.3.4',
  '1.2.3.04',
  'fe80::1%eth0',
  '10.0.0.1/8',
  '10.0.0.0/08',
  '::ffff:1.2.3.0/120', '10.0.0.0/8', 'https://*.example.com:8443', 'https://*', 'ftp://a',
  '0s', '1s', '0', '1h30m5s10ms', '1h1h1h1h1h', '100000s', '5d', '-1s', '1.5s', '/a', '/a//b', '/a/./b', '/a/../b', '/a/..', '/a/.', '/a%2fb',
  '/a%2Fb', '/a#b', '/a%', '/a%41', '/a b', '/é', 'shop.v1.Cart', '.shop', 'shop.', '9x', 'GetItems', 'Get-Items', 'Service', 'true', '5',
] // prettier-ignore
const numbers = [
  -1,
  0,
  1,
  1.5,
  2,
  100,
  101,
  255,
  299,
  399,
  400,
  599,
  600,
  65_535,
  65_536,
  1_000_000,
  1_000_001,
  2 ** 31 - 1,
  2 ** 31,
]
const others: readonly unknown[] = [null, true, [], {}, ['a'], { a: 1 }]

/** All single mutations below `spec`. */
export function* mutations(schema: OpenApi, object: unknown): Generator<Mutation> {
  for (const { path, at, value } of nodes(schema, object, [])) {
    if (path[0] !== 'spec') continue
    for (const replacement of replacements(at, value)) {
      yield { what: `${path.join('.')} = ${gist(replacement)}`, object: replaced(object, path, replacement) }
    }
    yield { what: `without ${path.join('.')}`, object: replaced(object, path, undefined) }
    for (const [name, property] of Object.entries(at.properties ?? {})) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || name in value) continue
      for (const added of samples(property)) {
        yield {
          what: `${[...path, name].join('.')} added: ${gist(added)}`,
          object: replaced(object, [...path, name], added),
        }
      }
    }
  }
}

interface Node {
  readonly path: Path
  readonly at: OpenApi
  readonly value: unknown
}

function* nodes(at: OpenApi, value: unknown, path: Path): Generator<Node> {
  yield { path, at, value }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* nodes(at.items ?? {}, item, [...path, index])
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      yield* nodes(at.properties?.[name] ?? at.additionalProperties ?? {}, item, [...path, name])
    }
  }
}

function* replacements(at: OpenApi, value: unknown): Generator {
  yield* others
  yield* at.enum ?? []
  if (typeof value === 'string') {
    yield* at.enum === undefined ? strings : ['', 'Bogus']
    yield 7
    for (const length of [at.minLength, at.maxLength]) {
      if (length === undefined || length > 5000) continue
      for (const size of [length - 1, length, length + 1])
        if (size > 0) yield* ['a'.repeat(size), `/${'a'.repeat(size - 1)}`]
    }
  } else if (typeof value === 'number') {
    yield* numbers
    yield '80'
    for (const bound of [at.minimum, at.maximum]) if (bound !== undefined) yield* [bound - 1, bound, bound + 1]
  } else if (Array.isArray(value)) {
    const [first] = value as unknown[]
    yield [...(value as unknown[]), first]
    yield [...(value as unknown[]), renumbered(first)]
    yield [...(value as unknown[]), '*']
    for (const size of [at.maxItems, (at.maxItems ?? 0) + 1])
      if (size !== undefined && size <= 65) yield different(first, size)
  } else {
    yield 'x'
    if (at.additionalProperties !== undefined) {
      for (const key of ['a b', '{', '', 'example.com/a', '/', 'a'.repeat(300)]) yield { [key]: 'a' }
      yield Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, 'a']))
    }
  }
}

/** An item that differs from another in its numbers only. */
function renumbered(item: unknown): unknown {
  if (typeof item === 'number') return item + 1
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
  return Object.fromEntries(
    Object.entries(item).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'number' ? value + 1 : value,
    ]),
  )
}

/** So many items that differ from each other in their strings, if they can. */
function different(item: unknown, count: number): readonly unknown[] {
  return Array.from({ length: count }, (_, index) => {
    if (typeof item === 'string') return /^[a-z]+$/i.test(item) ? item + String(index) : item
    if (typeof item !== 'object' || item === null) return item
    return Object.fromEntries(
      Object.entries(item).map(([name, value]: [string, unknown]) => [
        name,
        name === 'name' ? `${String(value)}${index}` : value,
      ]),
    )
  })
}

/** Values that a field might have, from its schema alone: the least one, and one with all fields. */
function samples(at: OpenApi): readonly unknown[] {
  if (at.enum !== undefined) return at.enum
  switch (at.type) {
    case 'string':
      return strings.filter((text) => at.pattern === undefined || new RegExp(at.pattern).test(text)).slice(0, 4)
    case 'integer':
    case 'number':
      return [at.minimum ?? 1, 0, 404]
    case 'boolean':
      return [true]
    case 'array':
      return at.items === undefined ? [] : [[], ...samples(at.items).map((item) => [item])]
    case 'object': {
      const least = Object.fromEntries(
        (at.required ?? []).map((name) => [name, samples(at.properties?.[name] ?? {})[0]]),
      )
      const all = Object.entries(at.properties ?? {}).map(([name, property]) => [name, samples(property)[0]])
      const each = Object.entries(at.properties ?? {}).map(([name, property]) => ({
        ...least,
        [name]: samples(property)[0],
      }))
      return [least, Object.fromEntries(all), ...each]
    }
    default:
      return [80, 'x']
  }
}

/** The object with another value at a path, or without it. */
export function replaced(object: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  if (Array.isArray(object)) {
    const below = replaced(object[Number(step)], rest, value)
    return object.flatMap((item: unknown, index) => (index !== step ? [item] : below === undefined ? [] : [below]))
  }
  const { [step]: before, ...others } = object as Readonly<Record<string, unknown>>
  const below = replaced(before, rest, value)
  return below === undefined ? others : { ...others, [step]: below }
}

function gist(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
