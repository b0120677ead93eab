// The pages that people read, taken apart into what can be checked: YAML, commands, links and headings.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../support/envoy.ts'

export interface Block {
  readonly language: string
  readonly text: string
  /** `docs/policies.md:12`, where it begins. */
  readonly place: string
}

export interface Page {
  /** Relative to the checkout. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly Block[]
  /** The text without its blocks of code. */
  readonly prose: string
}

const FENCED = /^```(\w*)\n(.*?)^```$/gms
/** `    indented`, as what a program prints is written. */
const INDENTED = /^(?: {4}.*\n?)+/gm

export function readPage(path: string): Page {
  const text = readFileSync(join(checkout, path), 'utf8')
  const blocks = [...text.matchAll(FENCED)].map(([, language = '', block = ''], at): Block => {
    const before = text.slice(0, [...text.matchAll(FENCED)][at]?.index)
    return { language, text: block, place: `${path}:${before.split('\n').length}` }
  })
  return { path, text, blocks, prose: text.replaceAll(FENCED, '').replaceAll(INDENTED, '') }
}

export const pages: readonly Page[] = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: checkout })]
  .toSorted()
  .map(readPage)

/** What GitHub makes of a heading, so that links can lead to it. */
export const anchorsOf = ({ prose }: Page): readonly string[] =>
  [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

/** Targets of links that stay in the checkout. */
export const linksOf = ({ prose }: Page): readonly string[] =>
  [...prose.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))

/** Everything that stands as code: blocks of commands, and what is quoted in a line. */
export function codeOf({ blocks, prose }: Page): readonly string[] {
  const lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'))
  return [...lines, ...[...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll('\n', ' '))]
}
