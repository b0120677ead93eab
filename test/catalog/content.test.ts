import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isDeepStrictEqual } from 'node:util'
import { sameContent } from '../../src/catalog/content.ts'

test.each([
  ['status', { spec: 1, status: 1 }, { spec: 1, status: 2 }, true],
  ['a status that is new', { spec: 1 }, { spec: 1, status: 2 }, true],
  ['resourceVersion', { metadata: { name: 'a', resourceVersion: '1' } }, { metadata: { name: 'a' } }, true],
  ['managedFields', { metadata: { name: 'a', managedFields: [] } }, { metadata: { name: 'a' } }, true],
  ['undefined and absent', { spec: { a: undefined } }, { spec: {} }, true],
  ['a label', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { a: '2' } } }, false],
  ['a status deeper down', { spec: { status: 1 } }, { spec: { status: 2 } }, false],
  ['a field that is new', { spec: {} }, { spec: { a: 1 } }, false],
  ['a field that has gone', { spec: { a: 1 } }, { spec: {} }, false],
  ['a list that is longer', { spec: [1] }, { spec: [1, 2] }, false],
  ['a list and a map', { spec: [] }, { spec: {} }, false],
  ['null and absent', { spec: null }, {}, false],
])('%s', (_name, a, b, same) => {
  expect(sameContent(a, b)).toBe(same)
  expect(sameContent(b, a)).toBe(same)
})

test('is deep equality for all but what is left out', () => {
  const json = fc.jsonValue({ noUnicodeString: false })
  fc.assert(
    fc.property(json, json, (a, b) => {
      expect(sameContent({ spec: a }, { spec: structuredClone(a) })).toBe(true)
      expect(sameContent({ spec: a }, { spec: b })).toBe(isDeepStrictEqual(normal(a), normal(b)))
    }),
  )
})

/** Without prototypes and negative zeros, which JSON does not have. */
const normal = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
