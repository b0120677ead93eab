/** Work is in proportion to what is used: counted in cells that the graph computes and watches that it tells, never in time. */
import { afterAll, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, INBOUND, LISTENER, OUTBOUND, VIRTUAL_HOST } from '../../src/envoy/names.ts'
import { ManualClock } from '../identity/world.ts'
import { testProtos } from '../proto/protos.ts'
import type { Raw } from './arbitraries.ts'
import { ANCHORS, generatedCore, load, openIdentities, PROXIES, viewOfProxy } from './core.ts'

const protos = testProtos()
const identities = await openIdentities(Date.UTC(2026, 0, 1))

afterAll(() => identities[Symbol.dispose]())

const [proxy] = PROXIES
const service = (name: string, address: string): Raw => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP: address, ports: [{ port: 80 }], selector: { app: name } },
})
const instance = (name: string, address: string): Raw => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind: 'Workload',
  metadata: { name: `${name}-1`, namespace: 'shop', labels: { app: name } },
  spec: { address, ports: [{ port: 80 }] },
})
const anchors = ANCHORS.map(({ name, namespace, ...spec }) => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind: 'Workload',
  metadata: { name, namespace },
  spec,
}))
const route = (name: string): Raw => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'shop' },
  spec: { parentRefs: [{ group: '', kind: 'Service', name }], rules: [{ backendRefs: [{ name, port: 80 }] }] },
})
const shop = (size: number): Raw[] => [
  ...anchors,
  ...Array.from({ length: size }, (_, at) => [
    service(`s${at}`, `10.96.1.${at}`),
    instance(`s${at}`, `10.244.1.${at}`),
  ]).flat(),
]

/** How many cells a change computes while `used` of `size` services are in use, and whom it tells. */
function cost(size: number, used: number, change: Raw): { computations: number; told: readonly string[] } {
  if (proxy === undefined) throw new Error('there are proxies')
  using core = generatedCore({ protos, clock: new ManualClock(), identities })
  load(core, shop(size))
  const view = viewOfProxy(core, proxy)
  const told: string[] = []
  for (let at = 0; at < used; at++)
    for (const type of [CLUSTER, ENDPOINTS])
      core.delivery.watch(view, type, `10.96.1.${at}:80`, () => told.push(`${type} ${at}`))
  for (const type of [LISTENER, CLUSTER, VIRTUAL_HOST])
    core.delivery.watchNames(view, type, () => told.push(`names of ${type}`))
  for (const name of [INBOUND, OUTBOUND])
    core.delivery.watch(view, LISTENER, name, () => told.push(`${LISTENER} ${name}`))
  core.graph.commit()
  const before = core.graph.computations
  core.catalog.apply([{ op: 'upsert', object: change, origin: { source: 'generated' } }])
  core.graph.commit()
  return { computations: core.graph.computations - before, told }
}

it('a new service costs nothing until it is used', () => {
  expect(cost(100, 10, service('new', '10.96.2.1'))).toEqual({ computations: 0, told: [] })
  expect(cost(100, 10, instance('new', '10.244.2.1')).told).toEqual([])
})

it('an endpoint costs those who use its service, however many services there are', () => {
  const moved = {
    ...instance('s3', '10.244.9.9'),
    metadata: { name: 's3-2', namespace: 'shop', labels: { app: 's3' } },
  }
  const small = cost(20, 10, moved)
  const large = cost(200, 10, moved)
  expect(small.told).toEqual([`${ENDPOINTS} 3`])
  expect(large).toEqual(small)
  expect(small.computations).toBeLessThan(20)
})

it('a route costs those who use its service', () => {
  const small = cost(20, 10, route('s3'))
  const large = cost(200, 10, route('s3'))
  expect(small.told).toContain(`${CLUSTER} 3`)
  expect(small.told.filter((text) => !text.endsWith(' 3'))).toEqual([])
  expect(large).toEqual(small)
  expect(cost(200, 10, route('s100'))).toEqual({ computations: 0, told: [] })
})
