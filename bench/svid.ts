// How many SVIDs a second one thread makes: key, certificate, and the Secret as bytes, as a proxy's first request needs it.
//
// Run alone it prints one line; `make bench` takes the numbers into its table.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import type { Authority } from '../src/identity/authority.ts'
import { createBundle } from '../src/identity/authority.ts'
import { systemClock } from '../src/engine/clock.ts'
import { lifetimes } from '../src/identity/lifetimes.ts'
import { identityMetrics } from '../src/identity/metrics.ts'
import { svidSecret } from '../src/identity/secrets.ts'
import { Svids } from '../src/identity/svids.ts'
import { createIntermediate, createIssuer, createRoot } from '../src/identity/x509.ts'
import { descriptorFile, loadProtos } from '../src/proto/encode.ts'

export interface SvidBench {
  /** Identities that were new, each signed once. */
  readonly count: number
  /** By the wall clock. */
  readonly perSecond: number
  /** CPU of the process, all threads, microseconds. */
  readonly cpuMicrosecondsEach: number
}

/** Takes about a second. */
export async function benchSvids(count = 5000): Promise<SvidBench> {
  const protos = loadProtos(await readFile(descriptorFile))
  const clock = systemClock()
  const lives = lifetimes()
  const validity = { notBefore: clock.now() - lives.skew, notAfter: clock.now() + lives.root }
  const root = createRoot('cluster.local', validity, randomBytes)
  const intermediate = createIntermediate('cluster.local', root, validity, randomBytes)
  const authority: Authority = {
    trustDomain: 'cluster.local',
    issuer: createIssuer(intermediate, [intermediate]),
    root,
    bundle: createBundle('cluster.local', [root]),
    onChange: () => ({ [Symbol.dispose]: () => {} }),
    [Symbol.dispose]: () => {},
  }
  const metrics = identityMetrics(new Registry())
  const svids = new Svids({ authority, lifetimes: lives, clock, random: randomBytes, metrics })
  const make = (name: string): number => {
    const { svid } = svids.hold({ id: `spiffe://cluster.local/ns/bench/sa/${name}` })
    if (svid === undefined) throw new Error('nothing was signed')
    return protos.encode('envoy.extensions.transport_sockets.tls.v3.Secret', svidSecret(svid)).length
  }
  for (let i = 0; i < 500; i++) make(`warm-${i}`)

  const cpu = process.cpuUsage()
  const begin = performance.now()
  for (let i = 0; i < count; i++) make(`account-${i}`)
  const milliseconds = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  svids[Symbol.dispose]()
  return { count, perSecond: (count / milliseconds) * 1000, cpuMicrosecondsEach: (user + system) / count }
}

if (import.meta.main) {
  const { count, perSecond, cpuMicrosecondsEach } = await benchSvids()
  console.log(`${count} SVIDs: ${perSecond.toFixed(0)} a second, ${cpuMicrosecondsEach.toFixed(0)} µs of CPU each`)
}
