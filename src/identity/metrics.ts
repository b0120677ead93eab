// What the identity room counts about itself, for Prometheus. Names carry no identities: those would be unbounded.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { Validity } from './x509.ts'

export interface SvidsInUse {
  readonly count: number
  /** When the first of their SVIDs ends, milliseconds since the epoch. */
  readonly earliestEnd: number | undefined
}

export interface IdentityMetrics {
  /** A key and certificate were made. */
  issued(): void
  /** An SVID in use got a successor. */
  renewed(): void
  /** What to look at when somebody reads the metrics. */
  observeSvids(read: () => SvidsInUse): void
  authority(root: Validity, issuer: Validity): void
  rotated(what: 'root' | 'issuer'): void
  failed(operation: 'store' | 'issue' | 'bundle' | 'load'): void
}

/** Registers the metrics in `registry`; once for each registry. */
export function identityMetrics(registry: Registry): IdentityMetrics {
  const registers = [registry]
  const issued = new Counter({
    name: 'heddle_ca_svids_issued_total',
    help: 'X.509 SVIDs signed, first ones and renewals.',
    registers,
  })
  const renewed = new Counter({
    name: 'heddle_ca_svid_renewals_total',
    help: 'X.509 SVIDs replaced while in use.',
    registers,
  })
  let readSvids: (() => SvidsInUse) | undefined
  void new Gauge({
    name: 'heddle_ca_svids',
    help: 'Identities in use, each with one X.509 SVID.',
    registers,
    collect() {
      this.set(readSvids?.().count ?? 0)
    },
  })
  const expiry = new Gauge({
    name: 'heddle_ca_certificate_expiry_timestamp_seconds',
    help: 'When a certificate ends, in seconds since the epoch: root, issuer, and the SVID that ends first.',
    labelNames: ['certificate'],
    registers,
    collect() {
      const earliestEnd = readSvids?.().earliestEnd
      if (earliestEnd === undefined) this.remove('svid')
      else this.set({ certificate: 'svid' }, earliestEnd / 1000)
    },
  })
  const rotations = new Counter({
    name: 'heddle_ca_rotations_total',
    help: 'Signing certificates replaced.',
    labelNames: ['certificate'],
    registers,
  })
  const failures = new Counter({
    name: 'heddle_ca_failures_total',
    help: 'Operations of the certificate authority that failed and are tried again.',
    labelNames: ['operation'],
    registers,
  })
  return {
    issued: () => issued.inc(),
    renewed: () => renewed.inc(),
    observeSvids: (read) => {
      readSvids = read
    },
    authority: (root, issuer) => {
      expiry.set({ certificate: 'root' }, root.notAfter / 1000)
      expiry.set({ certificate: 'issuer' }, issuer.notAfter / 1000)
    },
    rotated: (what) => rotations.inc({ certificate: what }),
    failed: (operation) => failures.inc({ operation }),
  }
}
