/**
 * Random valid meshes, each loaded over xDS into running Envoys, with everything that they could ask for: none refuses anything.
 * `MESHES` says how many, `SEED` which; what failed prints both, the mesh reduced to what the refused resource follows from.
 */
import { availableParallelism } from 'node:os'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { ManualClock } from '../identity/world.ts'
import { testProtos } from '../proto/protos.ts'
import { catalogs, invalid, type Raw } from './arbitraries.ts'
import {
  ANCHORS,
  generatedCore,
  type Identities,
  load,
  openIdentities,
  PROXIES,
  TRUST_DOMAINS,
  viewOfProxy,
} from './core.ts'
import { Fleet, type Refused } from './fleet.ts'

const meshes = Number(process.env['MESHES'] ?? 1000)
const seed = Number(process.env['SEED'] ?? Math.trunc(Date.now() % 2 ** 31))
const lanes = Math.max(1, Math.min(2, availableParallelism()))
const protos = testProtos()
/** One of each kind is enough to mend by. */
const MOST_TOLD = 10

it(`no Envoy refuses anything of ${meshes} generated meshes (SEED=${seed})`, { timeout: 600_000 }, async () => {
  using identities = await openIdentities(Date.now())
  const { certificates } = identities
  const arbitrary = catalogs({ certificates, anchors: ANCHORS, trustDomains: TRUST_DOMAINS })
  const findings = new Map<string, string>()
  const lane = async (number: number): Promise<void> => {
    const all = fc.sample(arbitrary, { seed: seed + number, numRuns: Math.ceil(meshes / lanes) })
    const [first = []] = all
    await using fleet = await Fleet.start(protos, identities, PROXIES, first)
    for (const [at, objects] of all.entries()) {
      expect(objects.flatMap(invalid), 'generated objects are valid').toEqual([])
      for (const refused of await fleet.load(objects)) {
        const words = refused.message.replaceAll(refused.name, '').replaceAll(/\[?\d[\d.:a-f]*\]?/g, 'N')
        if (!findings.has(words) && findings.size < MOST_TOLD)
          findings.set(words, told(identities, objects, refused, `seed ${seed + number}, mesh ${at}`))
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)))
  expect([...findings.values()].join('\n\n')).toBe('')
})

/** Envoy's words, the resource as it was authored, and the least mesh that gives this resource. */
function told(
  identities: Identities,
  objects: readonly Raw[],
  { view, type, name, version, message }: Refused,
  where: string,
): string {
  const proxy = PROXIES.find(({ anchor }) => `${anchor.namespace}/${anchor.name}` === view.workload)
  using core = generatedCore({ protos, clock: new ManualClock(Date.now()), identities })
  const authored = (tried: readonly Raw[]) => {
    load(core, tried)
    for (const { anchor } of PROXIES) core.mesh.meshed.set(`${anchor.namespace}/${anchor.name}`, true)
    core.graph.commit()
    const own = proxy && viewOfProxy(core, proxy)
    if (own === undefined) return undefined
    using found = core.delivery.watch(own, type, name, () => {})
    return found.value?.version === version ? core.resources.authored(type, name, own)?.message : undefined
  }
  let least = objects
  for (const object of objects) {
    const fewer = least.filter((other) => other !== object)
    const needed = ANCHORS.some((own) => object.kind === 'Workload' && object.metadata.name === own.name)
    if (!needed && authored(fewer) !== undefined) least = fewer
  }
  return [
    `${view.workload} refused ${type} ${name} (${where}): ${message}`,
    stringify(authored(least) ?? 'the resource is another one alone', { aliasDuplicateObjects: false }),
    ...least.map((object) => stringify(object, { aliasDuplicateObjects: false })),
  ].join('\n---\n')
}
