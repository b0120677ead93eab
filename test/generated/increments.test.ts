/**
 * Increments equal full recomputation, byte for byte: whatever order changes come in, wherever commits fall, whatever is watched
 * meanwhile, what proxies are sent is what a fresh core makes of the objects that are in force.
 */
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import type { Change } from '../../src/catalog/change.ts'
import { kinds, type KindName } from '../../src/api/index.ts'
import type { Core } from '../../src/core.ts'
import {
  CLUSTER,
  ENDPOINTS,
  EXTENSION,
  INBOUND,
  inboundName,
  LISTENER,
  OUTBOUND,
  ROUTES,
  SECRET,
  VIRTUAL_HOST,
} from '../../src/envoy/names.ts'
import { TCP_ALLOW, TCP_DENY } from '../../src/envoy/inbound-filters.ts'
import { BUNDLE, SVID } from '../../src/envoy/tls.ts'
import type { View } from '../../src/envoy/view.ts'
import type { Resource, Watched } from '../../src/xds/source.ts'
import { ManualClock } from '../identity/world.ts'
import { testProtos } from '../proto/protos.ts'
import { catalogs, idOf, objects, type Raw } from './arbitraries.ts'
import {
  ANCHORS,
  askable,
  generatedCore,
  keyOfAnchor,
  openIdentities,
  PROXIES,
  TRUST_DOMAINS,
  viewOfProxy,
} from './core.ts'

const numRuns = Number(process.env['SEQUENCES'] ?? 150)
const seed = Number(process.env['SEED'] ?? Math.trunc(Date.now() % 2 ** 31))
const protos = testProtos()
const identities = await openIdentities(Date.UTC(2026, 0, 1))
const options = { certificates: identities.certificates, anchors: ANCHORS, trustDomains: TRUST_DOMAINS }
const newCore = (): Core => generatedCore({ protos, clock: new ManualClock(), identities })

afterAll(() => identities[Symbol.dispose]())

type Step =
  | { readonly do: 'upsert'; readonly object: Raw; readonly source: string }
  /** A version that cannot be read: the last good one stays in force. */
  | { readonly do: 'break'; readonly pick: number }
  | { readonly do: 'delete'; readonly pick: number }
  /** A source tells anew of all that it has, in another order, and some of it gone. */
  | { readonly do: 'relist'; readonly source: string; readonly keep: readonly boolean[] }
  | { readonly do: 'mesh'; readonly objects: readonly Raw[] }
  | { readonly do: 'meshed'; readonly pick: number }
  | { readonly do: 'watch' | 'unwatch'; readonly proxy: number; readonly pick: number }
  | { readonly do: 'commit' }

const any = fc.nat({ max: 1_000_000 })
const aSource = fc.constantFrom('one', 'two')
const anObject = fc.oneof(...objects(options).map(([arbitrary, weight]) => ({ arbitrary, weight })))

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('upsert' as const), object: anObject, source: aSource }) },
  { weight: 2, arbitrary: any.map((pick) => ({ do: 'break' as const, pick })) },
  { weight: 3, arbitrary: any.map((pick) => ({ do: 'delete' as const, pick })) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('relist' as const),
      source: aSource,
      keep: fc.array(fc.boolean(), { maxLength: 20 }),
    }),
  },
  { weight: 1, arbitrary: catalogs(options).map((all) => ({ do: 'mesh' as const, objects: all })) },
  { weight: 1, arbitrary: any.map((pick) => ({ do: 'meshed' as const, pick })) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('watch' as const, 'watch' as const, 'unwatch' as const),
      proxy: fc.nat({ max: PROXIES.length - 1 }),
      pick: any,
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: 'commit' as const }) },
)

const sequences = fc.record({
  first: catalogs(options),
  steps: fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }),
})

/** One watch of a proxy: of a resource, or of the names that a wildcard gets. */
interface Held {
  readonly view: View
  readonly type: string
  /** Undefined for names. */
  readonly name: string | undefined
  readonly watched: Watched<Resource | undefined> | Watched<readonly string[]>
  /** What it showed when it was last looked at. */
  seen: string
  told: number
}

class Run {
  readonly core = newCore()
  /** What each source declares now, by the identity of the object. */
  readonly #declared = new Map<string, Map<string, Raw>>()
  readonly #held: Held[] = []
  readonly #askable = askable(this.core)
  readonly #views: readonly View[]

  constructor(first: readonly Raw[]) {
    this.#replace('one', first)
    this.core.graph.commit()
    this.#views = PROXIES.map((proxy) => viewOfProxy(this.core, proxy))
    for (const [at] of PROXIES.entries()) for (let pick = 0; pick < 12; pick++) this.#watch(at, pick * 7919)
  }

  take(step: Step): void {
    switch (step.do) {
      case 'upsert':
        this.#of(step.source).set(idOf(step.object), step.object)
        return this.#apply([{ op: 'upsert', object: step.object, origin: { source: step.source } }])
      case 'break': {
        const [source, object] = this.#pick(step.pick)
        if (object === undefined) return
        const broken = { ...object, spec: 'broken', addressType: 7, data: 7 }
        return this.#apply([{ op: 'upsert', object: broken, origin: { source } }])
      }
      case 'delete': {
        const [source, object] = this.#pick(step.pick)
        if (object === undefined) return
        this.#of(source).delete(idOf(object))
        const [kind = '', key = ''] = idOf(object).split(' ')
        return this.#apply([{ op: 'delete', kind: kind as KindName, key, source }])
      }
      case 'relist': {
        const own = [...this.#of(step.source).values()].toReversed()
        return this.#replace(
          step.source,
          own.filter((object, at) => isAnchor(object) || (step.keep[at] ?? true)),
        )
      }
      case 'mesh':
        return this.#replace('one', step.objects)
      case 'meshed': {
        const [anchor] = ANCHORS.slice(step.pick % ANCHORS.length)
        if (anchor !== undefined) this.core.mesh.meshed.set(keyOfAnchor(anchor), true)
        return undefined
      }
      case 'watch':
        return this.#watch(step.proxy, step.pick)
      case 'unwatch': {
        const at = step.pick % Math.max(1, this.#held.length)
        this.#held.splice(at, 1)[0]?.watched[Symbol.dispose]()
        return undefined
      }
      case 'commit':
        return this.#commit()
    }
  }

  finish(): void {
    this.#commit()
    for (const { watched } of this.#held.splice(0)) watched[Symbol.dispose]()
    for (const view of this.#views) this.core.delivery.disconnected(view)
    this.core.graph.commit()
    // nothing is kept that nobody watches
    expect(Object.entries(this.core.graph.sizes()).filter(([, size]) => size > 0)).toEqual([])
    this.core[Symbol.dispose]()
  }

  #of(source: string): Map<string, Raw> {
    const own = this.#declared.get(source) ?? new Map<string, Raw>()
    this.#declared.set(source, own)
    return own
  }

  #pick(pick: number): [string, Raw | undefined] {
    const all = [...this.#declared].flatMap(([source, own]) =>
      [...own.values()].map((object) => [source, object] as const),
    )
    const free = all.filter(([, object]) => !isAnchor(object))
    const [source = 'one', object] = free[pick % Math.max(1, free.length)] ?? []
    return [source, object]
  }

  #apply(changes: readonly Change[]): void {
    this.core.catalog.apply(changes)
  }

  #replace(source: string, all: readonly Raw[]): void {
    this.#declared.set(source, new Map(all.map((object) => [idOf(object), object])))
    this.core.catalog.replaceAll(
      source,
      all.map((object, line) => ({ op: 'upsert', object, origin: { source, line } })),
    )
  }

  #watch(proxy: number, pick: number): void {
    const [view] = this.#views.slice(proxy)
    if (view === undefined) return
    const wanted = namesOf(this.core, this.#askable.get(view.namespace), view)
    const [chosen] = wanted.slice(pick % wanted.length)
    if (chosen === undefined) return
    const { type, name } = chosen
    const held: { -readonly [K in keyof Held]?: Held[K] } = { view, type, name, told: 0 }
    const changed = (): void => void (held.told = (held.told ?? 0) + 1)
    held.watched =
      name === undefined
        ? this.core.delivery.watchNames(view, type, changed)
        : this.core.delivery.watch(view, type, name, changed)
    held.seen = shown(held.watched.value)
    this.#held.push(held as Held)
  }

  #commit(): void {
    this.core.graph.commit()
    using fresh = newCore()
    const inForce = (Object.keys(kinds) as KindName[]).flatMap((kind) =>
      [...this.core.catalog.table(kind).entries()].map(([, object]) => object),
    )
    fresh.catalog.replaceAll(
      'all',
      inForce.map((object, line) => ({ op: 'upsert', object, origin: { source: 'all', line } })),
    )
    for (const [workload] of this.core.mesh.meshed.entries()) fresh.mesh.meshed.set(workload, true)
    for (const held of this.#held) {
      const { view, type, name, watched } = held
      using again =
        name === undefined
          ? fresh.delivery.watchNames(view, type, () => {})
          : fresh.delivery.watch(view, type, name, () => {})
      const now = shown(watched.value)
      expect(now, `${type} ${name ?? 'names'} of ${view.workload}`).toBe(shown(again.value))
      if (now !== held.seen) expect(held.told, `was told of ${type} ${name ?? 'names'}`).toBeGreaterThan(0)
      held.seen = now
      held.told = 0
    }
  }
}

const isAnchor = (object: Raw): boolean => ANCHORS.some((own) => idOf(object) === `Workload ${keyOfAnchor(own)}`)

/** Everything that a proxy may watch, lists first. */
function namesOf(
  core: Core,
  clusters: readonly string[],
  view: View,
): { readonly type: string; readonly name: string | undefined }[] {
  const of = (type: string, ...names: readonly (string | undefined)[]) => names.map((name) => ({ type, name }))
  const ports = [INBOUND, ...[80, 443, 8080, 9000].map(inboundName)]
  using hosts = core.delivery.watchNames(view, VIRTUAL_HOST, () => {})
  const virtualHosts = clusters.filter((name) => !name.includes('|')).map((name) => `${OUTBOUND}/${name}`)
  return [
    ...[LISTENER, CLUSTER, VIRTUAL_HOST].flatMap((type) => of(type, undefined)),
    ...of(LISTENER, OUTBOUND, INBOUND, 'again', 'upstream/7001'),
    ...of(ROUTES, OUTBOUND, 'external', ...ports),
    ...of(EXTENSION, TCP_DENY, TCP_ALLOW),
    ...of(SECRET, SVID, BUNDLE, `secret/${view.namespace}/client`),
    ...of(VIRTUAL_HOST, ...hosts.value, ...virtualHosts),
    ...of(CLUSTER, ...clusters, ...ports),
    ...of(ENDPOINTS, ...clusters),
  ]
}

/** A value as text: all of it, bytes included. */
function shown(value: Resource | undefined | readonly string[]): string {
  if (value === undefined) return 'nothing'
  if (!('bytes' in value)) {
    expect(new Set(value).size, 'each name once').toBe(value.length)
    return value.join('\n')
  }
  return JSON.stringify({ ...value, bytes: Buffer.from(value.bytes).toString('latin1') })
}

it(`increments equal full recomputation (SEED=${seed})`, { timeout: 600_000 }, () => {
  expect.hasAssertions()
  fc.assert(
    fc.property(sequences, ({ first, steps }) => {
      const run = new Run(first)
      for (const step of steps) run.take(step)
      run.finish()
    }),
    { numRuns, seed },
  )
})
