/** PEM that a proxy takes, and PEM that it would refuse. */
import { expect, it } from 'vitest'
import { holdsCertificates, isKeyPair } from '../../src/mesh/certificates.ts'
import { CART, openWorld, present, WEB } from '../identity/world.ts'

const GARBAGE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

it('certificates are read, all of them', async () => {
  using world = await openWorld()
  using lease = world.svids.hold({ id: CART })
  const chain = present(lease.svid).certificateChain
  expect(holdsCertificates(chain)).toBe(true)
  expect(holdsCertificates(`a remark\n${chain}\n${world.authority.bundle.pem}`)).toBe(true)
  expect(holdsCertificates(`${chain}${GARBAGE}`)).toBe(false)
  expect(holdsCertificates(`${chain}-----BEGIN CERTIFICATE-----\ncut off`)).toBe(false)
  for (const text of ['', 'no certificate', GARBAGE]) expect(holdsCertificates(text)).toBe(false)
})

it('a key belongs to its certificate', async () => {
  using world = await openWorld()
  using cart = world.svids.hold({ id: CART })
  using web = world.svids.hold({ id: WEB })
  const own = present(cart.svid)
  expect(isKeyPair(own.certificateChain, own.exportPrivateKey())).toBe(true)
  expect(isKeyPair(own.certificateChain, present(web.svid).exportPrivateKey())).toBe(false)
  expect(isKeyPair(own.certificateChain, 'no key')).toBe(false)
  expect(isKeyPair('no certificate', own.exportPrivateKey())).toBe(false)
})
