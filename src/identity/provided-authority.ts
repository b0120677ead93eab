// A certificate authority that the user brings: an issuing certificate with its key, and the roots to trust. Heddle checks
// that they fit together before it uses them, and never rotates them: new files replace them as a whole.

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createBundle, type Authority, type TrustBundle } from './authority.ts'
import { cannotSign, verifyChain } from './chain.ts'
import type { Clock, Random } from '../engine/clock.ts'
import type { IdentityMetrics } from './metrics.ts'
import { trustDomainId } from './spiffe.ts'
import { createIssuer, issueLeaf, readCertificates, type Certificate, type Issuer } from './x509.ts'

/** PEM texts. */
export interface ProvidedCa {
  /** The issuing certificate, followed by what leads from it to a root. */
  readonly certificate: string
  /** Its key, not encrypted. */
  readonly privateKey: string
  /** What verifiers trust. For an exchange of roots: the old and the new, until the old one is used no more. */
  readonly roots: string
}

export interface ProvidedAuthorityOptions {
  readonly trustDomain: string
  readonly clock: Clock
  readonly random: Random
  readonly metrics: IdentityMetrics
}

export type ProvidedResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly string[] }

interface Material {
  readonly issuer: Issuer
  readonly root: Certificate
  readonly bundle: TrustBundle
}

export class ProvidedAuthority implements Authority {
  readonly trustDomain: string
  readonly #options: ProvidedAuthorityOptions
  readonly #listeners = new Set<() => void>()
  #material: Material

  private constructor(options: ProvidedAuthorityOptions, material: Material) {
    this.trustDomain = options.trustDomain
    this.#options = options
    this.#material = material
    options.metrics.authority(material.root, material.issuer.certificate)
  }

  static open(provided: ProvidedCa, options: ProvidedAuthorityOptions): ProvidedResult<ProvidedAuthority> {
    const read = readMaterial(provided, options)
    return read.ok ? { ok: true, value: new ProvidedAuthority(options, read.value) } : read
  }

  /** Goes over to other files. What does not fit together is refused, and the old stays in force. */
  replace(provided: ProvidedCa): readonly string[] {
    const read = readMaterial(provided, this.#options)
    if (!read.ok) {
      this.#options.metrics.failed('load')
      return read.problems
    }
    const { issuer, bundle } = this.#material
    const same =
      read.value.issuer.certificate.id === issuer.certificate.id && read.value.bundle.version === bundle.version
    if (same) return []
    this.#material = read.value
    this.#options.metrics.authority(read.value.root, read.value.issuer.certificate)
    for (const listener of this.#listeners) listener()
    return []
  }

  get issuer(): Issuer {
    return this.#material.issuer
  }

  get root(): Certificate {
    return this.#material.root
  }

  get bundle(): TrustBundle {
    return this.#material.bundle
  }

  onChange(changed: () => void): Disposable {
    const listener = (): void => changed()
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  [Symbol.dispose](): void {
    this.#listeners.clear()
  }
}

/** Reads the three files. I/O errors are thrown; they name the file. */
export async function readProvidedCa(paths: Readonly<Record<keyof ProvidedCa, string>>): Promise<ProvidedCa> {
  const [certificate, privateKey, roots] = await Promise.all(
    [paths.certificate, paths.privateKey, paths.roots].map((path) => readFile(path, 'utf8')),
  )
  return { certificate: certificate ?? '', privateKey: privateKey ?? '', roots: roots ?? '' }
}

function readMaterial(provided: ProvidedCa, options: ProvidedAuthorityOptions): ProvidedResult<Material> {
  const problems: string[] = []
  const chain = readPem('issuing certificate', provided.certificate, problems)
  const roots = readPem('roots', provided.roots, problems)
  const privateKey = readKey(provided.privateKey, problems)
  const [certificate] = chain
  if (certificate === undefined || privateKey === undefined || roots.length === 0) return { ok: false, problems }

  if (!certificate.x509.checkPrivateKey(privateKey)) {
    problems.push('the private key is not that of the first certificate of the issuing certificate file')
  }
  const now = options.clock.now()
  const unfit = cannotSign(certificate, 0)
  if (unfit !== undefined) problems.push(`${unfit}: an issuing certificate is needed`)
  const verdict = verifyChain(chain, roots, now)
  if (!verdict.ok) problems.push(`the issuing certificate is not trusted by the roots: ${verdict.reason}`)
  if (problems.length > 0) return { ok: false, problems }

  const root = rootOf(chain, roots)
  // a root is known to verifiers, so it is not sent
  const sent = chain.filter(({ id, x509 }) => id !== root.id || !x509.checkIssued(x509))
  try {
    const issuer = createIssuer({ ...certificate, privateKey }, sent)
    const problem = probe(issuer, roots, options)
    if (problem !== undefined) return { ok: false, problems: [problem] }
    return { ok: true, value: { issuer, root, bundle: createBundle(options.trustDomain, roots) } }
  } catch (error) {
    if (error instanceof RangeError) return { ok: false, problems: [error.message] }
    throw error
  }
}

/** Signs one certificate for nobody, to see that what this authority signs is trusted. */
function probe(issuer: Issuer, roots: readonly Certificate[], options: ProvidedAuthorityOptions): string | undefined {
  const now = options.clock.now()
  const id = `${trustDomainId(options.trustDomain)}/probe`
  const leaf = issueLeaf(issuer, { id }, { notBefore: now, notAfter: now + 60_000 }, options.random)
  const verdict = verifyChain(readCertificates(leaf.chain), roots, Math.max(now, leaf.notBefore))
  return verdict.ok ? undefined : `what this authority signs is not trusted: ${verdict.reason}`
}

/** The chain is known to end at one of the roots. */
function rootOf(chain: readonly Certificate[], roots: readonly Certificate[]): Certificate {
  for (const certificate of chain) {
    const root = roots.find(({ id, x509 }) => id === certificate.id || certificate.x509.checkIssued(x509))
    if (root !== undefined) return root
  }
  throw new Error('a verified chain must end at a root')
}

function readPem(what: string, pem: string, problems: string[]): readonly Certificate[] {
  try {
    const certificates = readCertificates(pem)
    if (certificates.length === 0) problems.push(`the ${what}: there is no certificate in the file (PEM is expected)`)
    return certificates
  } catch {
    problems.push(`the ${what}: a certificate in the file is damaged`)
    return []
  }
}

function readKey(pem: string, problems: string[]): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    // what the parser says could quote the key
    problems.push('the private key cannot be read: PEM without a passphrase is expected')
    return undefined
  }
}
