// `make bench`: everything that is measured, as one table and as bench/results.json. `ONLY=discovery,svids,data-path,ten-thousand`
// runs parts. Figures depend on the machine: what counts is their proportion, and the aims beside them were set for two cores.
import { writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { table } from '../src/cli/table.ts'
import { benchDataPath, type DataPath } from './data-path.ts'
import { benchDiscovery, type DiscoveryFigures } from './discovery.ts'
import { envoyNode } from './node.ts'
import { benchSvids, type SvidBench } from './svid.ts'

interface Results {
  machine?: { readonly node: string; readonly cores: number; readonly memoryGiB: number }
  discovery?: DiscoveryFigures
  tenThousand?: DiscoveryFigures
  svids?: SvidBench
  dataPath?: DataPath | string
}

const checkout = fileURLToPath(new URL('..', import.meta.url))
const PARTS = ['discovery', 'svids', 'data-path', 'ten-thousand'] as const
const only = (process.env['ONLY'] ?? PARTS.join()).split(',')
const unknown = only.filter((part) => !PARTS.some((known) => known === part))
if (unknown.length > 0)
  throw new Error(`ONLY: ${unknown.join(', ')} is no part of the bench; choose of ${PARTS.join(', ')}`)

const results: Results = {
  machine: { node: process.version, cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30) },
}
const rows: string[][] = []
const row = (what: string, measured: string, aim = ''): void => void rows.push([what, measured, aim])
const fixed = (value: number, digits = 1): string => value.toFixed(digits)
const megabytes = (bytes: number): string => `${fixed(bytes / 1e6, 0)} MB`
const say = (text: string): void => void process.stderr.write(`${text}\n`)

if (only.includes('discovery')) {
  say('discovery: 1,000 services, 1,000 clients over TLS …')
  const figures = await benchDiscovery({
    size: { services: 1000, clients: 1000 },
    tls: true,
    node: await envoyNode(checkout),
  })
  results.discovery = figures
  sync('first sync of 1,000 clients', figures, ['3 s', '3 CPU s', '60 kB', '300 MB'])
  const aims: Record<string, readonly [string, string]> = {
    'an endpoint': ['p99 60 ms', '5 ms'],
    'a route that all use': ['p99 150 ms', ''],
    'a new service': ['nothing sent', ''],
    '50 endpoint changes a second': ['p99 100 ms', ''],
  }
  for (const [what, cost] of Object.entries(figures.changes)) {
    const [delay = '', cpu = ''] = aims[what] ?? []
    row(
      `${what}: delay p50 / p99 / max`,
      cost.clients === 0 ? 'nothing sent' : `${fixed(cost.p50)} / ${fixed(cost.p99)} / ${fixed(cost.max)} ms`,
      delay,
    )
    row(
      `${what}: CPU, messages, bytes a change`,
      `${fixed(cost.cpuMs)} ms, ${fixed(cost.clients)}, ${fixed(cost.bytes / 1000)} kB`,
      cpu,
    )
  }
}
if (only.includes('ten-thousand')) {
  say('discovery: 10,000 clients in plaintext …')
  results.tenThousand = await benchDiscovery({
    size: { services: 1000, clients: 10_000 },
    tls: false,
    node: await envoyNode(checkout),
    onlySync: true,
  })
  sync('first sync of 10,000 clients (plaintext)', results.tenThousand, ['', '', '60 kB', '1.5 GB'])
}
if (only.includes('svids')) {
  say('SVIDs …')
  results.svids = await benchSvids()
  row(
    'SVIDs signed',
    `${fixed(results.svids.perSecond, 0)} a second, ${fixed(results.svids.cpuMicrosecondsEach, 0)} µs CPU each`,
    '1,000 a second',
  )
}
if (only.includes('data-path')) {
  say('data path …')
  const figures = await benchDataPath(checkout)
  results.dataPath = figures
  if (typeof figures === 'string') row('data path', `not measured: ${figures}`)
  else {
    for (const [name, of] of [
      ['no proxy', figures.none],
      ['hand-written Envoys', figures.handWritten],
      ['Heddle', figures.heddle],
    ] as const)
      row(
        `${name}: requests a second, p50 / p99`,
        `${fixed(of.requestsPerSecond, 0)}, ${fixed(of.p50, 2)} / ${fixed(of.p99, 2)} ms`,
      )
    row('Heddle against hand-written', `${fixed(figures.ratio * 100)} % of the requests`, '95 %')
  }
}

process.stdout.write(`${table(['WHAT', 'MEASURED', 'AIM'], rows)}\n`)
await writeFile(new URL('results.json', import.meta.url), `${JSON.stringify(results, null, 2)}\n`)

function sync(what: string, { sync: cost }: DiscoveryFigures, aims: readonly string[]): void {
  const [time = '', cpu = '', bytes = '', memory = ''] = aims
  row(`${what}: time`, `${fixed(cost.seconds)} s${cost.missing > 0 ? `, ${cost.missing} not whole` : ''}`, time)
  row(`${what}: CPU of the control plane`, `${fixed(cost.cpu)} s`, cpu)
  row(`${what}: bytes a client`, `${fixed(cost.bytesAClient / 1000)} kB`, bytes)
  row(`${what}: memory (RSS, heap in use)`, `${megabytes(cost.rss)}, ${megabytes(cost.heap)}`, memory)
}
