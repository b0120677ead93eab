// The ASN.1 of certificates (RFC 5280): the few structures that Heddle writes, as node-forge trees.
//
// node-forge only writes and reads the encoding here. Keys, hashes and signatures are node:crypto's.

import { isIPv4, isIPv6 } from 'node:net'
import forge from 'node-forge'

const { asn1 } = forge

export type Asn1 = forge.asn1.Asn1

const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class
const { NONE, BOOLEAN, INTEGER, BITSTRING, OCTETSTRING, NULL, OID, ODESC } = asn1.Type
const { SEQUENCE, SET, UTF8, UTCTIME, GENERALIZEDTIME } = asn1.Type

/** node-forge's types know the universal tags only: the context tags in use, by the universal tag of the same number. */
const CONTEXT_TAGS = { 0: NONE, 2: INTEGER, 3: BITSTRING, 6: OID, 7: ODESC } as const

type ContextTag = keyof typeof CONTEXT_TAGS

/** Bytes as node-forge wants them, one character a byte. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

export function toDer(node: Asn1): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
}

/** Throws on what is not strict DER. */
export function fromDer(der: Uint8Array): Asn1 {
  return asn1.fromDer(binary(der))
}

export function sequence(...items: readonly Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, SEQUENCE, true, [...items])
}

/** A context tag around whole values, as in `[0] EXPLICIT`. */
export function explicit(tag: ContextTag, ...items: readonly Asn1[]): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], true, [...items])
}

/** A context tag in place of a primitive value's own, as in `[0] IMPLICIT`. */
export function implicit(tag: ContextTag, bytes: Uint8Array): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], false, binary(bytes))
}

export function oid(dotted: string): Asn1 {
  return asn1.create(UNIVERSAL, OID, false, asn1.oidToDer(dotted).getBytes())
}

/** A small non-negative number. */
export function integer(value: number): Asn1 {
  return asn1.create(UNIVERSAL, INTEGER, false, asn1.integerToDer(value).getBytes())
}

/** Big-endian bytes whose first bit is clear and whose first byte is not zero. */
export function integerBytes(bytes: Uint8Array): Asn1 {
  return asn1.create(UNIVERSAL, INTEGER, false, binary(bytes))
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Asn1 {
  return asn1.create(UNIVERSAL, BITSTRING, false, String.fromCharCode(unusedBits) + binary(bytes))
}

export function nothing(): Asn1 {
  return asn1.create(UNIVERSAL, NULL, false, '')
}

/** UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 4.1.2.5). Fractions of a second are cut off. */
export function time(milliseconds: number): Asn1 {
  const date = new Date(milliseconds)
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date))
}

/** A distinguished name of organisation and common name; no arguments make the empty name. */
export function distinguishedName(organization?: string, commonName?: string): Asn1 {
  const attributes: Asn1[] = []
  if (organization !== undefined) attributes.push(attribute('2.5.4.10', organization))
  if (commonName !== undefined) attributes.push(attribute('2.5.4.3', commonName))
  return sequence(...attributes)
}

function attribute(type: string, value: string): Asn1 {
  const text = asn1.create(UNIVERSAL, UTF8, false, Buffer.from(value, 'utf8').toString('latin1'))
  return asn1.create(UNIVERSAL, SET, true, [sequence(oid(type), text)])
}

export function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const items = [oid(id)]
  // DER leaves out what equals the default, FALSE
  if (critical) items.push(asn1.create(UNIVERSAL, BOOLEAN, false, '\xff'))
  items.push(asn1.create(UNIVERSAL, OCTETSTRING, false, asn1.toDer(value).getBytes()))
  return sequence(...items)
}

/** RFC 5280 4.2.1.9. `pathLength` is how many certificate authorities may follow; undefined is a leaf. */
export function basicConstraints(pathLength: number | undefined): Asn1 {
  const value =
    pathLength === undefined
      ? sequence()
      : sequence(asn1.create(UNIVERSAL, BOOLEAN, false, '\xff'), integer(pathLength))
  return extension(EXTENSIONS.basicConstraints, true, value)
}

/** RFC 5280 4.2.1.3: the named bits, counted from the left. */
const KEY_USAGE_BITS = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const

export function keyUsage(...uses: readonly (keyof typeof KEY_USAGE_BITS)[]): Asn1 {
  let byte = 0
  for (const use of uses) byte |= 0x80 >> KEY_USAGE_BITS[use]
  // DER: trailing zero bits of a named bit list are not written
  let unused = 0
  while (unused < 7 && (byte & (1 << unused)) === 0) unused++
  return extension(EXTENSIONS.keyUsage, true, bitString(Uint8Array.of(byte), unused))
}

export function extendedKeyUsage(...purposes: readonly string[]): Asn1 {
  return extension(EXTENSIONS.extendedKeyUsage, false, sequence(...purposes.map(oid)))
}

export function subjectKeyIdentifier(id: Uint8Array): Asn1 {
  return extension(EXTENSIONS.subjectKeyIdentifier, false, asn1.create(UNIVERSAL, OCTETSTRING, false, binary(id)))
}

export function authorityKeyIdentifier(id: Uint8Array): Asn1 {
  return extension(EXTENSIONS.authorityKeyIdentifier, false, sequence(implicit(0, id)))
}

export interface AlternativeNames {
  readonly uri: string
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
}

/** RFC 5280 4.2.1.6. Critical where the subject is empty. Throws a RangeError on what is no address or not ASCII. */
export function subjectAlternativeName(names: AlternativeNames, critical: boolean): Asn1 {
  const { uri, dns = [], ip = [] } = names
  const all = [ascii(6, uri), ...dns.map((name) => ascii(2, name)), ...ip.map(ipAddress)]
  return extension(EXTENSIONS.subjectAlternativeName, critical, sequence(...all))
}

function ascii(tag: 2 | 6, value: string): Asn1 {
  if (!/^[\x21-\x7e]+$/.test(value)) throw new RangeError(`'${value}' cannot be in a certificate: it must be ASCII`)
  return implicit(tag, Buffer.from(value, 'latin1'))
}

/** Four bytes or sixteen. */
function ipAddress(address: string): Asn1 {
  if (isIPv4(address)) return implicit(7, Uint8Array.from(address.split('.'), Number))
  if (!isIPv6(address) || address.includes('%')) throw new RangeError(`'${address}' is no IP address`)
  // the URL standard writes every IPv6 address in groups of hex digits, with at most one '::'
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const before = hexGroups(head)
  const after = hexGroups(tail)
  return implicit(7, Buffer.from(before + '0'.repeat(32 - before.length - after.length) + after, 'hex'))
}

function hexGroups(text: string): string {
  return text === ''
    ? ''
    : text
        .split(':')
        .map((group) => group.padStart(4, '0'))
        .join('')
}

export const EXTENSIONS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

export const PURPOSES = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const

/** What Heddle must know of a signing certificate that it did not write itself. */
export interface SigningFacts {
  /** The subject, to be repeated bit for bit as the issuer of what it signs. */
  readonly subject: Asn1
  readonly subjectKeyIdentifier: Uint8Array | undefined
  /** Undefined where the certificate has no key usage extension, which leaves everything allowed. */
  readonly keyCertSign: boolean | undefined
  readonly pathLength: number | undefined
}

/** Reads a DER certificate. Throws if it is none. */
export function readSigningFacts(der: Uint8Array): SigningFacts {
  const [tbs] = children(fromDer(der))
  const fields = children(tbs)
  // the version is [0] EXPLICIT and may be absent (version 1)
  const offset = fields[0]?.tagClass === CONTEXT_SPECIFIC ? 1 : 0
  const subject = fields[offset + 4]
  if (subject === undefined) throw new RangeError('not a certificate')
  const wrapper = fields.find((field) => field.tagClass === CONTEXT_SPECIFIC && field.type === CONTEXT_TAGS[3])
  const extensions = new Map<string, Asn1>()
  for (const item of wrapper === undefined ? [] : children(children(wrapper)[0])) {
    const parts = children(item)
    const value = parts.at(-1)
    if (parts[0] !== undefined && value !== undefined) {
      extensions.set(asn1.derToOid(bytesOf(parts[0])), asn1.fromDer(octets(value)))
    }
  }
  const usage = extensions.get(EXTENSIONS.keyUsage)
  const ski = extensions.get(EXTENSIONS.subjectKeyIdentifier)
  const pathLength = children(extensions.get(EXTENSIONS.basicConstraints))[1]
  return {
    subject,
    subjectKeyIdentifier: ski === undefined ? undefined : Buffer.from(octets(ski), 'latin1'),
    keyCertSign:
      usage === undefined ? undefined : (octets(usage).charCodeAt(1) & (0x80 >> KEY_USAGE_BITS.keyCertSign)) !== 0,
    pathLength: pathLength === undefined ? undefined : asn1.derToInteger(bytesOf(pathLength)),
  }
}

function children(node: Asn1 | undefined): readonly Asn1[] {
  return node !== undefined && Array.isArray(node.value) ? node.value : []
}

function bytesOf(node: Asn1): string {
  return typeof node.value === 'string' ? node.value : ''
}

/** The raw content of a string, also where node-forge guessed that there is ASN.1 inside and parsed that. */
function octets(node: Asn1): string {
  if (typeof node.value === 'string') return node.value
  if ('bitStringContents' in node && typeof node.bitStringContents === 'string') return node.bitStringContents
  return node.value.map((child) => asn1.toDer(child).getBytes()).join('')
}
