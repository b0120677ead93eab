import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

let checkout: string

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'heddle-bin-'))
  cpSync(new URL('../../bin/heddle', import.meta.url), join(checkout, 'bin/heddle'))
  put('package.json', '{"type": "module"}', 1)
})

afterEach(() => rmSync(checkout, { recursive: true }))

/** A file of the checkout that was written at that second. */
const put = (path: string, text: string, second: number): void => {
  const file = join(checkout, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  utimesSync(file, second, second)
}

const print = (what: string): string => `console.log('${what}', JSON.stringify(process.argv.slice(2)))`

/** A node that says what version we like, and is the real one otherwise; after it, the tools every system has. */
const pathWith = (version: string): string => {
  const script = `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else exec '${process.execPath}' "$@"; fi\n`
  put('fake/node', script, 1)
  execFileSync('chmod', ['+x', join(checkout, 'fake/node')])
  return `${join(checkout, 'fake')}:/usr/bin:/bin`
}

const run = (command: string, version = 'v24.0.0'): string =>
  execFileSync(command, ['a b', '--c'], {
    cwd: tmpdir(),
    encoding: 'utf8',
    env: { PATH: pathWith(version) },
    stdio: 'pipe',
  })

test('runs what was compiled, from any directory and through links', () => {
  put('src/cli/main.ts', print('source'), 10)
  put('dist/cli/main.js', print('compiled'), 20)
  put('dist/.stamp', '', 20)
  symlinkSync('bin/heddle', join(checkout, 'first'))
  mkdirSync(join(checkout, 'links'))
  symlinkSync(join(checkout, 'first'), join(checkout, 'links/heddle'))
  expect(run(join(checkout, 'bin/heddle'))).toBe('compiled ["a b","--c"]\n')
  expect(run(join(checkout, 'links/heddle'))).toBe('compiled ["a b","--c"]\n')
})

test('runs the sources where nothing is compiled, or they are newer', () => {
  put('src/cli/main.ts', `const text: string = 'x'\n${print('source')}`, 10)
  expect(run(join(checkout, 'bin/heddle'))).toBe('source ["a b","--c"]\n')
  put('dist/cli/main.js', print('compiled'), 20)
  put('dist/.stamp', '', 20)
  put('src/mesh/other.ts', '', 30)
  expect(run(join(checkout, 'bin/heddle'))).toBe('source ["a b","--c"]\n')
})

test('an installed package has no sources', () => {
  put('dist/cli/main.js', print('compiled'), 20)
  expect(run(join(checkout, 'bin/heddle'))).toBe('compiled ["a b","--c"]\n')
})

test('a node that is too old gives way to the one that the Makefile brought', () => {
  put('dist/cli/main.js', print('compiled'), 20)
  expect(() => run(join(checkout, 'bin/heddle'), 'v22.18.0')).toThrow(/Node 22.19 or later is needed/)
  mkdirSync(join(checkout, '.tools/node/bin'), { recursive: true })
  symlinkSync(process.execPath, join(checkout, '.tools/node/bin/node'))
  expect(run(join(checkout, 'bin/heddle'), 'v20.1.0')).toBe('compiled ["a b","--c"]\n')
  expect(run(join(checkout, 'bin/heddle'), 'v22.19.0')).toBe('compiled ["a b","--c"]\n')
})
