// TLS of the control plane's own gRPC port: a certificate of its own CA, exchanged while the listener runs.
//
// Connections that exist go on with the certificate that they began with; new ones see the newest. Proxies prove who they
// are by token, so no client certificate is asked for.

import { ServerCredentials } from '@grpc/grpc-js'
import type { SecureContextOptions } from 'node:tls'
import { inspect } from 'node:util'
import type { Svid, SvidLease, Svids } from './svids.ts'

export interface ServerNames {
  /** SPIFFE ID of the control plane. */
  readonly id: string
  /** Names by which it is dialled, `localhost` among them if that is one. */
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
}

/** TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3, which is preferred, has nothing else. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
].join(':')

/** What a TLS server needs; also for servers that are not gRPC's: `server.setSecureContext(secureContextOptions(svid))`. */
export function secureContextOptions(svid: Svid): SecureContextOptions {
  return {
    cert: svid.certificateChain,
    // of a buffer, inspection shows the first bytes only, which are the same for every key
    key: Buffer.from(svid.exportPrivateKey()),
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
  }
}

/** Follows the SVID of the control plane from `svids`. While there is none, new connections are refused. */
export class RotatingServerCredentials extends ServerCredentials implements Disposable {
  readonly #lease: SvidLease

  constructor(svids: Svids, names: ServerNames) {
    const lease = svids.hold(names, (svid) => this.updateSecureContextOptions(secureContextOptions(svid)))
    super({ requestCert: false }, lease.svid === undefined ? undefined : secureContextOptions(lease.svid))
    this.#lease = lease
  }

  /** Called by grpc-js when an address is bound twice. */
  override _equals(other: ServerCredentials): boolean {
    return this === other
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return { svid: this.#lease.svid }
  }

  [inspect.custom](): string {
    return `RotatingServerCredentials ${inspect(this.toJSON())}`
  }

  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]()
  }
}
