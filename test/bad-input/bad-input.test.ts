/**
 * Bad input, file by file: each says what is wrong, of which object and field, what was expected, and where; what stands beside it
 * is live; and an object that goes bad stays in force as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkReferences } from '../../src/catalog/check-references.ts'
import type { Problem } from '../../src/catalog/problems.ts'
import { eventually } from '../support/eventually.ts'
import { folderWorld, type FolderWorld } from '../source/files/world.ts'
import { beside, templates, type TemplateKind } from './templates.ts'
import { textCases } from './texts.ts'
import { valueCases } from './values.ts'
import { warningCases } from './warnings.ts'

interface BadFile {
  readonly kind: TemplateKind
  readonly name: string
  readonly good: string
  readonly bad: string | Uint8Array
}

const service = (name: string, namespace: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n  ports:\n    - name: http\n      port: 80\n`
const others = [service('cart', 'shop'), service('users', 'shop'), service('far', 'other')].join('---\n')

const goodFile = (kind: TemplateKind, name: string): string =>
  `${beside(name)}---\n${templates[kind].replaceAll('NAME', name)}`

function replacedFile({
  name,
  kind,
  from,
  to,
}: {
  name: string
  kind: TemplateKind
  from: string
  to: string
}): BadFile {
  const good = goodFile(kind, name)
  const [own, wanted] = [to.replaceAll('NAME', name), from.replaceAll('NAME', name)]
  const start = good.indexOf('---')
  if (!good.includes(wanted, start)) throw new Error(`${name}: nothing to replace`)
  return { kind, name, good, bad: good.slice(0, start) + good.slice(start).replace(wanted, () => own) }
}

const values = valueCases.map((one) => ({ ...one, file: replacedFile(one) }))
const texts = textCases.map((one) => {
  const good = goodFile('Service', one.name)
  return { ...one, file: { kind: 'Service', name: one.name, good, bad: one.content(good) } satisfies BadFile }
})
const warnings = warningCases.map((one) => ({ ...one, file: replacedFile(one) }))
const files: readonly BadFile[] = [...values, ...texts, ...warnings].map(({ file }) => file)
/** The object that a case renames is another one than the good file's. */
const renamed = new Set(['name-in-upper-case', 'namespace-with-a-dot'])

/** The line on which a text stands, after the first document. */
function lineOf({ bad }: BadFile, text: string): number {
  const content = typeof bad === 'string' ? bad : Buffer.from(bad).toString('latin1')
  const at = content.indexOf(text, content.indexOf('---'))
  if (at < 0) throw new Error(`not in the file: ${text}`)
  const start = at + text.length - text.trimStart().length
  return content.slice(0, start).split('\n').length
}

const problemsOf = (all: readonly Problem[], { name }: BadFile): Problem[] =>
  all.filter(({ source }) => source.endsWith(`/${name}.yaml`))

test('there are more than a hundred, each with a name of its own', () => {
  expect(files.length).toBeGreaterThan(150)
  expect(new Set(files.map(({ name }) => name)).size).toBe(files.length)
})

describe('bad from the start', () => {
  let world: FolderWorld
  let problems: readonly Problem[]
  let referenceProblems: readonly Problem[]

  beforeAll(async () => {
    world = await folderWorld({
      'others.yaml': others,
      ...Object.fromEntries(files.map(({ name, bad }) => [`cases/${name}.yaml`, bad])),
    })
    problems = world.catalog.problems()
    referenceProblems = checkReferences(world.catalog)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('what stands in other files is live', () => {
    expect(Object.keys(world.ports())).toEqual(expect.arrayContaining(['shop/cart', 'shop/users', 'other/far']))
  })

  test.each(values)('value: $name', ({ file, field, says, to, at }) => {
    const line = lineOf(file, (at ?? to).replaceAll('NAME', file.name))
    const own = problemsOf(problems, file)
    expect(own).toContainEqual(
      expect.objectContaining({ severity: 'error', kind: file.kind, line, text: expect.stringMatching(says) }),
    )
    const [problem] = own.filter((one) => one.line === line && says.test(one.text))
    expect(problem?.text).toContain(`${file.kind} ${problem?.namespace}/${problem?.name}: ${field}`)
    expect(problem?.column).toBeGreaterThan(0)
    expect(problem?.text).not.toContain('s3cret"; expected base64')
    expect(world.catalog.table('Service').has(`shop/beside-${file.name}`)).toBe(true)
    expect(world.catalog.table(file.kind).has(`shop/${file.name}`)).toBe(false)
    const condition = world.catalog.conditions(file.kind, `${problem?.namespace}/${problem?.name}`)
    expect(condition).toMatchObject({ accepted: false, lastGood: false })
  })

  test.each(texts)('text: $name', ({ file, line, says, named, beside: besideLives }) => {
    const expected = typeof line === 'number' ? line : lineOf(file, line)
    const own = problemsOf(problems, file)
    expect(own).toContainEqual(
      expect.objectContaining({ severity: 'error', line: expected, text: expect.stringMatching(says) }),
    )
    const [problem] = own.filter((one) => one.line === expected && says.test(one.text))
    expect(problem?.text).toMatch(named ? `Service shop/${file.name}: ` : '')
    expect(world.catalog.table('Service').has(`shop/${file.name}`)).toBe(false)
    expect(world.catalog.table('Service').has(`shop/beside-${file.name}`)).toBe(besideLives)
    expect(world.catalog.unreadable('Service').has(`shop/${file.name}`)).toBe(
      named || (file.name.startsWith('ten-megabytes') && file.name !== 'ten-megabytes-of-zeros'),
    )
  })

  test.each(warnings)('warning: $name', ({ file, says, to, at }) => {
    const own = [...problemsOf(problems, file), ...problemsOf(referenceProblems, file)]
    expect(own).toEqual([
      expect.objectContaining({
        severity: 'warning',
        kind: file.kind,
        name: file.name,
        line: lineOf(file, at ?? to),
        text: expect.stringMatching(says),
      }),
    ])
    expect(world.catalog.table(file.kind).has(`shop/${file.name}`)).toBe(true)
    expect(world.catalog.table('Service').has(`shop/beside-${file.name}`)).toBe(true)
  })

  test('no error tells a secret', () => {
    expect(problems.map(({ text }) => text).filter((text) => /czNjcmV0|"s3cret!"/.test(text))).toEqual([])
  })
})

describe('gone bad', () => {
  let world: FolderWorld
  let problems: readonly Problem[]
  const good = new Map<string, unknown>()

  beforeAll(async () => {
    world = await folderWorld({
      'others.yaml': others,
      ...Object.fromEntries(files.map(({ name, good: text }) => [`cases/${name}.yaml`, text])),
    })
    expect(world.problems()).toEqual([])
    for (const { kind, name } of files) good.set(name, world.catalog.table(kind).get(`shop/${name}`))
    for (const { name, bad } of files) await world.write(`cases/${name}.yaml`, bad)
    await eventually(() => {
      const told = new Set(world.catalog.problems().map(({ source }) => source.replace(/.*\//, '')))
      const silent = [...values, ...texts].filter(({ name }) => !told.has(`${name}.yaml`))
      expect(silent.map(({ name }) => name)).toEqual([])
    }, 50_000)
    problems = world.catalog.problems()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test.each(values.filter(({ name }) => !renamed.has(name)))('value: $name', ({ file, says }) => {
    expect(world.catalog.table(file.kind).get(`shop/${file.name}`)).toBe(good.get(file.name))
    expect(good.get(file.name)).toBeDefined()
    expect(world.catalog.conditions(file.kind, `shop/${file.name}`)).toMatchObject({ accepted: false, lastGood: true })
    expect(problemsOf(problems, file)).toContainEqual(expect.objectContaining({ text: expect.stringMatching(says) }))
    expect(world.catalog.table('Service').has(`shop/beside-${file.name}`)).toBe(true)
  })

  test.each(texts)('text: $name', ({ file, says, named, beside: besideLives }) => {
    const own = problemsOf(problems, file)
    expect(own).toContainEqual(expect.objectContaining({ text: expect.stringMatching(says) }))
    expect(world.catalog.table('Service').has(`shop/beside-${file.name}`)).toBe(true)
    // a document that can be read, and says it is no such object, means that the object has gone
    const whole = !named && besideLives && !own.some(({ code }) => code === 'unreadable')
    expect(world.catalog.table('Service').get(`shop/${file.name}`)).toBe(whole ? undefined : good.get(file.name))
    expect(own.some(({ text }) => text.includes('the last good content of the file stays in force'))).toBe(!whole)
  })

  test.each(warnings)('warning: $name', async ({ file, says }) => {
    await eventually(() => {
      const own = [...problemsOf(world.catalog.problems(), file), ...problemsOf(checkReferences(world.catalog), file)]
      expect(own).toEqual([expect.objectContaining({ severity: 'warning', text: expect.stringMatching(says) })])
    })
    expect(world.catalog.conditions(file.kind, `shop/${file.name}`)).toMatchObject({ accepted: true })
  })

  test('and mended again, everything is as it was', async () => {
    for (const { name, good: text } of files) await world.write(`cases/${name}.yaml`, text)
    await eventually(() => expect(world.problems()).toEqual([]))
    await world.watch.settled()
    for (const { kind, name } of files) expect(world.catalog.table(kind).get(`shop/${name}`)).toEqual(good.get(name))
  })
})
