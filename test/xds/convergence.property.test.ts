// Whatever changes, is answered, refused, or breaks, in whatever order: once it is quiet, the client has what the source says,
// nothing was sent that it had, and at no moment was anything at the client without what it requires.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeDeltaAnswer } from '../support/discovery.ts'
import type { Resource } from '../../src/xds/source.ts'
import { CLUSTER, ENDPOINTS, LISTENER, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { ref } from './graph-source.ts'
import { DeltaHarness, StateHarness } from './harness.ts'

const SERVICES = ['x', 'y', 'z']
const BACKENDS = ['b1', 'b2', 'b3']
const CLUSTERS = [...SERVICES, ...BACKENDS]
const NAMES: Record<string, readonly string[]> = {
  [CLUSTER]: CLUSTERS,
  [ENDPOINTS]: CLUSTERS,
  [VIRTUAL_HOST]: SERVICES,
  [LISTENER]: ['outbound', 'inbound'],
}
const TYPES = Object.keys(NAMES)
const KEPT = new Set([CLUSTER])

type Step =
  | {
      readonly do: 'set'
      readonly type: string
      readonly name: string
      readonly text: string
      readonly requires: readonly string[]
    }
  | { readonly do: 'remove' | 'subscribe' | 'unsubscribe'; readonly type: string; readonly name: string }
  | { readonly do: 'list'; readonly type: string; readonly names: readonly string[] }
  | { readonly do: 'commit' | 'reconnect' | 'pump' }
  | { readonly do: 'move' | 'answer'; readonly count: number }

/** Clusters and virtual hosts require each other, so most is tried on them. */
const aType = fc.constantFrom(CLUSTER, CLUSTER, CLUSTER, VIRTUAL_HOST, VIRTUAL_HOST, ENDPOINTS, LISTENER)

const named = aType.chain((type) =>
  fc.record({ type: fc.constant(type), name: fc.constantFrom(...(NAMES[type] ?? [])) }),
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .record({
        do: fc.constant('set' as const),
        at: named,
        text: fc.constantFrom('1', '2', '3', 'bad'),
        requires: fc.subarray(BACKENDS),
      })
      .map(({ at, ...rest }) => ({ ...at, ...rest })),
  },
  { weight: 2, arbitrary: named.map((at) => ({ do: 'remove' as const, ...at })) },
  { weight: 3, arbitrary: named.map((at) => ({ do: 'subscribe' as const, ...at })) },
  { weight: 1, arbitrary: named.map((at) => ({ do: 'unsubscribe' as const, ...at })) },
  {
    weight: 3,
    arbitrary: aType.chain((type) =>
      fc.record({
        do: fc.constant('list' as const),
        type: fc.constant(type),
        names: fc.subarray([...(NAMES[type] ?? [])]),
      }),
    ),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'pump' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('move' as const, 'answer' as const),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
)

const steps = fc.array(step, { minLength: 5, maxLength: 80, size: 'max' })

const runs = { numRuns: 1_000 }

it('delta', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const world = new DeltaWorld()
      world.run(all)
      expect(world.at.session.pending).toBe(0)
    }),
    runs,
  )
})

it('state of the world', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const world = new StateWorld()
      world.run(all)
      expect(world.at.session.pending).toBe(0)
    }),
    runs,
  )
})

/** Names are spread over the types, so a name alone tells nothing; contents of all that was ever there, by type, name and version. */
class Contents {
  readonly #known = new Map<string, Resource>()

  note(type: string, resource: Resource | undefined): void {
    if (resource !== undefined) this.#known.set(`${type} ${resource.name} ${resource.version}`, resource)
  }

  requires(type: string, name: string, version: string) {
    return this.#known.get(`${type} ${name} ${version}`)?.requires ?? []
  }
}

function change(at: DeltaHarness | StateHarness, contents: Contents, one: Step): void {
  if (one.do === 'set') {
    const requires =
      one.type === VIRTUAL_HOST
        ? one.requires.map((name) => ref(CLUSTER, name))
        : one.type === CLUSTER && SERVICES.includes(one.name) && one.text !== '1'
          ? [ref(VIRTUAL_HOST, one.name)]
          : []
    // what a resource requires is part of its content
    at.source.set(one.type, one.name, `${requires.map(({ name }) => name).join()} ${one.text}`, { requires })
    contents.note(one.type, at.source.get(one.type, one.name))
  } else if (one.do === 'remove') at.source.remove(one.type, one.name)
  else if (one.do === 'list') at.source.list(one.type, ...one.names)
  else if (one.do === 'commit') at.commit()
  else if (one.do === 'pump') at.pump()
  else if (one.do === 'move') for (let count = 0; count < one.count; count++) at.step()
}

const isBad = (bytes: Uint8Array): boolean => Buffer.from(bytes).toString().endsWith('bad')

class DeltaWorld {
  readonly contents = new Contents()
  readonly at: DeltaHarness = new DeltaHarness({
    answers: 'hold',
    judge: ({ resources }) => (resources.some(({ bytes }) => isBad(bytes)) ? 'no' : undefined),
  })
  /** Versions that went to the client and were not refused, by type and name. */
  readonly given = new Map<string, string>()
  /** What has changed in the source since its last commit. */
  readonly uncommitted = new Set<string>()
  /** Removals that were sent as an answer. */
  readonly answered = new Set<string>()
  /** How often each version is on its way. */
  readonly onItsWay = new Map<string, number>()
  /** What may be sent though the client has it. */
  readonly owed = new Map<string, number>()
  /** What the client had by a wildcard when it came back. */
  readonly brought = new Set<string>()
  /** Versions that it had then: where they are not the present ones, nobody knows what they require. */
  readonly outdated = new Map<string, string>()

  constructor() {
    this.at.watching = (message) => this.#watch(message)
    this.at.peer.wildcard(CLUSTER)
    this.at.peer.wildcard(VIRTUAL_HOST)
    this.at.peer.wildcard(LISTENER)
  }

  run(steps: readonly Step[]): void {
    const { at } = this
    for (const one of steps) {
      if (one.do === 'subscribe') {
        this.#owe(one.type, one.name)
        at.peer.subscribe(one.type, one.name)
      } else if (one.do === 'unsubscribe') {
        if (!at.peer.isSubscribed(one.type, one.name)) continue
        this.#owe(one.type, one.name)
        at.peer.unsubscribe(one.type, one.name)
      } else if (one.do === 'reconnect') this.#reconnect()
      else if (one.do === 'answer') this.#answer(one.count)
      else {
        change(at, this.contents, one)
        if (one.do === 'commit') this.uncommitted.clear()
        if (one.do === 'set' || one.do === 'remove') this.uncommitted.add(`${one.type} ${one.name}`)
      }
    }
    at.commit()
    this.uncommitted.clear()
    // again and again: what a client brought goes a while after it has come back
    for (let round = 0; round < 3; round++) {
      do at.pump()
      while (this.#answer(Number.POSITIVE_INFINITY) > 0)
      at.clock.advance(5_000)
    }
    expect(at.clock.timers).toBe(0)
    expect(at.session.pending).toBe(0)
    this.#compare()
  }

  #compare(): void {
    const { source, peer } = this.at
    for (const type of TYPES) {
      const interest = peer.interests.get(type)
      const wildcard = interest?.wildcard === true
      const has = peer.versions(type)
      for (const name of NAMES[type] ?? []) {
        const explicit = interest?.names.has(name) === true
        const required = wildcard && this.#required(type, name, false)
        const maybe = wildcard && this.#required(type, name, true)
        const wanted = explicit || (wildcard && source.names(type).includes(name)) || required
        const resource = source.get(type, name)
        const what = `${type} ${name}`
        if (wanted && resource !== undefined && !isBad(resource.bytes)) expect(has[name], what).toBe(resource.version)
        else if (wanted && resource === undefined && has[name] !== undefined) {
          expect((explicit && KEPT.has(type)) || maybe, `${what} is kept`).toBe(true)
        } else if (!wanted && !maybe && has[name] !== undefined) {
          expect(this.brought.has(what) && resource !== undefined, `${what} is left`).toBe(true)
        }
      }
    }
  }

  /** By something that the client has, or should have and has not refused; `unknown`: be it that the server cannot know. */
  #required(type: string, name: string, unknown: boolean): boolean {
    const { peer, source } = this.at
    return TYPES.some((by) =>
      (NAMES[by] ?? []).some((user) => {
        const held = peer.versions(by)[user]
        const wanted = source.get(by, user)
        const known = held !== undefined && (unknown || this.outdated.get(`${by} ${user}`) !== held)
        const required = [
          ...(known ? this.contents.requires(by, user, held) : []),
          ...(held !== undefined && wanted !== undefined && !isBad(wanted.bytes) ? wanted.requires : []),
        ]
        return required.some((one) => one.type === type && one.name === name)
      }),
    )
  }

  #onItsWay(type: string, name: string, version: string, more: number): number {
    const key = `${type} ${name} ${version}`
    const count = (this.onItsWay.get(key) ?? 0) + more
    this.onItsWay.set(key, count)
    return count
  }

  #owe(type: string, name: string): void {
    const key = `${type} ${name}`
    this.owed.set(key, (this.owed.get(key) ?? 0) + 1)
  }

  #reconnect(): void {
    const { peer } = this.at
    this.at.reconnect()
    this.given.clear()
    this.owed.clear()
    this.onItsWay.clear()
    this.brought.clear()
    this.outdated.clear()
    for (const type of TYPES) {
      for (const [name, { version }] of peer.has(type)) {
        this.given.set(`${type} ${name}`, version)
        this.brought.add(`${type} ${name}`)
        this.outdated.set(`${type} ${name}`, version)
      }
    }
  }

  #answer(count: number): number {
    return this.at.peer.answerHeld(count, (answer) => {
      for (const { name, version } of answer.resources) this.#onItsWay(answer.type, name, version, -1)
      // refused: all of it may come again
      if (answer.resources.some(({ bytes }) => isBad(bytes))) {
        for (const { name, version } of answer.resources) {
          const key = `${answer.type} ${name}`
          this.#owe(answer.type, name)
          if (answer.type === CLUSTER) this.#owe(ENDPOINTS, name)
          if (this.given.get(key) !== version || this.#onItsWay(answer.type, name, version, 0) > 0) continue
          const held = this.at.peer.has(answer.type).get(name)?.version
          if (held === undefined) this.given.delete(key)
          else this.given.set(key, held)
        }
        return
      }
      for (const name of answer.removed) this.#mayGo(answer.type, name)
    })
  }

  /** Make before break: nothing that the client has requires this. */
  #mayGo(type: string, name: string): void {
    const { peer } = this.at
    if (
      this.answered.delete(`${type} ${name}`) ||
      peer.isSubscribed(type, name) ||
      peer.has(type).get(name) === undefined
    )
      return
    for (const by of TYPES) {
      for (const [user, { version }] of peer.has(by)) {
        if (this.outdated.get(`${by} ${user}`) === version) continue
        const required = this.contents.requires(by, user, version).some((one) => one.type === type && one.name === name)
        expect(required && peer.interests.get(type)?.wildcard, `${user} needs ${name}`).toBeFalsy()
      }
    }
  }

  /** At the moment of sending. */
  #watch(message: Buffer): void {
    const { peer, source } = this.at
    const { type, resources, removed } = decodeDeltaAnswer(message)
    for (const name of removed) {
      this.given.delete(`${type} ${name}`)
      if (peer.isSubscribed(type, name)) this.answered.add(`${type} ${name}`)
    }
    for (const { name, version } of resources) {
      const key = `${type} ${name}`
      const owed = this.owed.get(key) ?? 0
      if (this.given.get(key) === version) {
        expect(owed, `${key} is sent again`).toBeGreaterThan(0)
        this.owed.set(key, owed - 1)
      } else if (type === CLUSTER) this.#owe(ENDPOINTS, name)
      for (const one of this.contents.requires(type, name, version)) {
        const there = source.get(one.type, one.name)
        // what changes before a commit may or may not have been seen
        if (there === undefined || isBad(there.bytes) || this.uncommitted.has(`${one.type} ${one.name}`)) continue
        expect(this.given.has(`${one.type} ${one.name}`), `${one.name} before ${name}`).toBe(true)
        // what is in use changes only when the client has taken what it newly requires
        const used = this.given.get(key)
        if (used === undefined || used === version || !peer.has(type).has(name)) continue
        expect(peer.has(one.type).has(one.name), `${one.name} taken before ${name} changes`).toBe(true)
      }
      this.given.set(key, version)
      this.#onItsWay(type, name, version, 1)
    }
  }
}

class StateWorld {
  readonly contents = new Contents()
  readonly at: StateHarness = new StateHarness({
    answers: 'hold',
    judge: (_names, texts) => (texts.some((text) => text.endsWith('bad')) ? 'no' : undefined),
  })
  readonly wanted = new Map<string, Set<string>>()

  constructor() {
    this.at.peer.want(CLUSTER)
    this.at.peer.want(LISTENER)
  }

  run(steps: readonly Step[]): void {
    const { at } = this
    for (const one of steps) {
      if (one.do === 'subscribe' || one.do === 'unsubscribe') {
        if (one.type === CLUSTER || one.type === LISTENER) continue
        const names = this.wanted.get(one.type) ?? new Set()
        this.wanted.set(one.type, names)
        if (one.do === 'subscribe') names.add(one.name)
        else if (!names.delete(one.name)) continue
        at.peer.want(one.type, ...names)
      } else if (one.do === 'reconnect') at.reconnect()
      else if (one.do === 'answer') at.peer.answerHeld()
      else change(at, this.contents, one)
    }
    at.commit()
    for (let round = 0; round < 3; round++) {
      do at.pump()
      while (at.peer.answerHeld() > 0)
      at.clock.advance(5_000)
    }
    for (const type of TYPES) {
      const whole = type === CLUSTER || type === LISTENER
      const wanted = whole ? at.source.names(type) : [...(this.wanted.get(type) ?? [])]
      for (const name of wanted) {
        const resource = at.source.get(type, name)
        if (resource === undefined || isBad(resource.bytes)) continue
        expect(Buffer.from(at.peer.has(type).get(name) ?? ''), `${type} ${name}`).toEqual(resource.bytes)
      }
      if (whole)
        for (const name of at.peer.names(type)) expect(this.#may(type, name), `${type} ${name} is left`).toBe(true)
    }
  }

  /** Listed, or required by something. */
  #may(type: string, name: string): boolean {
    return this.at.source.names(type).includes(name) || type === CLUSTER
  }
}
