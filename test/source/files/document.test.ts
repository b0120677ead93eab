import { describe, expect, test } from 'vitest'
import { decode } from '../../../src/source/files/decode.ts'
import { peek, readDocument } from '../../../src/source/files/document.ts'
import { defaultLimits } from '../../../src/source/files/limits.ts'
import { Locator } from '../../../src/source/files/locator.ts'
import { splitDocuments } from '../../../src/source/files/split.ts'
import { aliasBomb, mergeBomb } from './bombs.ts'

/** Where it is told does not matter. */
const anywhere = Symbol()

const read = (text: string) => readDocument(text, defaultLimits)

describe('values', () => {
  test.each<[string, string, unknown]>([
    ['merges', 'x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3', { x: { a: 1, b: 2 }, y: { b: 3, a: 1 } }],
    [
      'the first merged wins',
      'x: [&x {a: 1}, &y {a: 2, b: 2}]\ny: {<<: [*x, *y]}',
      { x: [{ a: 1 }, { a: 2, b: 2 }], y: { a: 1, b: 2 } },
    ],
    ['a quoted merge key is a field', 'y: {"<<": 1}', { y: { '<<': 1 } }],
    ['keys are text', '1: a\ntrue: b', { 1: 'a', true: 'b' }],
    ['tabs in JSON', '{\n\t"a": [\n\t\t1,\n\t2]\n}', { a: [1, 2] }],
    ['YAML 1.2: yes is a text', 'a: yes', { a: 'yes' }],
    ['an anchor that is defined twice', 'a: [&x 1, *x, &x 2, *x]', { a: [1, 1, 2, 2] }],
    ['the core tags', 'a: !!str 1\nb: !!int "2"', { a: '1', b: 2 }],
  ])('%s', (_name, text, value) => {
    expect(read(text)).toEqual({ value, fault: undefined })
  })

  test('__proto__ is a field like any other', () => {
    const value = read('__proto__: {polluted: true}').value as object
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect('polluted' in value).toBe(false)
  })
})

describe('faults', () => {
  test.each<[string, string, number | symbol, RegExp]>([
    ['an alias in itself', 'a: &a [*a]', 7, /alias inside of what it stands for/],
    ['an alias of nothing', 'a: *b', 3, /alias of an anchor that is not there/],
    ['a field twice', 'a: 1\nb: 2\na: 3', 10, /same field twice/],
    ['nesting, closed', `a: ${'['.repeat(3000)}${']'.repeat(3000)}`, anywhere, /nested deeper than 64/],
    ['nesting, open', `a: ${'['.repeat(50_000)}`, anywhere, /nested deeper than 64/],
    ['nesting of lists', `a:\n  ${'- '.repeat(50_000)}x`, anywhere, /nested deeper than 64/],
    ['nesting of maps', `a: ${'{a: '.repeat(5000)}`, anywhere, /nested deeper than 64/],
    ['not a number', 'a: .nan', 3, /got NaN; expected a finite number/],
    ['infinity', 'a: 1e999', 3, /got Infinity/],
    ['a tag', 'a: !!python/object:os.system x', 3, /Unresolved tag|remove the tag/],
    ['a binary', 'a: !!binary aGVsbG8=', 12, /remove the tag/],
    ['a map as a key', '? {a: b}\n: c', anywhere, /./],
    ['a merge of a text', 'a: {<<: b}', 4, /merge of something that is no map/],
    ['a tab', 'a:\n\tb: 1', 3, /Tabs are not allowed.*indent with spaces/],
    ['a colon too many', 'a: b: c', 3, /put the value in quotes/],
  ])('%s', (_name, text, offset, message) => {
    const { fault } = read(text)
    expect(fault?.message).toMatch(message)
    expect(offset).toBeOneOf([fault?.offset, anywhere])
  })

  test.each([
    ['an escape', 'a: "s3cr\\qet"'],
    ['a block scalar', 'a: |s3cret\n  x'],
    ['an open quote', 'a: "s3cret'],
    ['a stray text', 'a: 1\ns3cret'],
    ['a stray text after a quote', 'a: "x" s3cret'],
  ])('%s is not quoted, since it may be a secret', (_name, text) => {
    const { fault } = read(text)
    expect(fault).toBeDefined()
    expect(fault?.message).not.toMatch(/s3cr|qet/)
  })

  test('of a document that stops in the middle, what was read is kept', () => {
    const { value, fault } = read('apiVersion: v1\nkind: Service\nmetadata:\n  name: cart\nspec: {ports: [')
    expect(fault).toBeDefined()
    expect(value).toMatchObject({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'cart' } })
  })
})

describe('bombs cost little', () => {
  test.each([
    ['aliases of aliases', aliasBomb()],
    ['merges of merges', mergeBomb()],
    ['many values', `a: [${'1,'.repeat(300_000)}]`],
    ['one alias, many times', `a: &a [${'1,'.repeat(1000)}]\nb: [${'*a,'.repeat(1000)}]`],
  ])('%s', (_name, text) => {
    expect(read(text).fault?.message).toMatch(/got more than 200000 values/)
  })

  test('many fields in one map', () => {
    const text = Array.from({ length: 40_000 }, (_, at) => `k${at}: v\n`).join('')
    expect(Object.keys(read(text).value as object)).toHaveLength(40_000)
  })

  test('many aliases', () => {
    expect((read(`a: [&a x,${'*a,'.repeat(50_000)}]`).value as { a: unknown[] }).a).toHaveLength(50_001)
  })
})

describe('documents of a stream', () => {
  test('each with its first line; those without content are left out', () => {
    const text = '%YAML 1.2\n---\na: 1\n---\n# only\n---\n\nb: |\n  x\n ---\n  y\n...\n---\n--- c\n---'
    expect(splitDocuments(text)).toEqual([
      { text: '%YAML 1.2\n---\na: 1\n', line: 1 },
      { text: '---\n\nb: |\n  x\n ---\n  y\n', line: 6 },
      { text: '--- c\n', line: 14 },
    ])
  })

  test.each([
    ['blank lines', '\n'.repeat(2_000_000)],
    ['markers', '---\n'.repeat(1_000_000)],
    ['comments', '# a\n'.repeat(1_000_000)],
  ])('%s are nothing', (_name, text) => {
    expect(splitDocuments(text)).toEqual([])
  })
})

describe('places', () => {
  const locator = new Locator(
    '---\n# about\napiVersion: v1\nspec:\n  ports:\n  - port: 80\n    name: x\n  - &p {port: 81}\n  - *p\n',
    10,
  )
  test.each<[string, (string | number)[], number, number]>([
    ['the object', [], 12, 1],
    ['a field', ['spec', 'ports'], 14, 3],
    ['an item', ['spec', 'ports', 0], 15, 5],
    ['a field of an item', ['spec', 'ports', 0, 'name'], 16, 5],
    ['a field that is not there: what encloses it', ['spec', 'ports', 1, 'name'], 17, 8],
    ['an item that is not there', ['spec', 'ports', 9], 14, 3],
    ['below an alias: the anchor', ['spec', 'ports', 2, 'port'], 17, 9],
  ])('%s', (_name, path, line, column) => {
    expect(locator.at(path)).toEqual({ line, column })
  })
})

describe('text', () => {
  test.each<[string, Buffer, number, number]>([
    ['a byte that is no UTF-8', Buffer.from('a: ü\nb: é\xffx\n', 'latin1'), 1, 4],
    ['after multi-byte characters', Buffer.concat([Buffer.from('a: ü\nb: é'), Buffer.from([0xff])]), 2, 5],
    ['a sequence cut off', Buffer.from([0x61, 0x0a, 0xe2, 0x82]), 2, 2],
    ['UTF-16', Buffer.from('\ufeffa: 1', 'utf16le'), 1, 1],
    ['NUL', Buffer.from('a: 1\nb: \0'), 2, 4],
  ])('%s', (_name, bytes, line, column) => {
    expect(decode(bytes).fault?.at).toEqual({ line, column })
  })

  test('a byte order mark is passed over', () => {
    expect(decode(Buffer.from('\ufeffa: 1'))).toEqual({ text: 'a: 1' })
  })
})

test('what cannot be parsed is known by its lines', () => {
  const text =
    'kind: AuthorizationPolicy\napiVersion: "heddle.dev/v1alpha1" # x\nmetadata:\n  labels:\n    name: q\n  name: foo\n  namespace: b\nspec:\n  name: k'
  expect(peek(text)).toEqual({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'foo', namespace: 'b' },
  })
  expect(peek('metadata:\n  name: x')).toBeUndefined()
})
