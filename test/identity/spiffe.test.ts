import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatSpiffeId,
  parseSpiffeId,
  parseWorkloadId,
  trustDomainProblem,
  workloadId,
} from '../../src/identity/spiffe.ts'

describe('parsing a SPIFFE ID', () => {
  it.each([
    ['spiffe://cluster.local', 'cluster.local', ''],
    ['spiffe://cluster.local/ns/shop/sa/cart', 'cluster.local', '/ns/shop/sa/cart'],
    ['spiffe://10.0.0.1/a', '10.0.0.1', '/a'],
    ['spiffe://a_b-c.d/X.y_Z-0', 'a_b-c.d', '/X.y_Z-0'],
    ['spiffe://d/...', 'd', '/...'],
    // 2.4: scheme and trust domain are case-insensitive, the path is not
    ['SPIFFE://Cluster.Local/Ns', 'cluster.local', '/Ns'],
  ])('reads %s', (text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ ok: true, value: { trustDomain, path } })
  })

  it.each([
    ['', 'must begin with spiffe://'],
    ['http://cluster.local/a', 'must begin with spiffe://'],
    ['spiffe:/cluster.local/a', 'must begin with spiffe://'],
    ['spiffe://', 'the trust domain is empty'],
    ['spiffe:///a', 'the trust domain is empty'],
    ['spiffe://user@cluster.local/a', 'may only have'],
    ['spiffe://cluster.local:80/a', 'may only have'],
    ['spiffe://[::1]/a', 'may only have'],
    ['spiffe://clüster/a', 'may only have'],
    ['spiffe://cluster%2elocal/a', 'may only have'],
    ['spiffe://cluster.local/', 'empty segment or ends with a slash'],
    ['spiffe://cluster.local/a/', 'empty segment or ends with a slash'],
    ['spiffe://cluster.local/a//b', 'empty segment'],
    ['spiffe://cluster.local/a/../b', "relative segment '..'"],
    ['spiffe://cluster.local/.', "relative segment '.'"],
    ['spiffe://cluster.local/a%20b', "segment 'a%20b' may only have"],
    ['spiffe://cluster.local/a?b=c', 'may only have'],
    ['spiffe://cluster.local?b', 'may only have'],
    ['spiffe://cluster.local/a#b', 'may only have'],
    ['spiffe://cluster.local/a\n', 'may only have'],
    [`spiffe://${'a'.repeat(256)}/b`, 'has 256 characters, at most 255'],
    [`spiffe://a/${'b'.repeat(2038)}`, 'has 2049 characters, at most 2048'],
  ])('refuses %j', (text, reason) => {
    expect(parseSpiffeId(text)).toEqual({ ok: false, reason: expect.stringContaining(reason) })
  })

  it('takes an ID of exactly 2048 bytes', () => {
    expect(parseSpiffeId(`spiffe://a/${'b'.repeat(2037)}`).ok).toBe(true)
  })

  it('reads back what was formatted', () => {
    const segment = fc.stringMatching(/^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,20}$/)
    const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,60}$/)
    fc.assert(
      fc.property(trustDomain, fc.array(segment, { maxLength: 5 }), (domain, segments) => {
        const id = { trustDomain: domain, path: segments.map((part) => `/${part}`).join('') }
        expect(parseSpiffeId(formatSpiffeId(id))).toEqual({ ok: true, value: id })
      }),
    )
  })
})

describe('the ID of a workload', () => {
  it('names namespace and service account', () => {
    const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart.v2' }
    expect(workloadId(identity)).toBe('spiffe://cluster.local/ns/shop/sa/cart.v2')
    expect(parseWorkloadId('spiffe://cluster.local/ns/shop/sa/cart.v2')).toEqual(identity)
  })

  it.each(['spiffe://d', 'spiffe://d/ns/a', 'spiffe://d/ns/a/sa/b/c', 'spiffe://d/NS/a/sa/b', 'no ID'])(
    'is not %s',
    (text) => {
      expect(parseWorkloadId(text)).toBeUndefined()
    },
  )

  it.each([
    { trustDomain: 'd', namespace: 'a/../b', serviceAccount: 'c' },
    { trustDomain: 'd', namespace: '', serviceAccount: 'c' },
    { trustDomain: 'D', namespace: 'a', serviceAccount: 'c' },
    { trustDomain: 'd', namespace: 'a', serviceAccount: 'c'.repeat(2048) },
  ])('cannot be made of %j', (identity) => {
    expect(() => workloadId(identity)).toThrow(RangeError)
  })

  it('says what is wrong with a trust domain', () => {
    expect(trustDomainProblem('Cluster.local')).toBe("the trust domain 'Cluster.local' must be in lower case")
    expect(trustDomainProblem('cluster.local')).toBeUndefined()
  })
})
