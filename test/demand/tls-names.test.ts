/** An application chooses the SNI that it sends: how many of them one address is answered for. */
import { expect, test } from 'vitest'
import { buildCore, type Core } from '../../src/core.ts'
import { CLUSTER } from '../../src/envoy/names.ts'
import type { View } from '../../src/envoy/view.ts'
import { viewOf } from '../../src/standalone/views.ts'
import { ManualClock, present } from '../identity/world.ts'
import { testProtos } from '../proto/protos.ts'

const service = (name: string, clusterIP: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP, ports: [{ port: 443, name: 'tls' }], selector: { app: name } },
})

const workload = (name: string, address: string): object => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind: 'Workload',
  metadata: { name, namespace: 'shop', labels: { app: name } },
  spec: { address },
})

function shop(): Core {
  const core = buildCore({
    protos: testProtos(),
    clock: new ManualClock(0),
    onError: (what, error) => {
      throw new Error(what, { cause: error })
    },
  })
  const objects = [
    service('pay', '10.96.0.1'),
    service('cart', '10.96.0.2'),
    workload('pay', '10.244.0.2'),
    workload('cart', '10.244.0.3'),
    workload('web', '10.244.0.1'),
  ]
  core.catalog.replaceAll(
    'test',
    objects.map((object, at) => ({ op: 'upsert', object, origin: { source: 'test', line: at + 1 } })),
  )
  core.flush()
  core.graph.commit()
  return core
}

test('256 names of TLS are answered for an address and stream', () => {
  using core = shop()
  const streamOf = (key: string): View =>
    present(viewOf(core.mesh, key, { interception: 'Redirect', ipv6: false }, 'delta'))
  const web = streamOf('shop/web')
  core.delivery.connected(web)
  const watch = (view: View, name: string) => core.delivery.watch(view, CLUSTER, name, () => undefined)
  const answered = (view: View, name: string): boolean => watch(view, name).value !== undefined

  const watches = Array.from({ length: 300 }, (_, at) => watch(web, `tls|10.96.0.1:443|host-${at}.example`))
  expect(watches.map(({ value }) => value !== undefined)).toEqual(watches.map((_, at) => at < 256))
  // those that it has, other addresses, other kinds and other streams are none the worse for it
  expect(answered(web, 'tls|10.96.0.1:443|host-7.example')).toBe(true)
  expect(answered(web, 'tls|10.96.0.2:443|host.example')).toBe(true)
  expect(answered(web, 'tcp|10.96.0.1:443')).toBe(true)
  const cart = streamOf('shop/cart')
  core.delivery.connected(cart)
  expect(answered(cart, 'tls|10.96.0.1:443|one-more.example')).toBe(true)

  // a name that is given up makes room for another
  expect(answered(web, 'tls|10.96.0.1:443|late.example')).toBe(false)
  watches[9]?.[Symbol.dispose]()
  expect(answered(web, 'tls|10.96.0.1:443|late.example')).toBe(true)
})
