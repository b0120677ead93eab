// Takes secrets out of what is printed: configuration, dumps, logs, errors.
//
// By field name, as Envoy's API names what is secret, and by the look of the text: a private key, a join token or a JWT is
// taken out wherever it stands, also where nobody expected one.

export const REDACTED = '[redacted]'

/** Fields whose content is secret, without `_` and in lower case, so that `private_key` and `privateKey` are the same. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'accesstoken',
  'apikey',
  'authorizationtoken',
  'clientsecret',
  'genericsecret',
  'googlerefreshtoken',
  'hmacsecret',
  'jsonkey',
  'passphrase',
  'password',
  'pkcs12',
  'privatekey',
  'secret',
  'secretdata',
  'sessionticketkeys',
  'token',
])

/** Inside a secret field these only say where the secret is. */
const PLACE_FIELDS: ReadonlySet<string> = new Set([
  '@type',
  'environmentvariable',
  'filename',
  'name',
  'path',
  'watcheddirectory',
])

const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'set-cookie',
  'x-api-key',
])

const HEADER_VALUES: ReadonlySet<string> = new Set(['value', 'rawvalue'])

const PEM_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[\s\S]*)/g
/** Base64 of `-----BEGIN`, as PEM comes in a bytes field. */
const BASE64_PEM = /LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*/g
const JOIN_TOKEN = /\b(hjt_[0-9a-f]+)_[A-Za-z0-9_-]{20,}/g
const JWT = /\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g

/** A text without the secrets that can be told by their look. */
export function redactText(text: string): string {
  return text
    .replace(PEM_KEY, REDACTED)
    .replace(BASE64_PEM, (found) =>
      Buffer.from(found, 'base64').toString('latin1').includes('PRIVATE KEY') ? REDACTED : found,
    )
    .replace(JOIN_TOKEN, `$1_${REDACTED}`)
    .replace(JWT, REDACTED)
}

/**
 * A copy of a message, or of any tree of plain objects and arrays, without its secrets. Envoy's API is what the names of the
 * fields follow, in either spelling. A source of data keeps its shape: `private_key: {inline_string: '[redacted]'}`; file
 * names stay.
 */
export function redact<T>(message: T): T {
  return walk(message, false) as T
}

function walk(value: unknown, isSecret: boolean): unknown {
  if (typeof value === 'string') return isSecret ? REDACTED : redactText(value)
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) {
    if (isSecret) return REDACTED
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
    return redactText(text) === text ? value : REDACTED
  }
  if (Array.isArray(value)) return value.map((item) => walk(item, isSecret))
  // what has a form of its own for printing (SVIDs, dates) is asked for it
  if ('toJSON' in value && typeof value.toJSON === 'function') return walk(value.toJSON(), isSecret)
  const entries: readonly [string, unknown][] = Object.entries(value)
  // a reference to a secret is none
  const hidesAll = isSecret && !entries.some(([key]) => plain(key) === 'sdsconfig')
  const isSecretHeader = entries.some(([key, name]) => namesSecretHeader(plain(key), name))
  return Object.fromEntries(
    entries.map(([key, item]) => {
      const field = plain(key)
      const hides =
        (hidesAll && !PLACE_FIELDS.has(field)) ||
        SECRET_FIELDS.has(field) ||
        (isSecretHeader && HEADER_VALUES.has(field)) ||
        (typeof item === 'string' && SECRET_HEADERS.has(key.toLowerCase()))
      return [key, walk(item, hides)]
    }),
  )
}

function plain(key: string): string {
  return key.replaceAll('_', '').toLowerCase()
}

/** As in a HeaderValue, `{key: 'authorization', value: …}`. */
function namesSecretHeader(field: string, name: unknown): boolean {
  return (field === 'key' || field === 'name') && typeof name === 'string' && SECRET_HEADERS.has(name.toLowerCase())
}
