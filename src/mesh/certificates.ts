// What of PEM a proxy takes: text that it cannot read would make Envoy refuse the cluster or the secret around it, in words that
// name neither the object nor the field.
import { createPrivateKey, X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** Whether a text holds certificates, and all of them can be read. */
export function holdsCertificates(pem: string): boolean {
  return certificatesOf(pem) !== undefined
}

/** Whether a certificate chain begins with the certificate of a private key. */
export function isKeyPair(chain: string, privateKey: string): boolean {
  const [leaf] = certificatesOf(chain) ?? []
  try {
    return leaf?.checkPrivateKey(createPrivateKey(privateKey)) ?? false
  } catch {
    return false
  }
}

function certificatesOf(pem: string): readonly X509Certificate[] | undefined {
  const blocks = pem.match(CERTIFICATE) ?? []
  if (blocks.length === 0 || blocks.length !== pem.split('-----BEGIN CERTIFICATE-----').length - 1) return undefined
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return undefined
  }
}
