// The control plane under measurement, in a process of its own: the real core, identities, tokens and server; only the catalog is fed
// from memory. It is told what to do, and tells what it used, over the process's channel.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerCredentials } from '@grpc/grpc-js'
import pino from 'pino'
import { Registry } from 'prom-client'
import { buildCore } from '../src/core.ts'
import { systemClock } from '../src/engine/clock.ts'
import type { View } from '../src/envoy/view.ts'
import { fileAuthorityStore } from '../src/identity/authority-store.ts'
import { OwnAuthority } from '../src/identity/authority.ts'
import { lifetimes } from '../src/identity/lifetimes.ts'
import { identityMetrics } from '../src/identity/metrics.ts'
import { RotatingServerCredentials } from '../src/identity/server-credentials.ts'
import { StateDir } from '../src/identity/state-dir.ts'
import { Svids } from '../src/identity/svids.ts'
import { JoinTokens } from '../src/identity/tokens.ts'
import { descriptorFile, loadProtos } from '../src/proto/encode.ts'
import { delivering } from '../src/standalone/delivering.ts'
import { SvidLeases } from '../src/standalone/leases.ts'
import { viewOf } from '../src/standalone/views.ts'
import { startXdsServer } from '../src/xds/server.ts'
import { type Command, type Reply, type Settings, settings, type Usage, wallClock } from './channel.ts'
import { clientKey, objects, route, service, slice } from './mesh.ts'

const { size, tls } = await settings<Settings>()
const clock = systemClock()
const random = (bytes: number): Uint8Array => randomBytes(bytes)
const directory = await mkdtemp(join(tmpdir(), 'heddle-bench-'))
const core = buildCore({
  protos: loadProtos(await readFile(descriptorFile)),
  clock,
  onError: (what, error) => {
    throw new Error(what, { cause: error })
  },
})
const loaded = core.catalog.expect()
const origin = { source: 'bench' }
core.catalog.replaceAll(
  'bench',
  objects(size).map((object) => ({ op: 'upsert', object, origin })),
)
loaded()
core.flush()
for (const problem of core.catalog.problems()) process.stderr.write(`${problem.text}\n`)

const registry = new Registry()
const metrics = identityMetrics(registry)
const stateDir = await StateDir.open(join(directory, 'state'), { lock: true, random })
const lives = lifetimes()
const authority = await OwnAuthority.open({
  trustDomain: 'cluster.local',
  store: fileAuthorityStore(stateDir),
  lifetimes: lives,
  clock,
  random,
  metrics,
  onError: (error) => {
    throw error
  },
})
const svids = new Svids({ authority, lifetimes: lives, clock, random, metrics })
core.bundle.set('', authority.bundle)
const tokens = new JoinTokens({ stateDir, clock, random })
const issued: string[] = []
for (let index = 0; index < size.clients; index++) {
  const [namespace = '', name = ''] = clientKey(index).split('/')
  issued.push((await tokens.create({ namespace, name })).reveal())
}
const leases = new SvidLeases(core, svids, 'cluster.local')
const server = await startXdsServer<View>({
  source: delivering(core.delivery, leases, () => undefined),
  authenticator: {
    async authenticate({ token, nodeId, protocol }) {
      const verdict = await tokens.authenticate({ ...(token !== undefined && { token }), nodeId })
      if (!verdict.ok) return { ok: false, reason: 'invalid-token' }
      const { namespace, name } = verdict.workload
      const client = viewOf(core.mesh, `${namespace}/${name}`, { interception: 'Redirect', ipv6: true }, protocol)
      return client === undefined ? { ok: false, reason: 'unknown-workload' } : { ok: true, client }
    },
  },
  listen: [
    {
      address: '127.0.0.1:0',
      credentials: tls
        ? new RotatingServerCredentials(svids, {
            id: 'spiffe://cluster.local/ns/heddle-system/sa/heddle',
            dns: ['localhost'],
          })
        : ServerCredentials.createInsecure(),
    },
  ],
  metrics: registry,
  log: pino({ level: 'warn' }, pino.destination(2)),
  clock,
})

const tell = (reply: Reply): void => void process.send?.(reply)

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return {
    cpu: (user + system) / 1e6,
    rss,
    heapUsed,
    computations: core.graph.computations,
    streams: server.clients().length,
  }
}

let turn = 0
function apply(object: object): number {
  const at = wallClock()
  core.catalog.apply([{ op: 'upsert', object, origin }])
  return at
}

process.on('message', (command: Command) => {
  switch (command.do) {
    case 'usage':
      return tell({ id: command.id, usage: usage() })
    case 'cpu': {
      const { user, system } = process.cpuUsage()
      return tell({ id: command.id, cpu: (user + system) / 1e6 })
    }
    case 'endpoint':
      return tell({ id: command.id, at: apply(slice(command.service, ++turn)) })
    case 'route':
      return tell({ id: command.id, at: apply(route(++turn)) })
    case 'service':
      return tell({ id: command.id, at: apply(service(command.service)) })
    case 'stop':
      void server[Symbol.asyncDispose]()
        .then(() => rm(directory, { recursive: true, force: true }))
        .finally(() => process.exit(0))
  }
})
const [bound = ''] = server.addresses
tell({
  id: 0,
  ready: { address: bound.replace(/^.*?([0-9]+)$/, 'localhost:$1'), bundle: authority.bundle.pem, tokens: issued },
})
