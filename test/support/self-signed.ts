/** Throw-away certificates for servers that tests run themselves. */
import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'

const DNS = 2
const URI = 6

/** Key and certificate, PEM, for a DNS name or a URI (SPIFFE ID), valid for a day; it is its own trust anchor. */
export function selfSigned(name: string): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = '01'
  const subject = [{ name: 'commonName', value: 'test' }]
  certificate.setSubject(subject)
  certificate.setIssuer(subject)
  certificate.validity.notBefore = new Date(Date.now() - 60_000)
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  const alternative = { type: name.includes('://') ? URI : DNS, value: name }
  certificate.setExtensions([{ name: 'subjectAltName', altNames: [alternative] }])
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create())
  return { key: privateKey, cert: forge.pki.certificateToPem(certificate) }
}
