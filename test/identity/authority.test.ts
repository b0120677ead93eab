import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { fileAuthorityStore } from '../../src/identity/authority-store.ts'
import { OwnAuthority } from '../../src/identity/authority.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { DOMAIN, FAST, ManualClock, openWorld, SECOND, SharedStore, withFolder } from './world.ts'

const ids = (authority: OwnAuthority): readonly string[] => authority.bundle.roots.map(({ id }) => id)

describe('the authority', () => {
  it('is made once and loaded ever after', async () => {
    using first = await openWorld()
    const { clock, store } = first
    using second = await openWorld({ clock, store })
    expect(second.authority.issuer.certificate.id).toBe(first.authority.issuer.certificate.id)
    expect(second.authority.bundle).toEqual(first.authority.bundle)
    expect(store.saves).toBe(1)
  })

  it('is made once, too, by replicas that start together', async () => {
    const [clock, store] = [new ManualClock(), new SharedStore()]
    const worlds = await Promise.all(Array.from({ length: 5 }, () => openWorld({ clock, store })))
    expect(new Set(worlds.map(({ authority }) => authority.issuer.certificate.id)).size).toBe(1)
    expect(store.saves).toBe(1)
    for (const world of worlds) world[Symbol.dispose]()
  })

  it('rotates root and issuer by itself, bundle first, and tells of each change', async () => {
    using world = await openWorld({ lives: FAST })
    const { authority, advance } = world
    const seen: string[] = []
    authority.onChange(() => seen.push(`${authority.rotation.phase} ${authority.bundle.roots.length}`))
    const [before] = ids(authority)
    await advance(179 * SECOND)
    expect(ids(authority)).toEqual([before])
    await advance(2 * SECOND)
    expect(ids(authority)).toContain(before)
    expect(ids(authority)).toHaveLength(2)
    expect(authority.root.id).toBe(before)
    await advance(60 * SECOND)
    expect(authority.root.id).not.toBe(before)
    expect(ids(authority)).toContain(before)
    await advance(60 * SECOND)
    expect(ids(authority)).toEqual([authority.root.id])
    expect(seen).toEqual(expect.arrayContaining(['introducing 2', 'retiring 2', 'steady 1']))
    expect(world.errors).toEqual([])
    const metrics = await world.registry.metrics()
    expect(metrics).toContain('heddle_ca_rotations_total{certificate="root"} 1')
    expect(metrics).toMatch(/heddle_ca_certificate_expiry_timestamp_seconds\{certificate="root"\} \d+/)
  })

  it('keeps the same bundle where only the order of its roots changes', async () => {
    using world = await openWorld({ lives: FAST })
    await world.advance(200 * SECOND)
    const { bundle } = world.authority
    await world.advance(45 * SECOND)
    expect(world.authority.rotation.phase).toBe('retiring')
    expect(world.authority.bundle).toBe(bundle)
  })

  it('tells nobody of a step that is not stored, and tries again', async () => {
    using world = await openWorld({ lives: FAST })
    const { authority, store, advance } = world
    const before = authority.issuer.certificate.id
    store.failure = new Error('no space left')
    await advance(70 * SECOND)
    expect(authority.issuer.certificate.id).toBe(before)
    expect(world.errors.length).toBeGreaterThan(0)
    expect(await world.registry.metrics()).toMatch(/heddle_ca_failures_total\{operation="store"\} [1-9]/)
    store.failure = undefined
    await advance(15 * SECOND)
    expect(authority.issuer.certificate.id).not.toBe(before)
  })

  it('rotates by hand', async () => {
    using world = await openWorld()
    const { authority } = world
    const before = authority.issuer.certificate.id
    await authority.rotateIssuer()
    expect(authority.issuer.certificate.id).not.toBe(before)
    expect(await authority.rotateRoot()).toBe(true)
    expect(authority.rotation.phase).toBe('introducing')
    expect(await authority.rotateRoot()).toBe(false)
    world.store.failure = new Error('no space left')
    await expect(authority.rotateIssuer()).rejects.toThrow('no space left')
    world.store.failure = undefined
    await authority.rotateIssuer()
  })

  it('of two replicas that step at once, one wins and the other follows', async () => {
    using a = await openWorld({ lives: FAST })
    using b = await openWorld({ lives: FAST, clock: a.clock, store: a.store })
    const settle = async (): Promise<void> => {
      await a.authority.settled()
      await b.authority.settled()
    }
    for (let step = 0; step < 80; step++) {
      await a.clock.advance(5 * SECOND, settle)
      await settle()
      expect(b.authority.issuer.certificate.id).toBe(a.authority.issuer.certificate.id)
      expect(b.authority.bundle.version).toBe(a.authority.bundle.version)
    }
    expect([...a.errors, ...b.errors]).toEqual([])
    // 400 s: an issuer a minute and three steps of the root, each stored once
    expect(a.store.saves).toBeLessThan(14)
  })

  it('goes on from memory when what is stored is gone', async () => {
    using world = await openWorld({ lives: FAST })
    const { authority, store } = world
    const before = authority.issuer.certificate.id
    store.stored = undefined
    await world.advance(65 * SECOND)
    expect(world.errors.map(String)[0]).toContain('the shared store is gone')
    expect(authority.issuer.certificate.id).toBe(before)
  })

  it.each([
    [
      'text that is none',
      () => 'nonsense',
      /the shared store does not hold a certificate authority \(it is not JSON\)/,
    ],
    ['another trust domain', (text: string) => text.replace('cluster.local', 'other'), /trust domain 'other', but/],
  ])('refuses %s, saying how to mend it', async (_, change, message) => {
    const store = new SharedStore()
    using world = await openWorld({ store })
    store.stored = { text: change(store.stored?.text ?? ''), revision: 'other' }
    await expect(openWorld({ store, clock: world.clock })).rejects.toThrow(message)
  })

  it('lives in a file of the state directory that only its owner can read', async () => {
    await withFolder(async (folder) => {
      await using stateDir = await StateDir.open(`${folder}/state`, { lock: true, random: randomBytes })
      using world = await openWorld()
      const options = {
        trustDomain: DOMAIN,
        store: fileAuthorityStore(stateDir),
        lifetimes: FAST,
        clock: world.clock,
        random: randomBytes,
        metrics: world.metrics,
        onError: () => {},
      }
      using first = await OwnAuthority.open(options)
      await first.rotateRoot()
      using second = await OwnAuthority.open(options)
      expect(second.bundle).toEqual(first.bundle)
      expect(second.rotation.phase).toBe('introducing')
      // the first one no longer holds the newest revision; it follows
      await second.rotateIssuer()
      await first.rotateIssuer()
      expect(await stateDir.list()).toContain('ca.json')
    })
  })

  it('shows no key when it is printed', async () => {
    using world = await openWorld()
    const { authority, store } = world
    const printed = inspect(authority, { depth: 20, showHidden: true }) + JSON.stringify(authority)
    const keys = store.stored?.text.match(/MIG[A-Za-z0-9+/]+/g) ?? []
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) expect(printed).not.toContain(key)
    expect(printed).not.toContain('PRIVATE KEY-----')
  })
})
