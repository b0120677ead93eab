// Addresses and ranges in the one form in which Envoy prints and compares them, whatever people wrote.
import { isIPv4, isIPv6 } from 'node:net'

/** An address in the form in which Envoy prints it. What is no address stays as it is. */
export function canonicalAddress(address: string): string {
  // the URL standard writes IPv6 as RFC 5952 asks
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
}

/** A range as Envoy prints it: host bits zero, IPv6 in its shortest form. */
export function canonicalRange(cidr: string): { bits: number; range: string } {
  const [address = '', length] = cidr.split('/')
  const bits = Number(length)
  return { bits, range: `${isIPv4(address) ? maskIPv4(address, bits) : maskIPv6(address, bits)}/${bits}` }
}

function maskIPv4(address: string, bits: number): string {
  return address
    .split('.')
    .map((octet, index) => Number(octet) & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8))) & 0xff)
    .join('.')
}

function maskIPv6(address: string, bits: number): string {
  const masked = groups(address).map(
    (group, index) => group & (0xffff0000 >> Math.min(16, Math.max(0, bits - index * 16))) & 0xffff,
  )
  return canonicalAddress(masked.map((group) => group.toString(16)).join(':'))
}

/** The eight groups of an IPv6 address. */
function groups(address: string): number[] {
  const [head = '', tail] = canonicalAddress(address).split('::')
  const read = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const [first, last] = [read(head), read(tail)]
  return tail === undefined ? first : [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}
