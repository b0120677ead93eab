/** SVIDs for the two ends of a connection in a test, from an authority of its own. */
import { randomBytes } from 'node:crypto'
import { createIssuer, createRoot, issueLeaf } from '../../src/identity/x509.ts'

export const TRUST_DOMAIN = 'cluster.local'

export interface TlsIdentity {
  /** All PEM. */
  readonly cert: string
  readonly key: string
  readonly ca: string
}

/** Issues a certificate for a SPIFFE ID. */
export type Issue = (id: string) => TlsIdentity

/** One root; all that it issues trust each other. */
export function authority(): Issue {
  const now = Date.now()
  const validity = { notBefore: now - 60_000, notAfter: now + 3_600_000 }
  const root = createRoot(TRUST_DOMAIN, validity, randomBytes)
  const issuer = createIssuer(root, [])
  return (id) => {
    const leaf = issueLeaf(issuer, { id }, validity, randomBytes)
    return { cert: leaf.chain, key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), ca: root.pem }
  }
}

/** The SPIFFE ID of `namespace/serviceAccount`. */
export function idOf(account: string): string {
  const [namespace, name] = account.split('/')
  return `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${name}`
}
