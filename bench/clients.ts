// Many proxies in one process: each a delta stream of its own that asks as an Envoy does, with a real Envoy's node, and takes all that
// it is given. They tell when what arrived.
import { ChannelCredentials } from '@grpc/grpc-js'
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, VIRTUAL_HOST } from '../src/envoy/names.ts'
import { DeltaPeer } from '../test/support/delta-peer.ts'
import { XdsClient } from '../test/support/xds-client.ts'
import { settings, wallClock } from './channel.ts'
import { serviceAddress, servicesOf } from './mesh.ts'

export interface ClientsSettings {
  readonly address: string
  readonly bundle: string | undefined
  readonly tokens: readonly string[]
  readonly services: number
  readonly node: string
}

export interface ClientsCommand {
  readonly id: number
  readonly do: 'connect' | 'watch' | 'seen' | 'stop'
}

/** What one client was sent since `watch`. */
export interface Seen {
  readonly client: number
  readonly at: number
  readonly bytes: number
  readonly names: readonly string[]
}

export interface ClientsReply {
  readonly id: number
  /** Milliseconds to the sync of all, of each client from its connect, and bytes. */
  readonly synced?: { readonly all: number; readonly bytes: number; readonly missing: number }
  readonly seen?: readonly Seen[]
}

const given = await settings<ClientsSettings>()
const node = Buffer.from(given.node, 'base64')
const credentials = (): ChannelCredentials =>
  given.bundle === undefined
    ? ChannelCredentials.createInsecure()
    : ChannelCredentials.createSsl(Buffer.from(given.bundle))

let seen: Seen[] | undefined
class Peer extends DeltaPeer {
  readonly #client: number

  constructor(client: number) {
    super({
      node,
      keepLog: false,
      follow: (type, { name }) => {
        if (type !== CLUSTER || name === 'passthrough' || name === 'refused' || name.startsWith('inbound')) return []
        // the loop has its endpoint with it
        return name === `${serviceAddress(0)}:80` ? [] : [{ type: ENDPOINTS, name }]
      },
    })
    this.#client = client
  }

  override receive(message: Uint8Array): ReturnType<DeltaPeer['receive']> {
    const answer = super.receive(message)
    seen?.push({
      client: this.#client,
      at: wallClock(),
      bytes: message.length,
      names: [...answer.resources.map(({ name }) => name), ...answer.removed],
    })
    return answer
  }
}

const clients = given.tokens.map((token, index) => {
  const peer = new Peer(index)
  const names = servicesOf(index, given.services).map((service) => `${serviceAddress(service)}:80`)
  return {
    peer,
    names,
    client: new XdsClient(peer, 'DeltaAggregatedResources', {
      address: given.address,
      credentials: credentials(),
      token,
      // ten thousand take their time on two cores
      patience: 180_000,
    }),
  }
})

const whole = ({ peer, names }: (typeof clients)[number]): boolean =>
  names.every((name) => peer.has(CLUSTER).has(name)) &&
  peer.has(LISTENER).has('inbound') &&
  peer.has(SECRET).has('svid') &&
  peer.has(ROUTES).has('outbound') &&
  peer.has(VIRTUAL_HOST).has(`outbound/${serviceAddress(0)}:80`) &&
  peer.has(ENDPOINTS).size >= names.length

async function connect(): Promise<ClientsReply['synced']> {
  const start = wallClock()
  const bytes = new Map(clients.map((one) => [one, 0]))
  for (const { client, peer, names } of clients) {
    client.connect()
    peer.wildcard(CLUSTER)
    peer.wildcard(LISTENER)
    peer.subscribe(SECRET, 'svid', 'bundle')
    peer.subscribe(ROUTES, 'outbound', 'external', 'inbound', 'inbound/8080')
    peer.wildcard(VIRTUAL_HOST)
    peer.subscribe(CLUSTER, ...names)
  }
  await Promise.all(clients.map((one) => one.client.until(() => whole(one), 'first sync').catch(() => undefined)))
  const all = wallClock() - start
  let total = 0
  for (const [{ peer }] of bytes) total += peer.bytes
  return { all, bytes: total, missing: clients.filter((one) => !whole(one)).length }
}

process.on('message', (command: ClientsCommand) => {
  switch (command.do) {
    case 'connect':
      void connect().then((synced) => process.send?.({ id: command.id, ...(synced && { synced }) }))
      return
    case 'watch':
      seen = []
      process.send?.({ id: command.id })
      return
    case 'seen':
      process.send?.({ id: command.id, seen: seen ?? [] })
      return
    case 'stop':
      process.exit(0)
  }
})
process.send?.({ id: 0 })
