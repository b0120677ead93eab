// Verification of a certificate chain at a given time (RFC 5280 6, as far as X.509-SVID needs it).
//
// TLS does this for every connection; here it serves for what Heddle must know beforehand: whether a CA that the user
// brings fits together, and whether a certificate will still be trusted at another time than now.

import type { Certificate } from './x509.ts'
import { readSigningFacts } from './asn1.ts'

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/**
 * Whether `chain` (the leaf or lowest authority first, each signed by the next) ends at one of `roots`, all of it valid at
 * `time` (milliseconds since the epoch). A certificate that is itself among the roots is trusted as it is.
 */
export function verifyChain(chain: readonly Certificate[], roots: readonly Certificate[], time: number): Verdict {
  const [first] = chain
  if (first === undefined) return { ok: false, reason: 'there is no certificate' }
  let current = first
  for (let depth = 0; ; depth++) {
    const lapse = outsideItsLife(current, time)
    if (lapse !== undefined) return { ok: false, reason: lapse }
    if (roots.some(({ id }) => id === current.id)) return { ok: true }
    const below = current
    const parent = chain[depth + 1] ?? roots.find((root) => signed(root, below))
    if (parent === undefined) return { ok: false, reason: `${describe(below)} is not signed by any known root` }
    const unfit = cannotSign(parent, depth)
    if (unfit !== undefined) return { ok: false, reason: unfit }
    if (!signed(parent, below)) {
      return { ok: false, reason: `${describe(below)} is not signed by ${describe(parent)}` }
    }
    current = parent
  }
}

function signed(parent: Certificate, child: Certificate): boolean {
  return child.x509.checkIssued(parent.x509) && child.x509.verify(parent.x509.publicKey)
}

function outsideItsLife(certificate: Certificate, time: number): string | undefined {
  if (time < certificate.notBefore) {
    return `${describe(certificate)} is valid only from ${new Date(certificate.notBefore).toISOString()} on`
  }
  // RFC 5280 4.1.2.5 counts the last second in, OpenSSL does not: so nobody should rely on it
  if (time >= certificate.notAfter) {
    return `${describe(certificate)} ended at ${new Date(certificate.notAfter).toISOString()}`
  }
  return undefined
}

/** Why a certificate may not sign what has `below` further authorities under it, or undefined if it may. */
export function cannotSign(certificate: Certificate, below: number): string | undefined {
  const { keyCertSign, pathLength } = readSigningFacts(certificate.x509.raw)
  // first, since OpenSSL calls what may not sign no authority either
  if (keyCertSign === false) return `${describe(certificate)} may not sign certificates (key usage)`
  if (!certificate.x509.ca) return `${describe(certificate)} is no certificate authority (basic constraints)`
  if (pathLength !== undefined && below > pathLength) {
    return `${describe(certificate)} allows ${pathLength} authorities below it, there are ${below} (path length)`
  }
  return undefined
}

/** For messages: the subject, or where there is none the alternative names. */
export function describe({ x509 }: Certificate): string {
  const name = x509.subject ? x509.subject.replaceAll('\n', ', ') : (x509.subjectAltName ?? 'without a name')
  return `the certificate '${name}'`
}
