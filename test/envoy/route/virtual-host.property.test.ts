// Whatever rules and policies the schemas let pass, Envoy takes the virtual host.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { kinds } from '../../../src/api/index.ts'
import { parse } from '../../../src/api/parse.ts'
import { REFUSED } from '../../../src/envoy/names.ts'
import { routeConfiguration } from '../../../src/envoy/route/route-configuration.ts'
import type { VirtualHost } from '../../../src/envoy/route/virtual-host.ts'
import { testProtos } from '../../proto/protos.ts'
import { validate } from '../../support/envoy.ts'
import { layeredRuntime, listener } from './listener.ts'
import { httpRule, requestPolicy } from './routes.arbitrary.ts'
import { type FoundHost, virtualHosts } from './world.ts'

const CASES = 1000

const service = (name: string, clusterIP: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP, ports: [{ name: 'http', port: 80 }] },
})

/** A Service with a route, a policy or both, the generated ones where the schemas take them. */
function world(index: number, rule: unknown, stanzas: object): unknown[] {
  const name = `f${index}`
  const metadata = { name, namespace: 'shop' }
  const target = { group: '', kind: 'Service', name }
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: { parentRefs: [target], rules: [rule] },
  }
  const policy = {
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata,
    spec: { targetRefs: [target], ...stanzas },
  }
  return [
    service(name, `10.96.${index >> 8}.${index & 255}`),
    ...(parse(kinds.HTTPRoute, route).ok ? [route] : []),
    ...(parse(kinds.TrafficPolicy, policy).ok ? [policy] : []),
  ]
}

function refusal(hosts: readonly VirtualHost[]): Promise<string | undefined> {
  const routes = { ...routeConfiguration({ vhds: false, virtualHosts: hosts }), validate_clusters: false }
  const static_resources = {
    clusters: [{ name: REFUSED, type: 'STATIC', load_assignment: { cluster_name: REFUSED } }],
    listeners: [listener('outbound', '/dev/null/outbound', routes)],
  }
  return validate(JSON.stringify({ layered_runtime: layeredRuntime(), static_resources }))
}

/** The first of those that Envoy refuses, by halves. */
async function firstRefused(hosts: readonly FoundHost[]): Promise<{ said: string; host: FoundHost } | undefined> {
  const said = await refusal(hosts.map(({ host }) => host.message))
  const [host] = hosts
  if (said === undefined || host === undefined) return undefined
  if (hosts.length === 1) return { said, host }
  const half = hosts.length >> 1
  return (await firstRefused(hosts.slice(0, half))) ?? (await firstRefused(hosts.slice(half)))
}

test('Envoy accepts the virtual hosts of odd rules and policies', async () => {
  const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31))
  const rules = fc.sample(httpRule, { seed, numRuns: CASES })
  const policies = fc.sample(requestPolicy, { seed, numRuns: CASES })
  const objects = rules.flatMap((rule, index) => world(index, rule, policies[index] ?? {}))
  const hosts = virtualHosts([service('a', '10.97.0.1'), service('b', '10.97.0.2'), ...objects])
  expect(hosts.length).toBeGreaterThan(CASES / 3)
  const protos = testProtos()
  for (const { host } of hosts) protos.encode('envoy.config.route.v3.VirtualHost', host.message)
  expect(await firstRefused(hosts), `with SEED=${seed}`).toBeUndefined()
})
