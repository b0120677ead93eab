import { X509Certificate } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { lifetimes } from '../../src/identity/lifetimes.ts'
import { redact } from '../../src/identity/redact.ts'
import { svidSecret } from '../../src/identity/secrets.ts'
import { planSvid, type Svid } from '../../src/identity/svids.ts'
import { CART, DAY, FAST, openWorld, opensslVerify, present, SECOND, WEB } from './world.ts'

const HOUR = DAY / 24

describe('SVIDs in use', () => {
  it('are one for each identity, for as long as somebody holds it', async () => {
    using world = await openWorld()
    const { svids } = world
    const first = svids.hold({ id: CART })
    const second = svids.hold({ id: CART })
    expect(second.svid).toBe(first.svid)
    using other = svids.hold({ id: WEB })
    expect(other.svid).not.toBe(first.svid)
    expect(svids.size).toBe(2)
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    expect(svids.size).toBe(2)
    second[Symbol.dispose]()
    expect(svids.size).toBe(1)
    using again = svids.hold({ id: CART })
    expect(again.svid).not.toBe(first.svid)
    expect(present(again.svid).version).toBe(present(first.svid).version)
  })

  it('are others where further names are asked for', async () => {
    using world = await openWorld()
    const plain = world.svids.hold({ id: CART })
    const named = world.svids.hold({ id: CART, dns: ['localhost'], ip: ['127.0.0.1'] })
    expect(present(named.svid).version).not.toBe(present(plain.svid).version)
    const { subjectAltName } = new X509Certificate(present(named.svid).certificateChain)
    expect(subjectAltName).toBe(`URI:${CART}, DNS:localhost, IP Address:127.0.0.1`)
  })

  it('are signed only when somebody reads them, once', async () => {
    using world = await openWorld()
    const svid = present(world.svids.hold({ id: CART }).svid)
    expect(await world.registry.metrics()).toContain('heddle_ca_svids_issued_total 0')
    expect(svid.certificateChain).toBe(svid.certificateChain)
    expect(new X509Certificate(svid.certificateChain).checkPrivateKey(svid.privateKey)).toBe(true)
    expect(await world.registry.metrics()).toContain('heddle_ca_svids_issued_total 1')
  })

  it('live a day at most and are renewed with half a day left', async () => {
    using world = await openWorld()
    const { clock, svids } = world
    const seen: { readonly at: number; readonly svid: Svid }[] = []
    using lease = svids.hold({ id: CART }, (svid) => seen.push({ at: clock.now(), svid }))
    const first = present(lease.svid)
    expect(first.notAfter - clock.now()).toBeGreaterThan(12 * HOUR - SECOND)
    expect(first.notAfter - clock.now()).toBeLessThanOrEqual(24 * HOUR)
    await world.advance(5 * DAY)
    expect(seen).toHaveLength(10)
    let before = first
    for (const { at, svid } of seen) {
      expect(before.notAfter - at).toBeGreaterThan(12 * HOUR - SECOND)
      expect(svid.version).not.toBe(before.version)
      expect(svid.notAfter - at).toBeGreaterThan(24 * HOUR - 2 * 60 * SECOND)
      before = svid
    }
    expect(lease.svid).toBe(before)
    const read = new X509Certificate(before.certificateChain)
    expect(read.validToDate.getTime()).toBe(before.notAfter)
    expect(read.validFromDate.getTime()).toBe(Math.floor((clock.now() - 60 * SECOND) / 1000) * 1000)
  })

  it('begin no earlier than their issuer', async () => {
    using world = await openWorld()
    await world.authority.rotateIssuer()
    const svid = present(world.svids.hold({ id: CART }).svid)
    const { notBefore } = world.authority.issuer.certificate
    expect(new X509Certificate(svid.certificateChain).validFromDate.getTime()).toBeGreaterThanOrEqual(notBefore)
  })

  it('are renewed evenly, not all at once', async () => {
    using world = await openWorld()
    const { clock, svids } = world
    const renewals = new Map<number, number>()
    for (let i = 0; i < 1200; i++) {
      svids.hold({ id: `${CART}-${i}` }, () => {
        const hour = Math.floor(clock.now() / HOUR)
        renewals.set(hour, (renewals.get(hour) ?? 0) + 1)
      })
    }
    await world.advance(12 * HOUR)
    const counts = [...renewals.values()]
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1190)
    // a hundred an hour if it were perfectly even
    expect(Math.max(...counts)).toBeLessThan(150)
  })

  it('have the same version at another replica and after a restart, so that nothing is sent again', async () => {
    using a = await openWorld()
    using b = await openWorld({ clock: a.clock, store: a.store })
    const [atA, atB] = [a.svids.hold({ id: CART }), b.svids.hold({ id: CART })]
    for (let hour = 0; hour < 48; hour++) {
      await a.advance(HOUR)
      await b.authority.settled()
      expect(present(atB.svid).version).toBe(present(atA.svid).version)
      using restarted = await openWorld({ clock: a.clock, store: a.store })
      expect(present(restarted.svids.hold({ id: CART }).svid).version).toBe(present(atA.svid).version)
    }
  })

  it('follow identity, issuer and time, each', async () => {
    using world = await openWorld()
    const { clock, authority } = world
    const plan = (id: string, time: number) =>
      present(planSvid(id, id, authority.issuer, authority.root.id, lifetimes(), time)).version
    const version = plan(CART, clock.now())
    expect(plan(WEB, clock.now())).not.toBe(version)
    expect(plan(CART, clock.now() + 12 * HOUR)).not.toBe(version)
    await authority.rotateIssuer()
    expect(plan(CART, clock.now())).not.toBe(version)
  })

  it('stay as they are when only the issuer is another', async () => {
    using world = await openWorld()
    const lease = world.svids.hold({ id: CART })
    const before = lease.svid
    await world.authority.rotateIssuer()
    expect(lease.svid).toBe(before)
  })

  it('may live thirty seconds', async () => {
    using world = await openWorld({ lives: FAST })
    const { clock, svids, authority } = world
    let renewals = 0
    const judged: (string | undefined)[] = []
    using lease = svids.hold({ id: CART }, () => renewals++)
    for (let second = 0; second < 150; second++) {
      await world.advance(SECOND)
      const svid = present(lease.svid)
      expect(svid.notAfter - clock.now()).toBeGreaterThanOrEqual(14 * SECOND)
      expect(svid.notAfter - clock.now()).toBeLessThanOrEqual(31 * SECOND)
      if (second % 10 === 0) {
        judged.push(await opensslVerify(svid.certificateChain, authority.bundle.pem, clock.now()))
      }
    }
    expect(judged).toEqual(Array.from({ length: 15 }, () => undefined))
    expect(renewals).toBe(10)
  })

  it('are told to nobody who has let go, and no timer stays behind', async () => {
    const world = await openWorld()
    let told = 0
    world.svids.hold({ id: CART }, () => told++)[Symbol.dispose]()
    await world.advance(2 * DAY)
    expect(told).toBe(0)
    world[Symbol.dispose]()
    expect(world.clock.next).toBeUndefined()
  })

  it('are counted', async () => {
    using world = await openWorld()
    const { registry, svids, clock } = world
    expect(await registry.metrics()).toContain('heddle_ca_svids 0')
    expect(await registry.metrics()).not.toContain('certificate="svid"')
    using cart = svids.hold({ id: CART })
    using web = svids.hold({ id: WEB })
    const earliest = Math.min(present(cart.svid).notAfter, present(web.svid).notAfter)
    expect(await registry.metrics()).toContain('heddle_ca_svids 2')
    expect(await registry.metrics()).toContain(
      `heddle_ca_certificate_expiry_timestamp_seconds{certificate="svid"} ${earliest / 1000}`,
    )
    await clock.advance(DAY)
    expect(await registry.metrics()).toContain('heddle_ca_svid_renewals_total 4')
  })
})

it('no key is shown by whatever prints', async () => {
  using world = await openWorld()
  using lease = world.svids.hold({ id: CART })
  const svid = present(lease.svid)
  const key = svid.exportPrivateKey()
  const body = present(/\n([A-Za-z0-9+/]{40})/.exec(key)?.[1])
  const shown = [
    inspect(svid, { depth: 20, showHidden: true }),
    inspect({ nested: [svid] }, { depth: 20 }),
    inspect(lease, { depth: 20, showHidden: true }),
    inspect(world.svids, { depth: 20, showHidden: true }),
    inspect(svid.privateKey, { depth: 20, showHidden: true }),
    JSON.stringify({ svid, lease, key: svid.privateKey, svids: world.svids }),
    JSON.stringify(redact(svidSecret(svid))),
    inspect(redact({ svid, bytes: Buffer.from(key), text: `oops: ${key}` }), { depth: 20 }),
  ].join('\n')
  expect(shown).toContain(CART)
  expect(shown).not.toContain(body)
  expect(shown).not.toContain('BEGIN PRIVATE')
  expect(shown).not.toContain(Buffer.from(key).toString('base64').slice(60, 100))
})
