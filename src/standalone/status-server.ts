/** Health, metrics and the state of the mesh over HTTP; for people and for `heddle status`. Nothing here can change anything. */
import fastify from 'fastify'
import type { Registry } from 'prom-client'
import type { Core } from '../core.ts'
import type { View } from '../envoy/view.ts'
import type { StateDir } from '../identity/state-dir.ts'
import { meshStatus } from '../telemetry/status.ts'
import type { XdsServer } from '../xds/server.ts'

export interface StatusServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string
  readonly core: Core
  readonly server: XdsServer<View>
  readonly registry: Registry
  /** Where `heddle status` finds the address. */
  readonly stateDir: StateDir
}

export interface StatusServer extends AsyncDisposable {
  /** As it was bound. */
  readonly address: string
}

/** File of the state folder that holds the address. */
export const ADDRESS_FILE = 'http-address'

export async function serveStatus(options: StatusServerOptions): Promise<StatusServer> {
  const { core, server, registry, stateDir } = options
  const app = fastify({ logger: false, forceCloseConnections: true })
  app.get('/healthz', () => ({ status: 'ok' }))
  app.get('/readyz', async (_, reply) => {
    if (!core.catalog.ready) void reply.code(503)
    return { ready: core.catalog.ready }
  })
  app.get('/metrics', async (_, reply) => {
    // not awaited: a reply is a promise of having been sent
    void reply.type(registry.contentType)
    return registry.metrics()
  })
  app.get('/api/v1/status', () => meshStatus(core, server))
  app.get('/api/v1/problems', () => ({ problems: core.catalog.problems() }))
  const at = options.address.lastIndexOf(':')
  const host = options.address.slice(0, at).replaceAll(/[[\]]/g, '')
  const url = await app.listen({ host, port: Number(options.address.slice(at + 1)) })
  await stateDir.write(ADDRESS_FILE, `${url}\n`)
  return {
    address: url,
    [Symbol.asyncDispose]: async () => {
      await app.close()
      await stateDir.remove(ADDRESS_FILE)
    },
  }
}
