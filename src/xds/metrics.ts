// What the xDS server counts. A type's label is the last word of its name, as `Cluster`, or `other`.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface XdsMetrics {
  streamOpened(protocol: string): void
  streamClosed(protocol: string): void
  pushed(label: string, bytes: number): void
  refused(label: string): void
  /** A client that is not who it says, or says nothing. */
  notAuthenticated(reason: string): void
  /** Milliseconds from a change of the source until a response with it was written. */
  delayed(milliseconds: number): void
}

/** `pending` is asked at each scrape: how many resources wait to be sent, over all streams. */
export function xdsMetrics(registry: Registry, pending: () => number): XdsMetrics {
  const registers = [registry]
  const streams = new Gauge({
    name: 'heddle_xds_streams',
    help: 'Open discovery streams of authenticated clients, by protocol variant (delta, sotw)',
    labelNames: ['protocol'],
    registers,
  })
  const pushes = new Counter({
    name: 'heddle_xds_pushes_total',
    help: 'Discovery responses written, by type of resource',
    labelNames: ['type'],
    registers,
  })
  const bytes = new Counter({
    name: 'heddle_xds_push_bytes_total',
    help: 'Bytes of discovery responses written, before compression and framing',
    registers,
  })
  const nacks = new Counter({
    name: 'heddle_xds_nacks_total',
    help: 'Discovery responses that a client refused, by type of resource',
    labelNames: ['type'],
    registers,
  })
  const authFailures = new Counter({
    name: 'heddle_xds_auth_failures_total',
    help: 'Discovery streams refused because the client was not authenticated, by reason',
    labelNames: ['reason'],
    registers,
  })
  const delay = new Histogram({
    name: 'heddle_xds_push_delay_seconds',
    help: 'From a change until a discovery response with it was written to one client; not of what waits for an acknowledgement',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const waiting: Gauge = new Gauge({
    name: 'heddle_xds_pending',
    help: 'Resources that wait to be sent, for the client to read or to acknowledge what goes before them',
    // asked at each scrape, so that no count can go astray
    collect: () => waiting.set(pending()),
    registers,
  })
  return {
    streamOpened: (protocol) => streams.inc({ protocol }),
    streamClosed: (protocol) => streams.dec({ protocol }),
    pushed(type, size) {
      pushes.inc({ type })
      bytes.inc(size)
    },
    refused: (type) => nacks.inc({ type }),
    notAuthenticated: (reason) => authFailures.inc({ reason }),
    delayed: (milliseconds) => delay.observe(milliseconds / 1000),
  }
}
