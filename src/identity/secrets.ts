// SVIDs and trust bundle as Envoy takes them over SDS, in the shape of Envoy's documentation.
//
// These are the only messages with a private key in them. They go to the proxy that authenticated as their owner and into
// nothing else: whatever prints configuration passes it through `redact` first.

import type { Message } from '../proto/types.ts'
import type { TrustBundle } from './authority.ts'
import type { Svid } from './svids.ts'

export type Secret = Message<'envoy.extensions.transport_sockets.tls.v3.Secret'>

/** A proxy's own certificate and key, under the name that all its TLS contexts refer to. */
export const SVID_SECRET = 'svid'
/** The roots that it trusts. */
export const BUNDLE_SECRET = 'bundle'

export function svidSecret(svid: Svid): Secret {
  return {
    name: SVID_SECRET,
    tls_certificate: {
      certificate_chain: { inline_string: svid.certificateChain },
      private_key: { inline_string: svid.exportPrivateKey() },
    },
  }
}

export function bundleSecret(bundle: TrustBundle): Secret {
  return { name: BUNDLE_SECRET, validation_context: { trusted_ca: { inline_string: bundle.pem } } }
}

/** A certificate for a host outside, from a Secret of the namespace; PEM. */
export function clientSecret(
  name: string,
  { chain, privateKey }: { readonly chain: string; readonly privateKey: string },
): Secret {
  return {
    name,
    tls_certificate: { certificate_chain: { inline_string: chain }, private_key: { inline_string: privateKey } },
  }
}
