// Stock Envoy with our secrets: as server and as client, from files over SDS, through a rotation of everything.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { writeAtomically } from '../../src/identity/atomic-file.ts'
import { BUNDLE_SECRET, bundleSecret, SVID_SECRET, svidSecret, type Secret } from '../../src/identity/secrets.ts'
import { any, extension, type Message } from '../../src/proto/types.ts'
import { admin } from '../../src/standalone/envoy-process.ts'
import { testProtos } from '../proto/protos.ts'
import { envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import {
  CART,
  FAST,
  ManualClock,
  openWorld,
  present,
  SECOND,
  startServer,
  WEB,
  withFolder,
  type Side,
  type World,
} from './world.ts'

type Bootstrap = Message<'envoy.config.bootstrap.v3.Bootstrap'>
type CommonTlsContext = Message<'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext'>

const protos = testProtos()

/** How a refusal looks depends on the version of TLS and on who closes first. */
const REFUSED = /alert|hang up|ECONNRESET|EPIPE/

/** A file that holds one secret, as Envoy reads SDS from disk. */
async function writeSecret(folder: string, secret: Secret): Promise<void> {
  const resource = any('envoy.extensions.transport_sockets.tls.v3.Secret', secret)
  const response = { version_info: randomBytes(4).toString('hex'), resources: [resource] }
  const bytes = protos.encode('envoy.service.discovery.v3.DiscoveryResponse', response)
  await writeAtomically(join(folder, `${secret.name}.pb`), bytes, { mode: 0o600, random: randomBytes })
}

function tlsContext(folder: string): CommonTlsContext {
  const sds = (name: string) => ({
    name,
    sds_config: { resource_api_version: 'V3', path_config_source: { path: join(folder, `${name}.pb`) } } as const,
  })
  return {
    tls_certificate_sds_secret_configs: [sds(SVID_SECRET)],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: 'spiffe://cluster.local/' } }],
      },
      validation_context_sds_secret_config: sds(BUNDLE_SECRET),
    },
  }
}

/** Listens for mesh TLS and passes requests for `/up` on, by mesh TLS too; all others it answers itself. */
function bootstrap(folder: string, upstreamPort: number): Bootstrap {
  const manager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const common_tls_context = tlsContext(folder)
  return {
    node: { id: 'cart-1.shop', cluster: 'shop' },
    admin: { address: { pipe: { path: join(folder, 'admin.sock'), mode: 0o600 } } },
    static_resources: {
      listeners: [
        {
          name: 'mesh',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            {
              transport_socket: extension(
                'envoy.transport_sockets.tls',
                'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
                { require_client_certificate: true, common_tls_context },
              ),
              filters: [
                extension('envoy.filters.network.http_connection_manager', manager, {
                  stat_prefix: 'mesh',
                  http_filters: [
                    extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {}),
                  ],
                  route_config: {
                    virtual_hosts: [
                      {
                        name: 'all',
                        domains: ['*'],
                        response_headers_to_add: [
                          { header: { key: 'x-peer', value: '%DOWNSTREAM_PEER_URI_SAN%' } },
                          { header: { key: 'x-upstream-peer', value: '%UPSTREAM_PEER_URI_SAN%' } },
                        ],
                        routes: [
                          { match: { path: '/up' }, route: { cluster: 'upstream' } },
                          { match: { prefix: '/' }, direct_response: { status: 200 } },
                        ],
                      },
                    ],
                  },
                }),
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'upstream',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: { socket_address: { address: '127.0.0.1', port_value: upstreamPort } },
                    },
                  },
                ],
              },
            ],
          },
          transport_socket: extension(
            'envoy.transport_sockets.tls',
            'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
            { common_tls_context },
          ),
        },
      ],
    },
  }
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly server: PeerCertificate
}

/** One request over a connection of its own. */
async function ask(port: number, path: string, side: Pick<Side, 'trusted'> & Partial<Side>): Promise<Answer> {
  const asked = request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    ca: side.trusted,
    cert: side.chain,
    key: side.key,
    checkServerIdentity: () => undefined,
  })
  asked.end()
  const [response] = await once(asked, 'response')
  const socket: TLSSocket = response.socket
  const server = socket.getPeerCertificate()
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode, headers: response.headers, server }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function withEnvoy(world: World, use: (port: number, folder: string) => Promise<void>, upstream: number) {
  await withFolder(async (folder) => {
    using cart = world.svids.hold({ id: CART })
    await writeSecret(folder, svidSecret(present(cart.svid)))
    await writeSecret(folder, bundleSecret(world.authority.bundle))
    const config = join(folder, 'bootstrap.json')
    await writeFile(config, JSON.stringify(bootstrap(folder, upstream)))
    const args = ['--config-path', config, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart']
    const envoy = spawn(await envoyBinary(), args, { stdio: ['ignore', 'inherit', 'inherit'] })
    try {
      const port = await eventually(async () => {
        const { body } = await admin(join(folder, 'admin.sock'), 'GET', '/listeners?format=json')
        return present<number>(JSON.parse(body).listener_statuses?.[0]?.local_address?.socket_address?.port_value)
      })
      await use(port, folder)
    } finally {
      await stop(envoy)
    }
  })
}

describe('stock Envoy', () => {
  it('takes the secrets, verifies both ways, and goes along with every rotation', async () => {
    // Envoy looks at the real time: see the rotation test
    const lives = { ...FAST, skew: 365 * 86_400 * SECOND }
    using world = await openWorld({ lives, clock: new ManualClock(Date.now()) })
    const { authority, svids } = world
    using cart = svids.hold({ id: CART })
    using web = svids.hold({ id: WEB })
    const own = (): Side => ({
      chain: present(web.svid).certificateChain,
      key: present(web.svid).exportPrivateKey(),
      trusted: authority.bundle.pem,
    })
    await using upstream = await startServer(own(), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-seen: ')
    await withEnvoy(
      world,
      async (port, folder) => {
        const seen = new Set<string>()
        const first = authority.root.id
        for (let round = 0; round < 16; round++) {
          const current = await eventually(async () => {
            const answer = await ask(port, '/', own())
            // the new certificate is in force as soon as Envoy has read the file
            expect(answer.server.raw.equals(present(firstDer(present(cart.svid).certificateChain)))).toBe(true)
            return answer
          })
          expect(current.status).toBe(200)
          expect(current.headers['x-peer']).toBe(WEB)
          expect(current.server.subjectaltname).toBe(`URI:${CART}`)
          seen.add(current.server.serialNumber)

          upstream.use(own())
          const through = await ask(port, '/up', own())
          expect(through.headers).toMatchObject({ 'x-seen': CART, 'x-upstream-peer': WEB })

          await world.advance(20 * SECOND)
          await writeSecret(folder, bundleSecret(authority.bundle))
          await writeSecret(folder, svidSecret(present(cart.svid)))
        }
        expect(seen.size).toBe(16)
        expect(authority.root.id).not.toBe(first)
        const { body } = await admin(join(folder, 'admin.sock'), 'GET', '/stats?filter=sds')
        expect(body).toMatch(/sds\.svid\.update_success: [1-9]/)
        expect(body).not.toMatch(/update_rejected: [1-9]/)

        // nobody without a certificate, nor with one of another authority
        await expect(ask(port, '/', { trusted: authority.bundle.pem })).rejects.toThrow(REFUSED)
        using stranger = await openWorld({ lives, clock: new ManualClock(Date.now()) })
        const theirs = present(stranger.svids.hold({ id: WEB }).svid)
        const forged = { chain: theirs.certificateChain, key: theirs.exportPrivateKey(), trusted: authority.bundle.pem }
        await expect(ask(port, '/', forged)).rejects.toThrow(REFUSED)
      },
      upstream.port,
    )
  })
})

function firstDer(chain: string): Buffer | undefined {
  const body = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(chain)?.[1]
  return body === undefined ? undefined : Buffer.from(body, 'base64')
}
