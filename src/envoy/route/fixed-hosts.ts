// The virtual hosts that no object asks for: the one for every destination without HTTP policy, the one that is always
// there, and the one for addresses that nobody has.
import { DST_HEADER, PASS_HEADER, PLACEHOLDER_HOST, REFUSED_HOST } from '../names.ts'
import { safeRetry } from './retry.ts'
import { noMatch, type VirtualHost } from './virtual-host.ts'

/** To the cluster named like the destination, which is all that a service without HTTP policy needs. */
export const defaultVirtualHost = (): VirtualHost => ({
  name: 'default',
  domains: ['*'],
  routes: [
    {
      name: 'loop',
      // a request on its second pass whose virtual host is gone would go round in circles
      match: { prefix: '/', headers: [{ name: PASS_HEADER, present_match: true }] },
      direct_response: {
        status: 503,
        body: { inline_string: 'the routes of this service are being changed; try again\n' },
      },
    },
    {
      name: 'service',
      match: { prefix: '/' },
      route: { cluster_header: DST_HEADER, timeout: '0s', retry_policy: safeRetry() },
    },
  ],
})

/** The first VHDS answer must hold something, or the listener warms for ever; this matches nothing. */
export const placeholderVirtualHost = (): VirtualHost => ({
  name: PLACEHOLDER_HOST,
  domains: ['placeholder.invalid'],
  routes: [noMatch()],
})

/** @param domains addresses as Envoy prints them, `10.0.0.1:80`, that are nobody's: they are refused at once */
export const refusedVirtualHost = (domains: readonly string[]): VirtualHost => ({
  name: REFUSED_HOST,
  domains,
  routes: [
    {
      name: 'refused',
      match: { prefix: '/' },
      direct_response: {
        status: 503,
        body_format: { text_format_source: { inline_string: `%REQ(${DST_HEADER})% is no address in the mesh\n` } },
      },
    },
  ],
})
