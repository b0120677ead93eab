import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { beforeAll, describe, expect, it } from 'vitest'
import { lifetimes } from '../../src/identity/lifetimes.ts'
import { identityMetrics } from '../../src/identity/metrics.ts'
import { ProvidedAuthority, readProvidedCa, type ProvidedCa } from '../../src/identity/provided-authority.ts'
import { Svids } from '../../src/identity/svids.ts'
import {
  CART,
  DAY,
  DOMAIN,
  handshake,
  ManualClock,
  openssl,
  opensslVerify,
  present,
  SECOND,
  startServer,
  WEB,
  withFolder,
} from './world.ts'

/** A little ahead: what the openssl command makes is valid from the moment it is made. */
const NOW = Date.now() + 60 * SECOND

interface Made {
  readonly rsa: ProvidedCa
  readonly ec: ProvidedCa
  readonly encrypted: string
  readonly leafOnly: ProvidedCa
  readonly noSigning: ProvidedCa
  readonly selfSigned: ProvidedCa
}

/** Authorities as people make them with the openssl command. */
async function make(): Promise<Made> {
  return withFolder(async (folder) => {
    const file = (name: string): string => join(folder, name)
    const key = async (name: string, ...algorithm: readonly string[]): Promise<string> => {
      await openssl('genpkey', ...algorithm, '-out', file(name))
      return file(name)
    }
    const rsa = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
    const ec = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']
    const root = async (name: string, algorithm: readonly string[]): Promise<readonly [string, string]> => {
      const keyFile = await key(`${name}.key`, ...algorithm)
      const subject = `/C=CH/O=Weaving Mill/CN=${name}`
      const how = ['-new', '-x509', '-key', keyFile, '-subj', subject, '-days', '30', '-out', file(`${name}.pem`)]
      await openssl('req', ...how, '-addext', 'keyUsage=critical,keyCertSign')
      return [file(`${name}.pem`), keyFile]
    }
    const below = async (
      name: string,
      parent: readonly [string, string],
      algorithm: readonly string[],
      extensions: string,
    ): Promise<ProvidedCa> => {
      const keyFile = await key(`${name}.key`, ...algorithm)
      await openssl('req', '-new', '-key', keyFile, '-subj', `/O=Weaving Mill/CN=${name}`, '-out', file(`${name}.csr`))
      await writeFile(file(`${name}.ext`), extensions)
      const signing = ['-CA', parent[0], '-CAkey', parent[1], '-CAcreateserial', '-days', '20']
      const files = ['-in', file(`${name}.csr`), '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`)]
      await openssl('x509', '-req', ...signing, ...files)
      return readProvidedCa({ certificate: file(`${name}.pem`), privateKey: keyFile, roots: parent[0] })
    }
    const authority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n'
    const rsaRoot = await root('rsa root', rsa)
    const ecRoot = await root('ec root', ec)
    await openssl('pkey', '-in', ecRoot[1], '-aes256', '-passout', 'pass:secret', '-out', file('encrypted.key'))
    const paths = { certificate: ecRoot[0], privateKey: ecRoot[1], roots: ecRoot[0] }
    return {
      rsa: await below('rsa issuer', rsaRoot, rsa, authority),
      // without key identifiers, as older tools make them
      ec: await below('ec issuer', ecRoot, ec, `${authority}subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n`),
      encrypted: (await readProvidedCa({ ...paths, privateKey: file('encrypted.key') })).privateKey,
      leafOnly: await below('leaf', ecRoot, ec, 'basicConstraints=critical,CA:FALSE\n'),
      noSigning: await below('no signing', ecRoot, ec, 'basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign\n'),
      selfSigned: await readProvidedCa(paths),
    }
  })
}

let made: Made
beforeAll(async () => {
  made = await make()
})

const options = (clock = new ManualClock(NOW)) => ({
  trustDomain: DOMAIN,
  clock,
  random: randomBytes,
  metrics: identityMetrics(new Registry()),
})

function opened(provided: ProvidedCa, clock?: ManualClock): ProvidedAuthority {
  const result = ProvidedAuthority.open(provided, options(clock))
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.value
}

function svidsOf(authority: ProvidedAuthority, clock: ManualClock): Svids {
  return new Svids({ ...options(clock), authority, lifetimes: lifetimes() })
}

describe('a certificate authority that the user brings', () => {
  it.each(['rsa', 'ec', 'selfSigned'] as const)('signs what the whole world trusts: %s', async (kind) => {
    const clock = new ManualClock(NOW)
    using authority = opened(made[kind], clock)
    using svids = svidsOf(authority, clock)
    const [cart, web] = [present(svids.hold({ id: CART }).svid), present(svids.hold({ id: WEB }).svid)]
    const { certificateChain } = cart
    // the strict mode wants key identifiers of every authority
    const strict = kind !== 'ec'
    expect(await opensslVerify(certificateChain, authority.bundle.pem, clock.now(), strict)).toBeUndefined()
    const side = (svid: typeof cart) => ({
      chain: svid.certificateChain,
      key: svid.exportPrivateKey(),
      trusted: authority.bundle.pem,
    })
    await using server = await startServer(side(cart))
    expect(await handshake(server.port, side(web))).toEqual({ server: CART, client: WEB })
    // a root is not sent along
    expect(cart.certificateChain.match(/BEGIN/g)).toHaveLength(kind === 'selfSigned' ? 1 : 2)
  })

  it('bounds what it signs by its own life, and goes over to its successor', async () => {
    const clock = new ManualClock(NOW + 19.5 * DAY)
    using authority = opened(made.ec, clock)
    using svids = svidsOf(authority, clock)
    const seen: string[] = []
    using lease = svids.hold({ id: CART }, ({ rootId }) => seen.push(rootId))
    expect(present(lease.svid).notAfter).toBe(authority.issuer.certificate.notAfter)
    expect(authority.replace(made.selfSigned)).toEqual([])
    expect(seen).toHaveLength(1)
    expect(present(lease.svid).notAfter).toBeGreaterThan(clock.now() + DAY / 2)
    expect(authority.replace(made.selfSigned)).toEqual([])
    expect(seen).toHaveLength(1)
  })

  it('reissues at once what stands under a root that was taken away', () => {
    const clock = new ManualClock(NOW)
    using authority = opened(made.ec, clock)
    using svids = svidsOf(authority, clock)
    using lease = svids.hold({ id: CART })
    const before = lease.svid
    const both = made.ec.roots + made.rsa.roots
    expect(authority.replace({ ...made.rsa, roots: both })).toEqual([])
    expect(lease.svid).toBe(before)
    expect(authority.replace(made.rsa)).toEqual([])
    expect(present(lease.svid).rootId).toBe(authority.root.id)
  })

  it('keeps the old where the new does not fit together', () => {
    using authority = opened(made.ec)
    const { issuer } = authority
    expect(authority.replace({ ...made.rsa, roots: made.ec.roots }).join()).toContain('not trusted by the roots')
    expect(authority.issuer).toBe(issuer)
  })

  it.each<readonly [string, () => ProvidedCa, RegExp]>([
    ['no certificate', () => ({ ...made.ec, certificate: '' }), /issuing certificate: there is no certificate/],
    [
      'a damaged certificate',
      () => ({ ...made.ec, certificate: made.ec.certificate.replace('MII', 'AAA') }),
      /issuing certificate: a certificate in the file is damaged/,
    ],
    ['no roots', () => ({ ...made.ec, roots: 'nothing' }), /roots: there is no certificate/],
    ['no key', () => ({ ...made.ec, privateKey: 'nothing' }), /private key cannot be read/],
    ['an encrypted key', () => ({ ...made.selfSigned, privateKey: made.encrypted }), /PEM without a passphrase/],
    ["another's key", () => ({ ...made.ec, privateKey: made.selfSigned.privateKey }), /is not that of the first/],
    [
      'a leaf',
      () => made.leafOnly,
      /'O=Weaving Mill, CN=leaf' is no certificate authority.*issuing certificate is needed/,
    ],
    ['one that may not sign', () => made.noSigning, /may not sign certificates \(key usage\)/],
    ["another's roots", () => ({ ...made.ec, roots: made.rsa.roots }), /not signed by any known root/],
  ])('is refused with %s', (_, provide, message) => {
    const result = ProvidedAuthority.open(provide(), options())
    expect(result).toMatchObject({ ok: false })
    const text = result.ok ? '' : result.problems.join('\n')
    expect(text).toMatch(message)
    expect(text).not.toMatch(/[A-Za-z0-9+/]{40}/)
  })

  it('is refused when it has ended', () => {
    const result = ProvidedAuthority.open(made.ec, options(new ManualClock(NOW + 21 * DAY)))
    expect(result).toMatchObject({ ok: false, problems: [expect.stringContaining('ended at')] })
  })

  it('signs nothing more once it has ended, and again when it is replaced', async () => {
    const clock = new ManualClock(NOW)
    using authority = opened(made.ec, clock)
    using svids = svidsOf(authority, clock)
    using lease = svids.hold({ id: CART })
    await clock.advance(21 * DAY)
    using late = svids.hold({ id: WEB })
    expect(late.svid).toBeUndefined()
    expect(present(lease.svid).notAfter).toBeLessThan(clock.now())
    expect(clock.next ?? Infinity).toBeGreaterThan(clock.now())
    expect(authority.replace(made.selfSigned)).toEqual([])
    expect(present(late.svid).notAfter).toBeGreaterThan(clock.now())
    expect(present(lease.svid).notAfter).toBeGreaterThan(clock.now())
  })
})
