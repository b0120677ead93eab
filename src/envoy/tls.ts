// Mesh TLS on both sides. A client offers an ALPN name that only the mesh uses; by it the server knows mesh TLS from an
// application's own, and HTTP from TCP. The server negotiates no ALPN at all, so that its HTTP codec is chosen by the preface.
import { extension, type Extension, type Message } from '../proto/types.ts'
import { ADS } from './messages.ts'

type SanMatcher = Message<'envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher'>

/** Names of secrets over SDS. */
export const SVID = 'svid'
export const BUNDLE = 'bundle'

const PARAMETERS: Message<'envoy.extensions.transport_sockets.tls.v3.TlsParameters'> = {
  tls_minimum_protocol_version: 'TLSv1_2',
  tls_maximum_protocol_version: 'TLSv1_3',
}

const certificates = (
  sans: readonly SanMatcher[],
): Message<'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext'> => ({
  tls_params: PARAMETERS,
  tls_certificate_sds_secret_configs: [{ name: SVID, sds_config: ADS }],
  combined_validation_context: {
    default_validation_context: { match_typed_subject_alt_names: sans },
    validation_context_sds_secret_config: { name: BUNDLE, sds_config: ADS },
  },
})

export const spiffeId = (trustDomain: string, account: { readonly namespace: string; readonly name: string }): string =>
  `spiffe://${trustDomain}/ns/${account.namespace}/sa/${account.name}`

const inDomain = (trustDomain: string): SanMatcher => ({
  san_type: 'URI',
  matcher: { prefix: `spiffe://${trustDomain}/` },
})

/** Towards instances whose identities are these; anyone of the trust domain where none is known. */
export function upstreamTls(options: { trustDomain: string; alpn: string; identities: readonly string[] }): Extension {
  const sans = options.identities.map((id): SanMatcher => ({ san_type: 'URI', matcher: { exact: id } }))
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: {
      ...certificates(sans.length > 0 ? sans : [inDomain(options.trustDomain)]),
      alpn_protocols: [options.alpn],
    },
  })
}

/** From anyone of the trust domain; who may do what is for authorization to say. */
export function downstreamTls(trustDomain: string): Extension {
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: certificates([inDomain(trustDomain)]),
  })
}
