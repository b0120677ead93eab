/**
 * Heddle refuses of Gateway API's kinds what the official CRDs refuse, in every served version. The CRDs come from the Go
 * module at test time; what they say is worked out from their OpenAPI schemas and CEL rules, and compared with our
 * schemas over the module's own examples and over every single mutation of objects that have all fields.
 */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { findKind, gatewayGroup, type Kind, type KindName, kinds, parse } from '../../src/api/index.ts'
import { ApiServer, type Refusal, rulesOf } from './support/api-server.ts'
import { specialObjects, validObjects } from './support/gateway-objects.ts'
import { gatewayModule, yamlFiles } from './support/gateway-module.ts'
import { unhelpful } from './support/helpful.ts'
import { mutations } from './support/mutations.ts'
import { type OpenApi, readCrds } from './support/open-api.ts'

/** Kinds and versions that both sides must know, whatever the module serves. */
const versions = (Object.entries(kinds) as [KindName, Kind][])
  .filter(([, { group }]) => group === gatewayGroup)
  .flatMap(([kind, { versions: all }]) => all.map((version) => ({ kind, version })))

/** Rules that nothing can break, since the schema refuses first whatever they would. */
const unbreakable = [
  // the enum of `type` names the same three
  /^self\.type in \['Exact','PathPrefix'\] \|\| self\.type == 'RegularExpression'$/,
  // the pattern of each host name says both
  /^self\.all\(h, !h\.contains\('\*'\) \? h\.matches/,
  /^self\.all\(h, h\.contains\('\*'\) \? \(h\.startsWith/,
]

let folder = ''
let schemas: ReadonlyMap<string, OpenApi> = new Map()
let server = new ApiServer(schemas)

beforeAll(async () => {
  folder = await gatewayModule()
  schemas = readCrds(await yamlFiles(folder, 'config/crd/experimental'))
  server = new ApiServer(schemas)
})

interface Verdict {
  /** Why the API server would refuse; empty where it would not. */
  readonly theirs: readonly Refusal[]
  /** What is different between the verdicts; undefined where nothing is. */
  readonly difference: string | undefined
}

function verdict(object: unknown): Verdict {
  const { apiVersion, kind } = object as { readonly apiVersion: string; readonly kind: string }
  const ours = parse(findKind(apiVersion, kind) ?? kinds.HTTPRoute, object)
  const theirs = server.refusals(object)
  if (theirs === undefined) return { theirs: [], difference: 'the module does not serve it' }
  if (ours.ok && theirs.length > 0) {
    return { theirs, difference: `taken, though ${theirs.map(({ path, reason }) => `${path} ${reason}`).join('; ')}` }
  }
  if (ours.ok || theirs.length > 0) return { theirs, difference: ours.ok ? undefined : unhelpful(ours.errors)[0] }
  // Stricter on purpose: Envoy refuses the whole resource around a pattern that is not RE2's.
  const further = ours.errors.filter(
    ({ message, severity }) => severity === 'error' && !message.includes('must be a regular expression of RE2'),
  )
  const reasons = further.map(({ field, message }) => `${field} ${message}`).join('; ')
  return { theirs, difference: further.length === 0 ? undefined : `refused, for ${reasons}` }
}

/** The same rules by another name, as v1beta1 of HTTPRoute has those of v1, are not gone through again. */
function sameAsEarlier(kind: KindName, version: string): boolean {
  const crd = (name: string): string =>
    JSON.stringify(schemas.get(`${gatewayGroup}/${name}/${kind}`), (key, value: unknown) =>
      key === 'description' ? undefined : value,
    )
  const { versions: all, schemas: ours } = kinds[kind] as Kind
  const earlier = all.slice(0, all.indexOf(version))
  return earlier.some((name) => ours[name] === ours[version] && crd(name) === crd(version))
}

describe('the module', () => {
  test('serves exactly the versions that Heddle reads', () => {
    const served = [...schemas.keys()].filter((key) =>
      versions.some(({ kind }) => key.startsWith(`${gatewayGroup}/`) && key.endsWith(`/${kind}`)),
    )
    expect(served.toSorted()).toEqual(
      versions.map(({ kind, version }) => `${gatewayGroup}/${version}/${kind}`).toSorted(),
    )
  })

  test('has examples, valid and invalid, of which both say the same', async () => {
    const seen = { taken: 0, refused: 0 }
    for (const path of await yamlFiles(folder, 'examples', 'hack/invalid-examples')) {
      for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
        const object = document.toJS() as { readonly apiVersion: string; readonly kind: string } | null
        const kind = object === null ? undefined : findKind(object.apiVersion, object.kind)
        if (kind === undefined || kind.group !== gatewayGroup) continue
        expect(verdict(object).difference, path).toBeUndefined()
        const parsed = parse(kind, object)
        seen[parsed.ok ? 'taken' : 'refused'] += 1
        expect(parsed.ok ? parsed.warnings : [], path).toEqual([])
      }
    }
    expect(seen.taken).toBeGreaterThan(60)
    expect(seen.refused).toBeGreaterThan(20)
  })
})

describe.each(versions)('$kind $version', ({ kind, version }) => {
  const schemaOf = (): OpenApi => schemas.get(`${gatewayGroup}/${version}/${kind}`) ?? {}

  test('takes the objects that mutations start from', () => {
    for (const object of validObjects(kind, version)) {
      expect(verdict(object)).toEqual({ theirs: [], difference: undefined })
    }
  })

  test('every single mutation meets the same verdict, and every CEL rule is broken by one', () => {
    if (sameAsEarlier(kind, version)) return
    const broken = new Set<string>()
    const differences: string[] = []
    let count = 0
    const judge = (what: string, object: unknown): void => {
      const { theirs, difference } = verdict(object)
      if (difference !== undefined) differences.push(`${what}: ${difference}`)
      for (const { rule } of theirs) if (rule !== undefined) broken.add(rule)
      count += 1
    }
    for (const object of specialObjects(kind, version)) judge('special', object)
    for (const base of validObjects(kind, version)) {
      for (const { what, object } of mutations(schemaOf(), base)) judge(what, object)
    }
    expect(differences).toEqual([])
    expect(count).toBeGreaterThan(100)
    const untested = rulesOf(schemaOf()).filter(
      ({ key, rule }) => !broken.has(key) && !unbreakable.some((known) => known.test(rule)),
    )
    expect(untested).toEqual([])
  })

  test('several mutations at once meet the same verdict', () => {
    if (sameAsEarlier(kind, version)) return
    const bases = validObjects(kind, version)
    const step = (object: unknown, choice: number): unknown => {
      const all = [...mutations(schemaOf(), object)]
      return all[choice % all.length]?.object ?? object
    }
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.nat(), { minLength: 2, maxLength: 4 }), (base, choices) => {
        const object = choices.reduce<unknown>(step, bases[base % bases.length])
        expect(verdict(object).difference).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })
})
