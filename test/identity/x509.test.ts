import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { verifyChain } from '../../src/identity/chain.ts'
import {
  createIntermediate,
  createIssuer,
  createRoot,
  issueLeaf,
  readCertificate,
  readCertificates,
} from '../../src/identity/x509.ts'
import { CART, DAY, DOMAIN, openssl, opensslVerify, SECOND, withFolder } from './world.ts'

const NOW = Date.UTC(2026, 0, 1)

const root = createRoot(DOMAIN, { notBefore: NOW - 60 * SECOND, notAfter: NOW + 3650 * DAY }, randomBytes)
const intermediate = createIntermediate(
  DOMAIN,
  root,
  { notBefore: NOW - 60 * SECOND, notAfter: NOW + 60 * DAY },
  randomBytes,
)
const issuer = createIssuer(intermediate, [intermediate])
const life = { notBefore: NOW - 60 * SECOND, notAfter: NOW + DAY }

async function text(pem: string): Promise<string> {
  return withFolder(async (folder) => {
    const file = join(folder, 'certificate.pem')
    await writeFile(file, pem)
    return openssl('x509', '-in', file, '-noout', '-text')
  })
}

describe('a leaf', () => {
  const leaf = issueLeaf(issuer, { id: CART }, life, randomBytes)
  const x509 = new X509Certificate(leaf.chain)

  it('is trusted by OpenSSL and by our own verification', async () => {
    expect(await opensslVerify(leaf.chain, root.pem, NOW)).toBeUndefined()
    expect(verifyChain(readCertificates(leaf.chain), [root], NOW)).toEqual({ ok: true })
  })

  it('has exactly one URI, in a critical extension, as its subject is empty (X.509-SVID 2, 3.1)', async () => {
    expect(x509.subjectAltName).toBe(`URI:${CART}`)
    expect(x509.subject).toBeUndefined()
    expect(await text(leaf.chain)).toContain(`X509v3 Subject Alternative Name: critical\n                URI:${CART}`)
  })

  it('is for digital signatures of servers and clients, and no authority (4.1, 4.3, 4.4)', async () => {
    const printed = await text(leaf.chain)
    expect(printed).toMatch(/X509v3 Key Usage: critical\n\s+Digital Signature\n/)
    expect(printed).toMatch(/Extended Key Usage: \n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/)
    expect(printed).toMatch(/X509v3 Basic Constraints: critical\n\s+CA:FALSE\n/)
    expect(x509.ca).toBe(false)
  })

  it('is ECDSA P-256 with SHA-256, and its key fits', async () => {
    expect(x509.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    expect(x509.checkPrivateKey(leaf.privateKey)).toBe(true)
    expect(await text(leaf.chain)).toContain('Signature Algorithm: ecdsa-with-SHA256')
  })

  it('has a serial number of its own, positive and of 16 bytes', () => {
    const serials = Array.from({ length: 100 }, () => {
      const { chain } = issueLeaf(issuer, { id: CART }, life, randomBytes)
      return new X509Certificate(chain).serialNumber
    })
    expect(new Set(serials).size).toBe(100)
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
  })

  it('has a serial number that is positive and not short whatever the randomness', () => {
    for (const byte of [0x00, 0x80, 0xff]) {
      const { chain } = issueLeaf(issuer, { id: CART }, life, (size) => Buffer.alloc(size, byte))
      expect(new X509Certificate(chain).serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
    }
  })

  it('may have names and addresses besides', () => {
    const ip = ['127.0.0.1', '::1', '2001:db8::ff00:42:8329', '::ffff:10.1.2.3', 'fe80::', '1:2:3:4:5:6:7:8']
    const { chain } = issueLeaf(issuer, { id: CART, dns: ['localhost', 'heddle.example'], ip }, life, randomBytes)
    const certificate = new X509Certificate(chain)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    expect(certificate.checkHost('other.example')).toBeUndefined()
    for (const address of ip) expect(certificate.checkIP(address), address).toBe(address)
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined()
  })

  it.each([{ ip: ['300.1.1.1'] }, { ip: ['fe80::1%eth0'] }, { dns: ['a b'] }, { dns: ['bücher.example'] }])(
    'refuses %j',
    (names) => {
      expect(() => issueLeaf(issuer, { id: CART, ...names }, life, randomBytes)).toThrow(RangeError)
    },
  )

  it('never lives outside its issuer, nor that outside its root', () => {
    const time = fc.integer({ min: -4000, max: 4000 }).map((days) => NOW + days * DAY + 499)
    fc.assert(
      fc.property(time, time, time, time, (a, b, c, d) => {
        const asked = { notBefore: Math.min(a, b), notAfter: Math.max(a, b) }
        const signing = createIntermediate(DOMAIN, root, asked, randomBytes)
        expect(signing.notBefore).toBeGreaterThanOrEqual(root.notBefore)
        expect(signing.notAfter).toBeLessThanOrEqual(root.notAfter)
        const wanted = { notBefore: Math.min(c, d), notAfter: Math.max(c, d) }
        const signed = issueLeaf(createIssuer(signing, [signing]), { id: CART }, wanted, randomBytes)
        const read = readCertificate(signed.chain)
        expect(read.notBefore).toBeGreaterThanOrEqual(signing.notBefore)
        expect(read.notAfter).toBeLessThanOrEqual(signing.notAfter)
        expect([signed.notBefore, signed.notAfter]).toEqual([read.notBefore, read.notAfter])
      }),
      { numRuns: 50 },
    )
  })
})

describe('signing certificates', () => {
  it('are authorities of the trust domain, without a path, that may sign certificates (X.509-SVID 3.2, 4.1, 4.3)', async () => {
    for (const [certificate, pathLength] of [
      [root, 1],
      [intermediate, 0],
    ] as const) {
      const printed = await text(certificate.pem)
      expect(certificate.x509.ca).toBe(true)
      expect(certificate.x509.subjectAltName).toBe('URI:spiffe://cluster.local')
      expect(printed).toMatch(/X509v3 Key Usage: critical\n\s+Certificate Sign, CRL Sign\n/)
      expect(printed).toMatch(new RegExp(`Basic Constraints: critical\\n\\s+CA:TRUE, pathlen:${pathLength}\\n`))
    }
  })

  it('differ in their names, and are linked by key identifiers', async () => {
    expect(root.x509.subject).not.toBe(intermediate.x509.subject)
    expect(intermediate.x509.issuer).toBe(root.x509.subject)
    const subjectKey = /Subject Key Identifier: \n\s+([0-9A-F:]+)/.exec(await text(root.pem))?.[1]
    expect(subjectKey).toMatch(/^([0-9A-F]{2}:){19}[0-9A-F]{2}$/)
    expect(await text(intermediate.pem)).toMatch(new RegExp(`Authority Key Identifier: \\n\\s+${subjectKey}`))
  })

  it('write years from 2050 on as RFC 5280 4.1.2.5 asks', async () => {
    const late = createRoot(DOMAIN, { notBefore: NOW, notAfter: Date.UTC(2051, 5, 1) }, randomBytes)
    expect(late.x509.validTo).toBe('Jun  1 00:00:00 2051 GMT')
    expect(late.x509.raw.includes('20510601000000Z')).toBe(true)
    expect(late.x509.raw.includes('260101000000Z')).toBe(true)
    expect(await opensslVerify(late.pem, late.pem, NOW)).toBeUndefined()
  })
})

describe('verification at a time', () => {
  const chain = readCertificates(issueLeaf(issuer, { id: CART }, life, randomBytes).chain)
  const stranger = createRoot(DOMAIN, { notBefore: NOW, notAfter: NOW + DAY }, randomBytes)

  it.each([
    ['too early', chain, [root], NOW - 61 * SECOND, 'valid only from'],
    ['too late', chain, [root], NOW + DAY + SECOND, 'ended at'],
    ['by other roots', chain, [stranger], NOW, 'not signed by any known root'],
    ['without the issuer', chain.slice(0, 1), [root], NOW, 'not signed by any known root'],
    ['out of order', [...chain].toReversed(), [stranger], NOW, 'may not sign'],
    ['of nothing', [], [root], NOW, 'no certificate'],
  ])('refuses a chain %s', (_, certificates, roots, time, reason) => {
    expect(verifyChain(certificates, roots, time)).toEqual({ ok: false, reason: expect.stringContaining(reason) })
  })

  it('agrees with OpenSSL on the last second', async () => {
    const pem = chain.map((certificate) => certificate.pem).join('')
    expect(verifyChain(chain, [root], NOW + DAY - SECOND)).toEqual({ ok: true })
    expect(await opensslVerify(pem, root.pem, NOW + DAY - SECOND)).toBeUndefined()
    expect(verifyChain(chain, [root], NOW + DAY).ok).toBe(false)
    expect(await opensslVerify(pem, root.pem, NOW + DAY)).toContain('expired')
  })

  it('refuses a leaf as an authority', () => {
    const leaf = issueLeaf(issuer, { id: CART }, life, randomBytes)
    const [certificate] = readCertificates(leaf.chain)
    if (certificate === undefined) throw new Error('no certificate')
    const forged = issueLeaf(
      createIssuer({ ...certificate, privateKey: leaf.privateKey }, readCertificates(leaf.chain)),
      { id: 'spiffe://cluster.local/ns/shop/sa/admin' },
      life,
      randomBytes,
    )
    const verdict = verifyChain(readCertificates(forged.chain), [root], NOW)
    expect(verdict).toEqual({ ok: false, reason: expect.stringContaining('may not sign certificates') })
  })

  it('refuses more authorities than the path length allows', () => {
    const below = createIntermediate(DOMAIN, intermediate, life, randomBytes)
    const leaf = issueLeaf(createIssuer(below, [below, intermediate]), { id: CART }, life, randomBytes)
    const verdict = verifyChain(readCertificates(leaf.chain), [root], NOW)
    expect(verdict).toEqual({ ok: false, reason: expect.stringContaining('path length') })
  })
})

it.each(['ed25519', 'secp256k1', 'P-521', 'rsa-1024'])('an authority with a key of %s is refused', (kind) => {
  const { privateKey } =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'rsa-1024'
        ? generateKeyPairSync('rsa', { modulusLength: 1024 })
        : generateKeyPairSync('ec', { namedCurve: kind })
  expect(() => createIssuer({ ...root, privateKey }, [])).toThrow(/must be ECDSA P-256 or P-384, or RSA/)
})
