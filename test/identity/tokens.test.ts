import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { redactText } from '../../src/identity/redact.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { JoinTokens } from '../../src/identity/tokens.ts'
import { ManualClock, present, SECOND, withFolder } from './world.ts'

const CART = { namespace: 'shop', name: 'cart-1' }
const WEB = { namespace: 'shop', name: 'web-1' }

async function withTokens(use: (tokens: JoinTokens, clock: ManualClock, stateDir: StateDir) => Promise<void>) {
  await withFolder(async (folder) => {
    await using stateDir = await StateDir.open(folder, { lock: true, random: randomBytes })
    const clock = new ManualClock()
    await use(new JoinTokens({ stateDir, clock, random: randomBytes }), clock, stateDir)
  })
}

describe('a join token', () => {
  it('is good for the Workload it was made for, whatever the node claims', async () => {
    await withTokens(async (tokens) => {
      const token = await tokens.create(CART)
      const other = await tokens.create(WEB)
      for (const nodeId of ['cart-1.shop', 'web-1.shop', 'admin.heddle-system', '']) {
        expect(await tokens.authenticate({ token: token.reveal(), nodeId })).toEqual({ ok: true, workload: CART })
        expect(await tokens.authenticate({ token: other.reveal(), nodeId })).toEqual({ ok: true, workload: WEB })
      }
    })
  })

  it('has 256 random bits and its own name', async () => {
    await withTokens(async (tokens) => {
      const secret = (await tokens.create(CART)).reveal()
      expect(secret).toMatch(/^hjt_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
      expect(Buffer.from(secret.slice(21), 'base64url')).toHaveLength(32)
      expect((await tokens.create(CART)).reveal()).not.toBe(secret)
    })
  })

  it('is refused if it is any other', async () => {
    await withTokens(async (tokens) => {
      const secret = (await tokens.create(CART)).reveal()
      const flipped = secret.slice(0, -1) + (secret.endsWith('A') ? 'E' : 'A')
      const renamed = `${secret.slice(0, 4)}${secret.startsWith('0', 4) ? '1' : '0'}${secret.slice(5)}`
      for (const [token, reason] of [
        [undefined, 'no join token'],
        ['', 'no join token'],
        ['password', 'does not have the form'],
        [`${secret}\n`, 'does not have the form'],
        [`hjt_../../../etc/pas_${'A'.repeat(43)}`, 'does not have the form'],
        [flipped, 'unknown or was revoked'],
        [renamed, 'unknown or was revoked'],
      ] as const) {
        const verdict = await tokens.authenticate({ ...(token === undefined ? {} : { token }), nodeId: 'cart-1.shop' })
        expect(verdict).toEqual({ ok: false, reason: expect.stringContaining(reason) })
        expect(JSON.stringify(verdict)).not.toContain(secret.slice(21))
      }
    })
  })

  it('may expire', async () => {
    await withTokens(async (tokens, clock) => {
      const expires = clock.now() + 10 * SECOND
      const token = (await tokens.create(CART, { expires })).reveal()
      expect(await tokens.authenticate({ token, nodeId: '' })).toEqual({ ok: true, workload: CART, until: expires })
      await clock.advance(10 * SECOND)
      const verdict = await tokens.authenticate({ token, nodeId: '' })
      expect(verdict).toEqual({ ok: false, reason: expect.stringContaining('expired at 2026-01-01T00:00:10.000Z') })
    })
  })

  it('can be revoked, also by another process', async () => {
    await withTokens(async (tokens, clock, stateDir) => {
      const token = await tokens.create(CART)
      await using beside = await StateDir.open(stateDir.path(), { lock: false, random: randomBytes })
      const others = new JoinTokens({ stateDir: beside, clock, random: randomBytes })
      expect(await others.authenticate({ token: token.reveal(), nodeId: '' })).toMatchObject({ ok: true })
      expect(await others.revoke(token.info.id)).toBe(true)
      expect(await tokens.authenticate({ token: token.reveal(), nodeId: '' })).toMatchObject({ ok: false })
      expect(await others.revoke(token.info.id)).toBe(false)
      expect(await others.revoke('../ca')).toBe(false)
    })
  })

  it('is kept for the runner while it is good', async () => {
    await withTokens(async (tokens, clock, stateDir) => {
      const first = await tokens.ensure(CART)
      expect((await tokens.ensure(CART)).reveal()).toBe(first.reveal())
      expect((await tokens.ensure(WEB)).reveal()).not.toBe(first.reveal())
      const file = tokens.fileOf(CART)
      expect((await readFile(file, 'utf8')).trim()).toBe(first.reveal())
      expect((await stat(file)).mode & 0o777).toBe(0o600)

      const restarted = new JoinTokens({ stateDir, clock, random: randomBytes })
      expect((await restarted.ensure(CART)).reveal()).toBe(first.reveal())

      await tokens.revoke(first.info.id)
      const second = await tokens.ensure(CART)
      expect(second.reveal()).not.toBe(first.reveal())

      // somebody put another Workload's token there
      await writeFile(file, (await tokens.ensure(WEB)).reveal())
      expect(await tokens.authenticate({ token: (await tokens.ensure(CART)).reveal(), nodeId: '' })).toEqual({
        ok: true,
        workload: CART,
      })
    })
  })

  it('goes with its Workload', async () => {
    await withTokens(async (tokens, _, stateDir) => {
      const token = await tokens.ensure(CART)
      await tokens.create(CART)
      await tokens.create(WEB)
      expect(await tokens.revokeAll(CART)).toBe(2)
      expect((await tokens.list()).map(({ workload }) => workload)).toEqual([WEB])
      expect(await tokens.authenticate({ token: token.reveal(), nodeId: '' })).toMatchObject({ ok: false })
      expect(await stateDir.list('join/shop')).toEqual([])
    })
  })

  it('is listed without its secret', async () => {
    await withTokens(async (tokens, clock) => {
      const first = await tokens.create(CART)
      await clock.advance(SECOND)
      const second = await tokens.create(WEB, { expires: clock.now() + SECOND })
      expect(await tokens.list()).toEqual([
        { id: first.info.id, workload: CART, created: clock.now() - SECOND, expires: undefined },
        { id: second.info.id, workload: WEB, created: clock.now(), expires: clock.now() + SECOND },
      ])
    })
  })

  it('is not in the registry, only its hash, and damage to that makes it worthless', async () => {
    await withTokens(async (tokens, _, stateDir) => {
      const token = await tokens.create(CART)
      const secret = present(token.reveal().split('_').at(-1))
      const folder = stateDir.path('tokens')
      const files = await readdir(folder)
      expect(files).toEqual([`${token.info.id}.json`])
      const file = join(folder, present(files[0]))
      expect(await readFile(file, 'utf8')).not.toContain(secret)
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      for (const damage of ['', '{', '{}', '{"hash":""}']) {
        await writeFile(file, damage)
        expect(await tokens.authenticate({ token: token.reveal(), nodeId: '' })).toMatchObject({ ok: false })
        expect(await tokens.list()).toEqual([])
      }
    })
  })

  it.each([
    { namespace: '..', name: 'a' },
    { namespace: 'shop', name: '../../ca' },
    { namespace: 'shop', name: '' },
    { namespace: 'Shop', name: 'a' },
    { namespace: 'shop', name: 'a/b' },
  ])('is not made for %j', async (workload) => {
    await withTokens(async (tokens) => {
      await expect(tokens.create(workload)).rejects.toThrow('cannot name a Workload')
      await expect(tokens.ensure(workload)).rejects.toThrow('cannot name a Workload')
    })
  })

  it('shows no secret when it is printed, and is taken out of texts', async () => {
    await withTokens(async (tokens) => {
      const token = await tokens.create(CART)
      const secret = token.reveal().slice(21)
      const shown = [
        inspect(token, { depth: 9, showHidden: true }),
        JSON.stringify({ token }),
        inspect(tokens, { depth: 9 }),
        redactText(`authorization: Bearer ${token.reveal()}, and so on`),
      ].join('\n')
      expect(shown).toContain(token.info.id)
      expect(shown).not.toContain(secret)
      expect(shown).toContain('and so on')
    })
  })
})
