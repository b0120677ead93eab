/**
 * The scalar schemas that kinds share: names, ports, addresses. Patterns are RE2-compatible, since the same
 * schema becomes a CRD, and every string is bounded, since CEL's cost estimate needs it.
 */
import { isIP } from 'node:net'
import { z } from 'zod'

/** An RFC 1123 label: a Namespace, a port name. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    'lower case letters, digits and "-", beginning and ending with a letter or digit',
  )

/** An RFC 1123 subdomain: the name of most objects, a section name. */
export const dnsSubdomain = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'a DNS name in lower case (letters, digits, "-", labels separated by ".")',
  )

/** A host name that may begin with a wildcard label, as `*.example.com`. */
export const wildcardHostname = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'a DNS name in lower case, the first label possibly "*", without port',
  )

/** The name of any object that is only referred to. */
export const objectName = z.string().min(1).max(253)

/** An API group; empty for the core group. */
export const apiGroup = z
  .string()
  .max(253)
  .regex(
    /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'an API group such as gateway.networking.k8s.io, or "" for the core group',
  )

/** The name of a kind, e.g. `Service`. */
export const kindName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'the name of a kind, such as Service')

/** 1 to 65535. */
export const portNumber = z.int32().min(1).max(65_535)

/** An HTTP field name (RFC 9110, section 5.6.2 `token`). */
export const headerName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$/, 'an HTTP header name')

/** An HTTP field value: visible ASCII with single inner blanks. */
export const headerValue = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[!-~]+([\t ]?[!-~]+)*$/, 'an HTTP header value: visible ASCII characters with single inner spaces')

/** An IPv4 or IPv6 address without brackets, prefix length or zone. */
export const ipAddress = z
  .string()
  .min(2)
  .max(45)
  .refine((text) => familyOf(text) !== 0, 'an IPv4 or IPv6 address such as 10.0.0.7 or fd00::7')
  .meta({ 'x-kubernetes-validations': [{ rule: 'isIP(self)', message: 'must be an IPv4 or IPv6 address' }] })

/** An IPv4 or IPv6 range as `10.0.0.0/8`. */
export const cidr = z
  .string()
  .min(4)
  .max(49)
  .refine(isCidr, 'a range of addresses such as 10.0.0.0/8 or fd00::/64')
  .meta({ 'x-kubernetes-validations': [{ rule: 'isCIDR(self)', message: 'must be a CIDR such as 10.0.0.0/8' }] })

/** 4, 6, or 0 for what the API server takes for no address: with a zone, or IPv4 in the dress of IPv6. */
function familyOf(text: string): number {
  return /%|:.*\./.test(text) ? 0 : isIP(text)
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/')
  const family = familyOf(address)
  if (family === 0 || rest.length > 0 || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return false
  return Number(length) <= (family === 4 ? 32 : 128)
}

/** A share of 100, fractions allowed. */
export const percentage = z.number().min(0).max(100)

/** What a server is asked to speak on a port: the IANA name or a `kubernetes.io/…` one. */
export const appProtocol = z.string().min(1).max(253)
