import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAllDocuments, stringify } from 'yaml'
import { readContent, type FileContent } from '../../../src/source/files/content.ts'
import { defaultLimits } from '../../../src/source/files/limits.ts'
import { service } from './world.ts'

const read = (bytes: Uint8Array): Promise<FileContent> =>
  readContent(bytes, { source: 'a.yaml', limits: defaultLimits })

/** Whether what bytes declare has a place. Places are found by another way than values, so that this tries both. */
async function isPlaced(bytes: Uint8Array): Promise<boolean> {
  const { declarations } = await read(bytes)
  return declarations.every(({ origin }) => {
    const { line = 0 } = origin
    return line > 0 && (origin.at?.(['spec', 'ports', 0])?.line ?? 0) > 0
  })
}

test('any bytes are read or refused, and never thrown at', async () => {
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), isPlaced)
  expect(await fc.check(property, { numRuns: 500 })).toMatchObject({ failed: false })
})

test('so is any text of what YAML is made of', async () => {
  const piece = fc.constantFrom(
    '---\n',
    '...\n',
    '- ',
    '? ',
    ': ',
    'a',
    '\n',
    '  ',
    '\t',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!t ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '#',
    '%',
    '<<: ',
    '1e9',
    '\u00e9',
    '\0',
    '\r\n',
  )
  const property = fc.asyncProperty(fc.array(piece, { maxLength: 60 }), (pieces) =>
    isPlaced(Buffer.from(pieces.join(''))),
  )
  expect(await fc.check(property, { numRuns: 2000 })).toMatchObject({ failed: false })
})

test('so is a good file with a few bytes changed', async () => {
  const good = Buffer.from(`${service('a')}---\n${service('b')}`)
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
  const property = fc.asyncProperty(fc.array(change, { maxLength: 5 }), (changes) => {
    const bytes = Buffer.from(good)
    for (const [at, byte] of changes) bytes[at] = byte
    return isPlaced(bytes)
  })
  expect(await fc.check(property, { numRuns: 1000 })).toMatchObject({ failed: false })
})

test('what is whole says the same as the library says', async () => {
  const json = fc.jsonValue({ maxDepth: 4 })
  await fc.assert(
    fc.asyncProperty(fc.array(json, { minLength: 1, maxLength: 4 }), async (values) => {
      const text = values.map((value) => `---\n${stringify({ value })}`).join('')
      const content = await read(Buffer.from(text))
      const expected = parseAllDocuments(text).map((document) => document.toJS() as unknown)
      expect(content.whole).toBe(true)
      expect(content.declarations.map(({ object }) => object)).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})
