// The control plane's own cost: first sync of many clients, then single changes and a stream of changes, each with the delay at the
// clients concerned, the CPU spent, and who else was touched.
import { setTimeout as delay } from 'node:timers/promises'
import { Child, type Command, type Reply, type Usage } from './channel.ts'
import type { ClientsCommand, ClientsReply, Seen } from './clients.ts'
import type { MeshSize } from './mesh.ts'

export interface Delays {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface ChangeCost extends Delays {
  readonly changes: number
  /** Of the control plane, milliseconds a change. */
  readonly cpuMs: number
  /** Clients that were sent anything, a change. */
  readonly clients: number
  /** Bytes to all of them, a change. */
  readonly bytes: number
}

export interface DiscoveryFigures {
  readonly size: MeshSize
  readonly tls: boolean
  readonly sync: {
    readonly seconds: number
    readonly cpu: number
    readonly bytesAClient: number
    readonly rss: number
    readonly heap: number
    readonly missing: number
  }
  readonly changes: Readonly<Record<string, ChangeCost>>
}

type Plane = Child<Command, Reply>
type Clients = Child<ClientsCommand, ClientsReply>

export interface DiscoveryOptions {
  readonly size: MeshSize
  readonly tls: boolean
  readonly node: Buffer
  /** Only the first sync. */
  readonly onlySync?: boolean
  readonly execArgv?: readonly string[]
}

export async function benchDiscovery({
  size,
  tls,
  node,
  onlySync,
  execArgv,
}: DiscoveryOptions): Promise<DiscoveryFigures> {
  const plane: Plane = new Child('./control-plane.ts', { size, tls }, execArgv)
  const { ready } = await plane.ready()
  if (ready === undefined) throw new Error('the control plane did not start')
  const clients: Clients = new Child('./clients.ts', {
    address: ready.address,
    bundle: tls ? ready.bundle : undefined,
    tokens: ready.tokens,
    services: size.services,
    node: node.toString('base64'),
  })
  await clients.ready()
  try {
    const before = await usage(plane)
    const { synced } = await clients.ask({ do: 'connect' })
    const after = await usage(plane)
    const sync = {
      seconds: (synced?.all ?? 0) / 1000,
      cpu: after.cpu - before.cpu,
      bytesAClient: (synced?.bytes ?? 0) / size.clients,
      rss: after.rss,
      heap: after.heapUsed,
      missing: synced?.missing ?? size.clients,
    }
    if (onlySync === true) return { size, tls, sync, changes: {} }
    const changes: Record<string, ChangeCost> = {}
    const one = (count: number, make: (at: number) => Omit<Command, 'id'>): Promise<ChangeCost> =>
      series(plane, clients, count, 250, make)
    changes['an endpoint'] = await one(20, (at) => ({ do: 'endpoint', service: 1 + at }))
    changes['a route that all use'] = await one(10, () => ({ do: 'route' }))
    changes['a new service'] = await one(10, (at) => ({ do: 'service', service: size.services + 1 + at }))
    changes['50 endpoint changes a second'] = await series(plane, clients, 1000, 20, (at) => ({
      do: 'endpoint',
      service: 1 + ((at * 37) % (size.services - 1)),
    }))
    return { size, tls, sync, changes }
  } finally {
    await clients.end()
    await plane.end()
  }
}

async function usage(plane: Plane): Promise<Usage> {
  const { usage: found } = await plane.ask({ do: 'usage' })
  if (found === undefined) throw new Error('the control plane does not answer')
  return found
}

/** Changes at a steady pace; each delivery belongs to the latest change before it of what it names. */
async function series(
  plane: Plane,
  clients: Clients,
  count: number,
  every: number,
  make: (at: number) => Omit<Command, 'id'>,
): Promise<ChangeCost> {
  await delay(300)
  await clients.ask({ do: 'watch' })
  const cpu = (await plane.ask({ do: 'cpu' })).cpu ?? 0
  const made: number[] = []
  const start = performance.now()
  for (let at = 0; at < count; at++) {
    await delay(Math.max(0, start + at * every - performance.now()))
    made.push((await plane.ask(make(at))).at ?? 0)
  }
  await delay(500)
  const spent = ((await plane.ask({ do: 'cpu' })).cpu ?? 0) - cpu
  const { seen = [] } = await clients.ask({ do: 'seen' })
  return {
    ...delaysOf(seen, made, every),
    changes: count,
    cpuMs: (spent * 1000) / count,
    clients: seen.length / count,
    bytes: seen.reduce((sum, { bytes }) => sum + bytes, 0) / count,
  }
}

function delaysOf(seen: readonly Seen[], made: readonly number[], every: number): Delays {
  // at a slow pace a delivery can only belong to the latest change; at a fast one that would flatter, so the one is taken that a
  // gathering of changes can at most have waited for
  const waits = seen
    .map(({ at }) => {
      const latest = made.findLastIndex((when) => when <= at)
      const earliest = every < 100 ? Math.max(0, latest - 1) : latest
      return at - (made[earliest] ?? at)
    })
    .toSorted((a, b) => a - b)
  const at = (part: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * part))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: waits.at(-1) ?? 0 }
}
