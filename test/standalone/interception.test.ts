// Network namespaces and packet filter rules under a hand-written Envoy: what is proven here needs no control plane.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { proxyFiles } from '../../src/standalone/bootstrap.ts'
import { EnvoyProcess } from '../../src/standalone/envoy-process.ts'
import { renderInterception } from '../../src/standalone/interception.ts'
import type { Place } from '../../src/standalone/isolation/isolation.ts'
import { NetnsIsolation } from '../../src/standalone/isolation/netns.ts'
import { ProcessGroup } from '../../src/standalone/processes.ts'
import { RunDirectory } from '../../src/standalone/run-directory.ts'
import type { Echo } from '../support/echo.ts'
import { envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { isolations } from '../support/netns.ts'
import { PlaceAgent } from '../support/place-agent.ts'

const ECHO = fileURLToPath(new URL('../support/echo.ts', import.meta.url))
const VIP = '10.96.0.10'
const VIP6 = 'fd00:96::10'
const ADDRESSES = { a: ['10.244.0.1', 'fd00:244::1'], b: ['10.244.7.2', 'fd00:244::2'] } as const

/** All outbound HTTP is marked and sent on: to where it was going, or for the VIP to whom `vip` says. All inbound likewise. */
function bootstrap(adminSocket: string, vip: readonly string[]): string {
  const manager = (name: string, route: object, more: readonly object[] = []) => ({
    name: 'http',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: name,
      route_config: {
        request_headers_to_add: [
          { header: { key: 'x-through', value: name }, append_action: 'APPEND_IF_EXISTS_OR_ADD' },
        ],
        virtual_hosts: [{ name, domains: ['*'], routes: [...more, { match: { prefix: '/' }, route }] }],
      },
      http_filters: [
        {
          name: 'router',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
        },
      ],
    },
  })
  const chain = (name: string, cluster: string, ranges: readonly string[]) => ({
    name: `${name} ${cluster} ${ranges[0] ?? ''}`,
    filter_chain_match: {
      prefix_ranges: ranges.map((address) => ({
        address_prefix: address,
        prefix_len: address.includes(':') ? 128 : 32,
      })),
    },
    filters: [manager(name, { cluster })],
  })
  const listener = (name: string, port: number, chains: readonly object[]) => ({
    name,
    address: { socket_address: { address: '::', port_value: port, ipv4_compat: true } },
    listener_filters: [
      {
        name: 'original-dst',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
        },
      },
    ],
    filter_chains: chains,
    default_filter_chain: { filters: [manager(name, { cluster: name })] },
  })
  const original = (name: string) => ({
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '2s',
  })
  const fixed = (name: string, address: string) => ({
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: 8080 } } } }] }],
    },
  })
  const [vip4 = '', vip6 = ''] = vip
  return JSON.stringify({
    node: { id: 'static', cluster: 'static' },
    admin: { address: { pipe: { path: adminSocket } } },
    static_resources: {
      listeners: [
        listener('outbound', 15001, [chain('outbound', 'vip4', [VIP]), chain('outbound', 'vip6', [VIP6])]),
        listener('inbound', 15006, []),
      ],
      clusters: [
        original('outbound'),
        {
          ...original('inbound'),
          upstream_bind_config: {
            source_address: { address: '127.0.0.6', port_value: 0 },
            extra_source_addresses: [{ address: { address: '::6', port_value: 0 } }],
          },
        },
        fixed('vip4', vip4),
        fixed('vip6', vip6),
      ],
    },
  })
}

describe.runIf(isolations.includes('netns'))('interception', () => {
  const stack = new AsyncDisposableStack()
  let isolation: NetnsIsolation
  let a: { place: Place; agent: PlaceAgent }
  let b: { place: Place; agent: PlaceAgent }
  let outside: { place: Place; agent: PlaceAgent }

  const echo = async (place: Place, instance: string) => {
    const command = place.command('app', [process.execPath, ECHO, 'http:8080', 'http:15080', 'banner:9000'])
    const env = { ...process.env, HOST: place.host, INSTANCE: instance }
    const group = await ProcessGroup.start(command, { output: 'pipe', env })
    stack.defer(async () => void (await group.stop(1000)))
  }
  const agentIn = async (place: Place) => stack.use(await PlaceAgent.start(place))
  const get = async (from: PlaceAgent, url: string): Promise<Echo> => {
    const answer = await from.ask({ do: 'http', url })
    expect(answer.status).toBe(200)
    return JSON.parse(answer.body)
  }

  const proxied = async (run: RunDirectory, binary: string, name: 'a' | 'b') => {
    const place = stack.use(await isolation.place({ namespace: 'shop', name, addresses: ADDRESSES[name] }))
    const directory = join(run.path, name)
    await mkdir(directory, { mode: 0o700 })
    const files = proxyFiles(directory)
    await writeFile(files.bootstrap, bootstrap(files.adminSocket, ADDRESSES.b))
    await place.handOver(directory)
    const envoy = stack.use(await EnvoyProcess.start({ binary, files, place, directory }))
    await echo(place, name)
    await eventually(async () => expect(await envoy.isReady()).toBe(true))
    return { place, agent: await agentIn(place) }
  }

  beforeAll(async () => {
    const run = stack.use(await RunDirectory.create())
    const envoy = await envoyBinary()
    isolation = stack.use(await NetnsIsolation.create({ run, envoy }))
    await isolation.setHosts([{ namespace: 'shop', name: 'b', addresses: [VIP] }])
    ;[a, b] = await Promise.all([proxied(run, envoy, 'a'), proxied(run, envoy, 'b')])
    const place = stack.use(
      await isolation.place({
        namespace: 'shop',
        name: 'outside',
        addresses: ['203.0.113.9', '2001:db8::9'],
        intercept: false,
      }),
    )
    await echo(place, 'outside')
    outside = { place, agent: await agentIn(place) }
    await eventually(() => get(outside.agent, 'http://203.0.113.9:8080/'))
    for (const { agent } of [a, b]) {
      await eventually(() => get(agent, 'http://127.0.0.1:8080/'))
    }
  })
  afterAll(() => stack.disposeAsync())

  test.each([
    ['a workload by address, IPv4', 'http://10.244.7.2:8080/', 'b', 'outbound,inbound', '127.0.0.6'],
    ['a workload by address, IPv6', 'http://[fd00:244::2]:8080/', 'b', 'outbound,inbound', '::6'],
    ['a virtual address', `http://${VIP}/`, 'b', 'outbound,inbound', '127.0.0.6'],
    ['a virtual address, IPv6', `http://[${VIP6}]/`, 'b', 'outbound,inbound', '::6'],
    ['a name', 'http://b/', 'b', 'outbound,inbound', '127.0.0.6'],
    ['the longest name', 'http://b.shop.svc.cluster.local:1234/', 'b', 'outbound,inbound', '127.0.0.6'],
    ['an address outside', 'http://203.0.113.9:8080/', 'outside', 'outbound', '10.244.0.1'],
    ['itself by localhost', 'http://127.0.0.1:8080/', 'a', undefined, '127.0.0.1'],
    ['itself by its own address', 'http://10.244.0.1:8080/', 'a', undefined, '10.244.0.1'],
    ['itself by its own address, IPv6', 'http://[fd00:244::1]:8080/', 'a', undefined, 'fd00:244::1'],
  ])('an application dials %s', async (_, url, instance, through, peer) => {
    const echoed = await get(a.agent, url)
    expect(echoed.instance).toBe(instance)
    expect(echoed.headers['x-through']?.toString().replaceAll(' ', '')).toBe(through)
    expect(echoed.peer.replace('::ffff:', '')).toBe(peer)
  })

  test.each([`http://${VIP}/`, `http://[${VIP6}]/`])('an application dials its own Service at %s', async (url) => {
    const echoed = await get(b.agent, url)
    expect(echoed.instance).toBe('b')
    expect(echoed.headers['x-through']).toBe('outbound, inbound')
  })

  test.each(['http://10.244.0.1:8080/', 'http://[fd00:244::1]:8080/'])('a stranger comes in at %s', async (url) => {
    const echoed = await get(outside.agent, url)
    expect(echoed.instance).toBe('a')
    expect(echoed.headers['x-through']).toBe('inbound')
  })

  test('the ports of the proxy itself are not intercepted', async () => {
    const answer = await outside.agent.ask({ do: 'tcp', host: '10.244.0.1', port: 15021, timeout: 5000 })
    expect(answer.error).toBe('ECONNREFUSED')
  })

  test('an address that nobody has can be dialled: the proxy answers for it', async () => {
    const answer = await a.agent.ask({ do: 'http', url: 'http://198.51.100.77:81/' })
    expect(answer.status).toBe(503)
  })

  test('names follow the Services while processes run', async () => {
    const names = { namespace: 'shop', addresses: [VIP] }
    await isolation.setHosts([
      { ...names, name: 'b' },
      { ...names, name: 'later' },
      { name: 'example.com', addresses: ['203.0.113.9', '2001:db8::9'] },
    ])
    await expect(a.agent.ask({ do: 'resolve', name: 'later.shop.svc' })).resolves.toEqual([VIP])
    await expect(a.agent.ask({ do: 'resolve', name: 'example.com' })).resolves.toEqual(['203.0.113.9', '2001:db8::9'])
    await expect(a.agent.ask({ do: 'resolve', name: 'nobody.example.com' })).rejects.toThrow(/EAI_AGAIN|ENOTFOUND/)
  })
})

test('rules exclude what they are told to', () => {
  const rules = renderInterception('ipv6', {
    excludeUids: [1500],
    excludeOutboundPorts: [25],
    excludeOutboundCidrs: ['10.0.0.0/8', 'fd00:1::/64'],
    includeOutboundCidrs: ['fd00::/8', '10.96.0.0/12'],
    excludeInboundPorts: [22],
    includeInboundPorts: [80],
  })
  expect(rules).toMatchInlineSnapshot(`
    "*nat
    :HEDDLE_INBOUND - [0:0]
    :HEDDLE_OUTBOUND - [0:0]
    -A PREROUTING -p tcp -j HEDDLE_INBOUND
    -A OUTPUT -p tcp -j HEDDLE_OUTBOUND
    -A HEDDLE_INBOUND -p tcp --dport 15020 -j RETURN
    -A HEDDLE_INBOUND -p tcp --dport 15021 -j RETURN
    -A HEDDLE_INBOUND -p tcp --dport 15090 -j RETURN
    -A HEDDLE_INBOUND -p tcp --dport 22 -j RETURN
    -A HEDDLE_INBOUND -p tcp --dport 80 -j REDIRECT --to-ports 15006
    -A HEDDLE_OUTBOUND -o lo -s ::6/128 -j RETURN
    -A HEDDLE_OUTBOUND -o lo ! -d ::1/128 -m owner --uid-owner 1337 -p tcp -j REDIRECT --to-ports 15006
    -A HEDDLE_OUTBOUND -m owner --uid-owner 1337 -j RETURN
    -A HEDDLE_OUTBOUND -m owner --uid-owner 1500 -j RETURN
    -A HEDDLE_OUTBOUND -o lo -j RETURN
    -A HEDDLE_OUTBOUND -d ::1/128 -j RETURN
    -A HEDDLE_OUTBOUND -p tcp --dport 25 -j RETURN
    -A HEDDLE_OUTBOUND -d fd00:1::/64 -j RETURN
    -A HEDDLE_OUTBOUND -p tcp -d fd00::/8 -j REDIRECT --to-ports 15001
    COMMIT
    "
  `)
})
