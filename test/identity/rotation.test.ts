// Rotation of leaf, issuer and root while servers and clients run: no handshake may fail.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { OwnAuthority, type TrustBundle } from '../../src/identity/authority.ts'
import { verifyChain } from '../../src/identity/chain.ts'
import { systemClock } from '../../src/engine/clock.ts'
import { lifetimeProblems, lifetimes } from '../../src/identity/lifetimes.ts'
import { identityMetrics } from '../../src/identity/metrics.ts'
import { Svids, type Svid } from '../../src/identity/svids.ts'
import { readCertificates } from '../../src/identity/x509.ts'
import {
  CART,
  DOMAIN,
  FAST,
  handshake,
  ManualClock,
  openWorld,
  opensslVerify,
  present,
  SECOND,
  SharedStore,
  startServer,
  WEB,
  type Side,
} from './world.ts'

interface Held {
  readonly svid: Svid
  readonly bundle: TrustBundle
}

const side = ({ svid, bundle }: Held): Side => ({
  chain: svid.certificateChain,
  key: svid.exportPrivateKey(),
  trusted: bundle.pem,
})

describe('while leaf, issuer and root rotate', () => {
  it('every handshake succeeds, also with a peer that hears of everything ten seconds late', async () => {
    // TLS itself looks at the real time: by a generous allowance for skew everything has begun by then, and ends later.
    // What holds at the time of the manual clock is verified besides.
    const lives = { ...FAST, skew: 365 * 86_400 * SECOND }
    using world = await openWorld({ lives, clock: new ManualClock(Date.now()) })
    const { authority, svids, clock } = world
    using cart = svids.hold({ id: CART })
    using web = svids.hold({ id: WEB })
    const now = (svid: Svid | undefined): Held => ({ svid: present(svid), bundle: authority.bundle })
    await using prompt = await startServer(side(now(cart.svid)))
    await using late = await startServer(side(now(cart.svid)))

    const history: { readonly cart: Held; readonly web: Held }[] = []
    const judged: (string | undefined)[] = []
    const seen = { leaves: new Set<string>(), issuers: new Set<string>(), roots: new Set<string>() }
    for (let second = 0; second < 400; second += 2) {
      await world.advance(2 * SECOND)
      const current = { cart: now(cart.svid), web: now(web.svid) }
      history.push(current)
      const behind = history.at(-6) ?? current
      prompt.use(side(current.cart))
      late.use(side(behind.cart))
      for (const [port, client] of [
        [prompt.port, current.web],
        [prompt.port, behind.web],
        [late.port, current.web],
      ] as const) {
        expect(await handshake(port, side(client))).toEqual({ server: CART, client: WEB })
      }
      for (const [one, other] of [
        [current.cart, behind.web],
        [behind.cart, current.web],
        [current.web, behind.cart],
        [behind.web, current.cart],
      ] as const) {
        const chain = readCertificates(one.svid.certificateChain)
        expect(verifyChain(chain, other.bundle.roots, clock.now())).toEqual({ ok: true })
      }
      if (second % 20 === 0) {
        const { svid } = behind.cart
        judged.push(await opensslVerify(svid.certificateChain, current.web.bundle.pem, clock.now()))
      }
      seen.leaves.add(current.cart.svid.version)
      seen.issuers.add(authority.issuer.certificate.id)
      seen.roots.add(authority.root.id)
    }
    expect(judged).toEqual(Array.from({ length: 20 }, () => undefined))
    expect(seen.leaves.size).toBeGreaterThanOrEqual(26)
    expect(seen.issuers.size).toBeGreaterThanOrEqual(6)
    expect(seen.roots.size).toBeGreaterThanOrEqual(2)
  })

  it('every handshake succeeds in real time, with leaves of four seconds', async () => {
    const lives = lifetimes(4 * SECOND, { issuer: 8 * SECOND, overlap: 4 * SECOND, root: 24 * SECOND, skew: SECOND })
    expect(lifetimeProblems(lives)).toEqual([])
    const clock = systemClock()
    const metrics = identityMetrics(new Registry())
    const errors: unknown[] = []
    const store = new SharedStore()
    const common = { lifetimes: lives, clock, random: randomBytes, metrics }
    const onError = (error: unknown): void => void errors.push(error)
    using authority = await OwnAuthority.open({ ...common, trustDomain: DOMAIN, store, onError })
    using svids = new Svids({ ...common, authority })
    using cart = svids.hold({ id: CART })
    using web = svids.hold({ id: WEB })
    const held = (svid: Svid | undefined): Side => side({ svid: present(svid), bundle: authority.bundle })
    await using server = await startServer(held(cart.svid))

    const first = { root: authority.root.id, issuer: authority.issuer.certificate.id, leaf: present(cart.svid).version }
    // half of the root's life need not pass for that
    await authority.rotateRoot()
    // until the first root is gone altogether
    while (authority.bundle.roots.some(({ id }) => id === first.root)) {
      server.use(held(cart.svid))
      expect(await handshake(server.port, held(web.svid))).toEqual({ server: CART, client: WEB })
      // not for the outcome: it leaves the machine to others
      await delay(10)
    }
    expect(authority.issuer.certificate.id).not.toBe(first.issuer)
    expect(present(cart.svid).version).not.toBe(first.leaf)
    expect(errors).toEqual([])
  })
})
