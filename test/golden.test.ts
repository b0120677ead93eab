/**
 * Golden files: for each case of `test/golden`, what a proxy is sent is what stands in `expected.yaml`, and Envoy accepts it.
 * `UPDATE=1` rewrites the expected files and removes those that belong to no case; read what it changed before committing it.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { descriptorFile, loadProtos } from '../src/proto/encode.ts'
import { authority, idOf } from './envoy/identities.ts'
import { validate } from './support/envoy.ts'
import { EXPECTED, goldenCases, orphans, renderCase } from './support/golden-case.ts'
import { staticBootstrap } from './support/static-bootstrap.ts'

const folder = fileURLToPath(new URL('golden', import.meta.url))
const update = process.env['UPDATE'] === '1'
const protos = loadProtos(readFileSync(descriptorFile))
const identity = authority()(idOf('default/web'))
const cases = goldenCases(folder)

describe.concurrent('what a proxy is sent', () => {
  test.each(cases)('$name', async (golden) => {
    const { full, text } = renderCase(protos, golden)
    const path = join(golden.folder, EXPECTED)
    if (update) writeFileSync(path, text)
    expect(text).toBe(existsSync(path) ? readFileSync(path, 'utf8') : 'nothing yet: UPDATE=1 writes it')
    // the rest of a case is judged too, though not written down
    expect(await validate(JSON.stringify(staticBootstrap(full, identity)))).toBeUndefined()
  })
})

test('there are cases of everything, and no file belongs to none', () => {
  if (update) for (const path of orphans(folder)) rmSync(path, { recursive: true })
  expect(orphans(folder)).toEqual([])
  expect(cases.length).toBeGreaterThanOrEqual(60)
})

test.each(cases)('$name: the same whatever the order of its objects, and every time', (golden) => {
  const { text } = renderCase(protos, golden)
  expect(renderCase(protos, golden).text).toBe(text)
  const turned = golden.steps.map((objects) => objects.toReversed())
  expect(renderCase(protos, { ...golden, steps: turned }).text).toBe(text)
})
