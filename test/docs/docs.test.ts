// What the pages say can be typed: their YAML is right, their links lead somewhere, their commands and options exist.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { diagnosticText, findKind } from '../../src/api/index.ts'
import { parse } from '../../src/api/parse.ts'
import { checkout } from '../support/envoy.ts'
import { anchorsOf, type Block, codeOf, linksOf, pages, readPage } from './pages.ts'

const heddle = (...args: readonly string[]) => promisify(execFile)(join(checkout, 'bin/heddle'), args)

/** What is wrong with the objects of a block, warnings too. */
function problemsOf({ text, place }: Block): readonly string[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) return document.errors.map(({ message }) => `${place}: ${message}`)
    const object = document.toJS() as { readonly apiVersion?: string; readonly kind?: string }
    const kind = findKind(object.apiVersion ?? '', object.kind ?? '')
    if (kind === undefined) return [`${place}: ${object.kind} is not a kind that Heddle reads`]
    const parsed = parse(kind, object)
    return (parsed.ok ? parsed.warnings : parsed.errors).map((one) => `${place}: ${diagnosticText(one)}`)
  })
}

describe('pages', () => {
  test('all YAML is valid, without a warning', () => {
    const blocks = pages.flatMap((page) => page.blocks.filter(({ language }) => language === 'yaml'))
    expect(blocks.length).toBeGreaterThan(20)
    expect(blocks.flatMap(problemsOf)).toEqual([])
  })

  test('all links lead to a file or a heading that is there', () => {
    const broken = pages.flatMap((page) =>
      linksOf(page).filter((link) => {
        const [file = '', anchor] = link.split('#')
        const path = file === '' ? page.path : relative(checkout, resolve(checkout, dirname(page.path), file))
        if (!existsSync(join(checkout, path))) return true
        return anchor !== undefined && !anchorsOf(readPage(path)).includes(anchor)
      }),
    )
    expect(broken).toEqual([])
  })

  test('every page of docs/ is found from the README', () => {
    const seen = new Set(['README.md'])
    for (const path of seen) {
      for (const link of linksOf(readPage(path))) {
        const target = relative(checkout, resolve(checkout, dirname(path), link.split('#')[0] ?? ''))
        if (target.endsWith('.md')) seen.add(target)
      }
    }
    expect(pages.map(({ path }) => path).filter((path) => !seen.has(path))).toEqual([])
  })

  test('every make target exists', () => {
    const makefile = readFileSync(join(checkout, 'Makefile'), 'utf8')
    const targets = pages.flatMap(codeOf).flatMap((code) => {
      const words = /^make((?: [a-z-]+)+)/.exec(code)?.[1] ?? ''
      return words.split(' ').filter((word) => word !== '')
    })
    expect(targets).toContain('test')
    expect(targets.filter((target) => !new RegExp(`^${target}:`, 'm').test(makefile))).toEqual([])
  })

  test('every command and option exists', async () => {
    const uses = pages.flatMap((page) =>
      codeOf(page).flatMap((code) => {
        const [, command, rest = ''] = /^(?:bin\/)?heddle ([a-z]+)(.*)$/.exec(code) ?? []
        const options = [...rest.replace(/[>|#].*$/, '').matchAll(/(?<=\s)--?[a-z][a-z-]*/g)].map(([option]) => option)
        return command === undefined ? [] : [{ page: page.path, command, options }]
      }),
    )
    const commands = [...new Set(uses.map(({ command }) => command))].toSorted()
    expect(commands).toEqual(['render', 'run', 'status', 'token', 'up', 'validate'])
    const known = new Map(
      await Promise.all(commands.map(async (command) => [command, (await heddle(command, '--help')).stdout] as const)),
    )
    const missing = uses.flatMap(({ page, command, options }) =>
      options
        .filter((option) => !new RegExp(`^ .*${option}[ ,\n]`, 'm').test(known.get(command) ?? ''))
        .map((option) => `${page}: heddle ${command} ${option}`),
    )
    expect(missing).toEqual([])
  })
})
