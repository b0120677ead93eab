/**
 * The generated CRDs say what the schemas say: what Heddle refuses in a file, an API server refuses too, and takes what
 * Heddle takes. Each CEL rule in them is broken by some case; rules that CEL cannot say are named here.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Kind, type KindName, kinds, parse } from '../../src/api/index.ts'
import { ApiServer, type Refusal, rulesOf } from './support/api-server.ts'
import { unhelpful } from './support/helpful.ts'
import { heddleObjects } from './support/heddle-objects.ts'
import { mutations, replaced } from './support/mutations.ts'
import { type OpenApi, readCrds } from './support/open-api.ts'

const folder = join(import.meta.dirname, '../../crds')
const schemas = readCrds(readdirSync(folder).map((name) => join(folder, name)))
const server = new ApiServer(schemas)
const own = (Object.entries(kinds) as [KindName, Kind][]).filter(([, { ours }]) => ours)

/** What only the admission webhook and the catalog refuse, since no schema and no CEL can say it. */
const beyondCel = [
  /must be a regular expression of RE2/,
  /expected a prime number/,
  // what Envoy takes in access logs
  /expected operators as %NAME%/,
  /expected an expression of CEL as Envoy takes it/,
  // CEL does not see a field of unknown type
  /value goes with add, replace and test/,
]

function difference(kind: Kind, object: unknown, theirs: readonly Refusal[]): string | undefined {
  const ours = parse(kind, object)
  if (ours.ok)
    return theirs.length === 0
      ? undefined
      : `taken, though ${theirs.map(({ path, reason }) => `${path} ${reason}`).join('; ')}`
  const [vague] = unhelpful(ours.errors)
  if (theirs.length > 0 || vague !== undefined) return vague
  const further = ours.errors.filter(
    ({ message, severity }) => severity === 'error' && !beyondCel.some((known) => known.test(message)),
  )
  return further.length === 0
    ? undefined
    : `refused, for ${further.map(({ field, message }) => `${field} ${message}`).join('; ')}`
}

test('there is a CRD for each of our own kinds', () => {
  expect([...schemas.keys()].toSorted()).toEqual(
    own.flatMap(([name, { group, versions }]) => versions.map((version) => `${group}/${version}/${name}`)).toSorted(),
  )
})

describe.each(own)('%s', (name, kind) => {
  const schema: OpenApi = schemas.get(`${kind.group}/${kind.version}/${name}`) ?? {}

  test('takes the objects that mutations start from, and these have every field', () => {
    const unused = new Set(fieldsOf(schema))
    for (const object of heddleObjects(name)) {
      expect(server.refusals(object)).toEqual([])
      expect(parse(kind, object)).toMatchObject({ ok: true, warnings: [] })
      for (const field of usedFields(object)) unused.delete(field)
    }
    expect([...unused]).toEqual([])
  })

  test('every single mutation meets the same verdict, and every CEL rule is broken by one', () => {
    const broken = new Set<string>()
    const differences: string[] = []
    const judge = (what: string, object: unknown): void => {
      const theirs = server.refusals(object) ?? []
      for (const { rule } of theirs) if (rule !== undefined) broken.add(rule)
      const found = difference(kind, object, theirs)
      if (found !== undefined) differences.push(`${what}: ${found}`)
    }
    for (const base of heddleObjects(name)) {
      judge('another name', replaced(base, ['metadata', 'name'], 'other'))
      for (const { what, object } of mutations(schema, base)) judge(what, object)
    }
    expect(differences).toEqual([])
    expect(rulesOf(schema).filter(({ key }) => !broken.has(key))).toEqual([])
  })
})

/** Paths of all fields of a schema, without those of the API server. */
function fieldsOf(schema: OpenApi, path = ''): readonly string[] {
  const below = schema.items ?? schema
  return Object.entries(below.properties ?? {})
    .filter(([name]) => path !== '' || name === 'spec')
    .flatMap(([name, property]) => [`${path}.${name}`, ...fieldsOf(property, `${path}.${name}`)])
}

function usedFields(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => usedFields(item, path))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]) => [`${path}.${name}`, ...usedFields(item, `${path}.${name}`)])
}
