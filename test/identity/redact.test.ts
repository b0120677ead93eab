import { describe, expect, it } from 'vitest'
import { redact, REDACTED, redactText } from '../../src/identity/redact.ts'
import { bundleSecret, svidSecret } from '../../src/identity/secrets.ts'
import { CART, openWorld, present } from './world.ts'

const PEM = `-----BEGIN PRIVATE KEY-----\n${'MIGH'.repeat(20)}\n-----END PRIVATE KEY-----\n`
const JWT = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.c2ln`

describe('what Envoy takes over SDS', () => {
  it('names certificate, key and bundle as its documentation does', async () => {
    using world = await openWorld()
    const svid = present(world.svids.hold({ id: CART }).svid)
    expect(svidSecret(svid)).toEqual({
      name: 'svid',
      tls_certificate: {
        certificate_chain: { inline_string: svid.certificateChain },
        private_key: { inline_string: svid.exportPrivateKey() },
      },
    })
    expect(bundleSecret(world.authority.bundle)).toEqual({
      name: 'bundle',
      validation_context: { trusted_ca: { inline_string: world.authority.bundle.pem } },
    })
  })

  it('is shown without the key, certificates and all else as they are', async () => {
    using world = await openWorld()
    const svid = present(world.svids.hold({ id: CART }).svid)
    const [secret, bundle] = [svidSecret(svid), bundleSecret(world.authority.bundle)]
    expect(redact({ secrets: [secret, bundle] })).toEqual({
      secrets: [
        {
          name: 'svid',
          tls_certificate: {
            certificate_chain: { inline_string: svid.certificateChain },
            private_key: { inline_string: REDACTED },
          },
        },
        bundle,
      ],
    })
    expect(secret.tls_certificate?.private_key?.inline_string).toContain('PRIVATE KEY')
  })
})

describe('redaction', () => {
  it.each<readonly [string, unknown, unknown]>([
    [
      'a key in either spelling',
      { privateKey: 'a', private_key: 'b' },
      { privateKey: REDACTED, private_key: REDACTED },
    ],
    ['a key as bytes', { private_key: { inline_bytes: 'AAAA' } }, { private_key: { inline_bytes: REDACTED } }],
    ['no file name', { private_key: { filename: '/a/key.pem' } }, { private_key: { filename: '/a/key.pem' } }],
    ['a password', { password: { inline_string: 'a' } }, { password: { inline_string: REDACTED } }],
    [
      'a generic secret',
      { name: 'api', generic_secret: { secret: { inline_string: 'a' }, secrets: { k: { inline_string: 'b' } } } },
      {
        name: 'api',
        generic_secret: { secret: { inline_string: REDACTED }, secrets: { k: { inline_string: REDACTED } } },
      },
    ],
    [
      'keys of session tickets',
      { session_ticket_keys: { keys: [{ inline_bytes: 'a' }, { filename: '/k' }] } },
      { session_ticket_keys: { keys: [{ inline_bytes: REDACTED }, { filename: '/k' }] } },
    ],
    [
      'no reference to a secret',
      { client_secret: { name: 's', sds_config: { ads: {}, resource_api_version: 'V3' } } },
      { client_secret: { name: 's', sds_config: { ads: {}, resource_api_version: 'V3' } } },
    ],
    ['a token', { access_token: 'a', token: 'b' }, { access_token: REDACTED, token: REDACTED }],
    ['no bucket of tokens', { token_bucket: { max_tokens: 5 } }, { token_bucket: { max_tokens: 5 } }],
    [
      'the value of a header',
      { header: { key: 'Authorization', value: 'Basic abc' }, other: { key: 'x-a', value: 'b' } },
      { header: { key: 'Authorization', value: REDACTED }, other: { key: 'x-a', value: 'b' } },
    ],
    ['headers by name', { headers: { cookie: 'a=b', accept: '*' } }, { headers: { cookie: REDACTED, accept: '*' } }],
    [
      'no hash policy on a cookie',
      { hash_policy: [{ cookie: { name: 'c', ttl: '0s', path: '/' } }] },
      { hash_policy: [{ cookie: { name: 'c', ttl: '0s', path: '/' } }] },
    ],
    [
      'a key anywhere',
      { note: `look: ${PEM}!`, list: [PEM] },
      { note: `look: ${REDACTED}\n!`, list: [REDACTED + '\n'] },
    ],
    ['a key cut off', [PEM.slice(0, 60)], [REDACTED]],
    ['a key of an older kind', ['-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----'], [REDACTED]],
    ['a key in base64', { x: Buffer.from(PEM).toString('base64') }, { x: REDACTED }],
    ['a key in bytes', { x: Buffer.from(PEM), y: Buffer.from('z') }, { x: REDACTED, y: Buffer.from('z') }],
    ['a service account token', { x: `a ${JWT} b` }, { x: `a ${REDACTED} b` }],
    ['nothing else', { a: [1, true, null, 'text'], b: undefined }, { a: [1, true, null, 'text'], b: undefined }],
  ])('takes out %s', (_, message, expected) => {
    expect(redact(message)).toEqual(expected)
  })

  it('leaves certificates in base64 alone', () => {
    const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n').toString('base64')
    expect(redact({ trusted_ca: { inline_bytes: certificate } })).toEqual({ trusted_ca: { inline_bytes: certificate } })
  })

  it('works on texts', () => {
    expect(redactText(`error near ${PEM}`)).toBe(`error near ${REDACTED}\n`)
    expect(redactText('nothing')).toBe('nothing')
  })
})
