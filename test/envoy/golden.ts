/** Pairs of files: `NAME.in.yaml`, and `NAME.out.yaml` with what becomes of it. `UPDATE=1` rewrites the latter, and removes those without input. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'

const INPUT = '.in.yaml'
const OUTPUT = '.out.yaml'

/** Registers a test for each pair of a folder; returns what they gave, by name, for tests on all of them. */
export function goldenTests<T>(folder: string, produce: (input: string) => T): ReadonlyMap<string, T> {
  const update = process.env['UPDATE'] === '1'
  const files = readdirSync(folder)
  const names = files.filter((file) => file.endsWith(INPUT)).map((file) => file.slice(0, -INPUT.length))
  const results = new Map(names.map((name) => [name, produce(readFileSync(join(folder, name + INPUT), 'utf8'))]))

  test.each(names)('%s', (name) => {
    const actual = stringify(results.get(name), { aliasDuplicateObjects: false, lineWidth: 0 })
    const path = join(folder, name + OUTPUT)
    if (update) writeFileSync(path, actual)
    expect(actual).toBe(readFileSync(path, 'utf8'))
  })

  test('no expectation is without input', () => {
    const orphans = files.filter((file) => file.endsWith(OUTPUT) && !names.includes(file.slice(0, -OUTPUT.length)))
    if (update) for (const orphan of orphans) rmSync(join(folder, orphan))
    expect(update ? [] : orphans).toEqual([])
  })
  return results
}
