// Certificates as the X.509-SVID standard wants them: roots, issuers and leaves, ECDSA P-256, SHA-256.
//
// node-forge writes the ASN.1, node:crypto makes keys and signatures. An SVID costs about 0.2 ms of CPU, key included, and
// there is nothing to wait for, so all of this is synchronous. What the leaves of one issuer share is built once.

import { createHash, createPublicKey, generateKeyPairSync, sign, X509Certificate, type KeyObject } from 'node:crypto'
import * as asn1 from './asn1.ts'
import type { Random } from '../engine/clock.ts'
import { trustDomainId } from './spiffe.ts'

/** A certificate, read once. */
export interface Certificate {
  readonly x509: X509Certificate
  /** With a line break at the end, so that certificates can be joined. */
  readonly pem: string
  /** The first 16 hex digits of the SHA-256 of its DER form: enough to tell certificates of a mesh apart. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
}

/** A signing certificate and its key. */
export interface SigningCertificate extends Certificate {
  readonly privateKey: KeyObject
}

/** What signs leaves. */
export interface Issuer {
  readonly certificate: SigningCertificate
  /** What a server sends after its leaf, PEM: the issuer and what leads to a root; empty if the issuer is a root itself. */
  readonly chain: string
  readonly facts: SigningFacts
}

export interface Validity {
  /** Milliseconds since the epoch; certificates count in seconds, so fractions are cut off. */
  readonly notBefore: number
  readonly notAfter: number
}

/** An issuer's part of what it signs, built once. */
interface SigningFacts {
  readonly subject: asn1.Asn1
  readonly keyIdentifier: Uint8Array
  readonly authorityKeyIdentifier: asn1.Asn1
  readonly algorithm: SignatureAlgorithm
}

interface SignatureAlgorithm {
  readonly hash: string
  readonly identifier: asn1.Asn1
}

const ECDSA_KEY = asn1.sequence(asn1.oid('1.2.840.10045.2.1'), asn1.oid('1.2.840.10045.3.1.7'))
const VERSION_3 = asn1.explicit(0, asn1.integer(2))
const EMPTY_NAME = asn1.distinguishedName()
const LEAF_EXTENSIONS = [
  // X.509-SVID 4.3, 4.4, 4.1
  asn1.keyUsage('digitalSignature'),
  asn1.extendedKeyUsage(asn1.PURPOSES.serverAuth, asn1.PURPOSES.clientAuth),
  asn1.basicConstraints(undefined),
]

/** Bytes of an uncompressed P-256 point: what a subjectPublicKeyInfo of one ends with. */
const POINT = 65

export function readCertificate(source: string | Uint8Array): Certificate {
  const x509 = new X509Certificate(source)
  return {
    x509,
    pem: x509.toString(),
    id: createHash('sha256').update(x509.raw).digest('hex').slice(0, 16),
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
  }
}

/** All certificates of a PEM text, in order. Throws if one cannot be read. */
export function readCertificates(pem: string): readonly Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => readCertificate(block))
}

/** A self-signed root of a trust domain. It may be followed by one issuer, no more. */
export function createRoot(trustDomain: string, validity: Validity, random: Random): SigningCertificate {
  return createAuthority(trustDomain, 'root', validity, undefined, random)
}

/** An issuer under a root; it signs leaves only. Its life stays within the root's. */
export function createIntermediate(
  trustDomain: string,
  root: SigningCertificate,
  validity: Validity,
  random: Random,
): SigningCertificate {
  return createAuthority(trustDomain, 'issuer', within(validity, root), root, random)
}

/**
 * Gets a signing certificate ready to issue leaves. `chain` is what leads from it to a root, itself included unless it is
 * the root. Throws a RangeError if the kind of its key is not one that Envoy verifies.
 */
export function createIssuer(certificate: SigningCertificate, chain: readonly Certificate[]): Issuer {
  return { certificate, chain: chain.map(({ pem }) => pem).join(''), facts: signingFacts(certificate) }
}

export interface LeafRequest {
  /** The SPIFFE ID, with a path (X.509-SVID 3.1). */
  readonly id: string
  /** Further names, for servers that are dialled by name or address. */
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
}

export interface Leaf extends Validity {
  /** PEM: the leaf and what leads to a root. */
  readonly chain: string
  readonly privateKey: KeyObject
}

/** Makes a key and its certificate. Whatever is asked for, the leaf's life stays within its issuer's. */
export function issueLeaf(issuer: Issuer, request: LeafRequest, asked: Validity, random: Random): Leaf {
  const validity = within(asked, issuer.certificate)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const point = publicPoint(publicKey)
  const der = signCertificate({
    issuer: issuer.facts,
    signer: issuer.certificate.privateKey,
    validity,
    subject: EMPTY_NAME,
    point,
    extensions: [
      ...LEAF_EXTENSIONS,
      asn1.subjectKeyIdentifier(keyIdentifier(point)),
      issuer.facts.authorityKeyIdentifier,
      // critical, as the subject is empty (X.509-SVID 3.1)
      asn1.subjectAlternativeName({ uri: request.id, ...names(request) }, true),
    ],
    random,
  })
  return { chain: toPem(der) + issuer.chain, privateKey, ...validity }
}

function names({ dns, ip }: LeafRequest): { dns?: readonly string[]; ip?: readonly string[] } {
  return { ...(dns === undefined ? {} : { dns }), ...(ip === undefined ? {} : { ip }) }
}

function createAuthority(
  trustDomain: string,
  role: 'root' | 'issuer',
  validity: Validity,
  parent: SigningCertificate | undefined,
  random: Random,
): SigningCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const point = publicPoint(publicKey)
  const keyId = keyIdentifier(point)
  // a name of its own for each: verifiers look for issuers by name first
  const subject = asn1.distinguishedName('Heddle', `${role} ${Buffer.from(keyId).toString('hex').slice(0, 12)}`)
  const issuer: SigningFacts =
    parent === undefined
      ? {
          subject,
          keyIdentifier: keyId,
          authorityKeyIdentifier: asn1.authorityKeyIdentifier(keyId),
          algorithm: signatureAlgorithm(privateKey),
        }
      : signingFacts(parent)
  const der = signCertificate({
    issuer,
    signer: parent === undefined ? privateKey : parent.privateKey,
    validity,
    subject,
    point,
    extensions: [
      asn1.keyUsage('keyCertSign', 'cRLSign'),
      asn1.basicConstraints(role === 'root' ? 1 : 0),
      asn1.subjectKeyIdentifier(keyId),
      issuer.authorityKeyIdentifier,
      // X.509-SVID 3.2: a signing certificate should be an SVID of its trust domain, without a path
      asn1.subjectAlternativeName({ uri: trustDomainId(trustDomain) }, false),
    ],
    random,
  })
  return { ...readCertificate(der), privateKey }
}

interface ToBeSigned {
  readonly issuer: SigningFacts
  readonly signer: KeyObject
  readonly validity: Validity
  readonly subject: asn1.Asn1
  readonly point: Uint8Array
  readonly extensions: readonly asn1.Asn1[]
  readonly random: Random
}

/** RFC 5280 4.1. */
function signCertificate({ issuer, signer, validity, subject, point, extensions, random }: ToBeSigned): Buffer {
  const tbs = asn1.sequence(
    VERSION_3,
    asn1.integerBytes(serialNumber(random)),
    issuer.algorithm.identifier,
    issuer.subject,
    asn1.sequence(asn1.time(validity.notBefore), asn1.time(validity.notAfter)),
    subject,
    asn1.sequence(ECDSA_KEY, asn1.bitString(point)),
    asn1.explicit(3, asn1.sequence(...extensions)),
  )
  const signature = sign(issuer.algorithm.hash, asn1.toDer(tbs), signer)
  return asn1.toDer(asn1.sequence(tbs, issuer.algorithm.identifier, asn1.bitString(signature)))
}

function signingFacts(certificate: SigningCertificate): SigningFacts {
  const read = asn1.readSigningFacts(certificate.x509.raw)
  const keyId = read.subjectKeyIdentifier ?? keyIdentifier(publicPoint(createPublicKey(certificate.privateKey)))
  return {
    subject: read.subject,
    keyIdentifier: keyId,
    authorityKeyIdentifier: asn1.authorityKeyIdentifier(keyId),
    algorithm: signatureAlgorithm(certificate.privateKey),
  }
}

/** The algorithms that Envoy's TLS library verifies. The hash follows the curve's strength (RFC 5758). */
function signatureAlgorithm(key: KeyObject): SignatureAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ec' && details?.namedCurve === 'prime256v1') {
    return { hash: 'sha256', identifier: asn1.sequence(asn1.oid('1.2.840.10045.4.3.2')) }
  }
  if (type === 'ec' && details?.namedCurve === 'secp384r1') {
    return { hash: 'sha384', identifier: asn1.sequence(asn1.oid('1.2.840.10045.4.3.3')) }
  }
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048) {
    return { hash: 'sha256', identifier: asn1.sequence(asn1.oid('1.2.840.113549.1.1.11'), asn1.nothing()) }
  }
  throw new RangeError('the key of a certificate authority must be ECDSA P-256 or P-384, or RSA of 2048 bits or more')
}

/** 127 random bits, positive, of the same length for all (RFC 5280 4.1.2.2). */
function serialNumber(random: Random): Uint8Array {
  const serial = Uint8Array.from(random(16))
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

function publicPoint(publicKey: KeyObject): Uint8Array {
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-POINT)
}

/** RFC 7093 2, method 1: 160 bits of SHA-256, so that nothing here needs SHA-1. */
function keyIdentifier(publicKeyBits: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKeyBits).digest().subarray(0, 20)
}

function within(asked: Validity, limits: Validity): Validity {
  return {
    notBefore: Math.max(wholeSecond(asked.notBefore), limits.notBefore),
    notAfter: Math.min(wholeSecond(asked.notAfter), limits.notAfter),
  }
}

function wholeSecond(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
