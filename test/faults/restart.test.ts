// A control plane that is killed, or freezes, under load: whoever uses something goes on using it, and afterwards all is as before.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LoadResult } from '../support/agent-protocol.ts'
import { DetachedMesh } from '../support/detached-mesh.ts'
import { eventually } from '../support/eventually.ts'
import { documents, service } from '../support/yaml.ts'

const SERVICES = ['server', 'routed', 'later', 'after', 'third', 'frozen']

const objects = documents(
  ...SERVICES.map((name) => service(name, { selector: { app: 'server' }, ports: ['http:80:8080', 'tcp:9000'] })),
  `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: routed }
spec:
  parentRefs: [{ group: '', kind: Service, name: routed }]
  rules:
    - backendRefs: [{ name: server, port: 80 }]
      filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-route, value: before }] } }]
`,
)

let mesh: DetachedMesh
beforeAll(async () => {
  mesh = await DetachedMesh.start({
    workloads: {
      client: { upstreams: SERVICES.flatMap((name) => [`${name}:80`, `${name}:9000`]) },
      server: { ports: ['http:8080', 'tcp:9000'] },
    },
    objects,
  })
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

const failures = ({ answers }: LoadResult) => answers.filter(({ status }) => status !== 200)
const MANY = 50

/** Load of every kind on what is in use, while `happening`. */
async function underLoad(happening: () => Promise<void>): Promise<void> {
  const stops = [
    await mesh.load('client', 'http://server/', { keepAlive: true }),
    await mesh.load('client', 'http://server/'),
    await mesh.load('client', 'http://routed/', { keepAlive: true }),
  ]
  let carried = 0
  const wrong: string[] = []
  const stopped = new AbortController()
  const connections = (async () => {
    while (!stopped.signal.aborted) {
      const { data, error } = await mesh.tcp('client', 'tcp://server:9000', { send: 'hello', until: 'hello' })
      if (data === 'server: hello') carried += 1
      else wrong.push(error ?? data)
    }
  })()
  try {
    await happening()
    const seen = carried
    await eventually(() => expect(carried).toBeGreaterThan(seen))
  } finally {
    stopped.abort()
    await connections
    for (const stop of stops) {
      const result = await stop()
      expect(failures(result)).toEqual([])
      expect(result.answers.length).toBeGreaterThan(MANY)
    }
    expect(wrong).toEqual([])
  }
}

/** The first use of a destination, in HTTP and in TCP. */
async function firstUse(name: string): Promise<void> {
  expect(await mesh.request('client', `http://${name}/`)).toMatchObject({ status: 200 })
  const { data } = await mesh.tcp('client', `tcp://${name}:9000`, { send: 'hello', until: 'hello' })
  expect(data).toBe('server: hello')
}

describe('a control plane', () => {
  test('that is killed is missed by nobody, and knows all again when it is back', async () => {
    await firstUse('server')
    expect(await mesh.request('client', 'http://routed/')).toMatchObject({ headers: { 'x-route': 'before' } })
    const before = { client: await mesh.acknowledged('client'), server: await mesh.acknowledged('server') }
    expect(JSON.stringify(before.client)).toContain('tcp|')
    await underLoad(async () => {
      await mesh.controlPlane.kill()
      await mesh.untilConnected(false)
      await mesh.startControlPlane()
      await mesh.untilConnected(true)
      for (const workload of ['client', 'server'] as const) {
        await eventually(async () => expect(await mesh.acknowledged(workload)).toEqual(before[workload]))
      }
      await firstUse('later')
    })
    // nothing was taken away, added or warmed a second time
    expect(await mesh.stat('client', 'cluster_manager.cluster_removed')).toBe(0)
  })

  test('follows what is in use after that, and tells what changed while it was away', async () => {
    await mesh.apply(objects.replaceAll('value: before', 'value: live'), 'objects.yaml')
    await eventually(async () => {
      expect(await mesh.request('client', 'http://routed/')).toMatchObject({ headers: { 'x-route': 'live' } })
    })
    await mesh.controlPlane.kill()
    await mesh.untilConnected(false)
    await mesh.apply(objects.replaceAll('value: before', 'value: meanwhile'), 'objects.yaml')
    expect(await mesh.request('client', 'http://routed/')).toMatchObject({ headers: { 'x-route': 'live' } })
    await mesh.startControlPlane()
    await eventually(async () => {
      expect(await mesh.request('client', 'http://routed/')).toMatchObject({ headers: { 'x-route': 'meanwhile' } })
    })
    await mesh.untilConnected(true)
  })

  test('that dies again and again, each time a little later, does no harm', async () => {
    // as soon as it listens; when it has streams; when these have been served; when one more name was asked for
    const moments = [
      async () => {},
      () => mesh.untilConnected(true),
      () => eventually(async () => expect(await mesh.acknowledged('client')).not.toEqual({})),
      () => firstUse('after'),
    ]
    await underLoad(async () => {
      for (const moment of moments) {
        await mesh.controlPlane.kill()
        await mesh.startControlPlane()
        await moment()
      }
      await mesh.untilConnected(true)
      await firstUse('third')
    })
    expect(await mesh.acknowledged('client')).not.toEqual({})
  })

  test('sends ahead to a new proxy what the one before used, also after its restart', async () => {
    const clusters = async () => {
      const text = await mesh.admin('client', '/clusters')
      return new Set(text.split('\n').map((line) => line.split('::')[0] ?? ''))
    }
    const used = [...(await clusters())].filter((name) => /^(tcp\|)?[0-9.]+:[0-9]+$/.test(name))
    expect(used.length).toBeGreaterThanOrEqual(9)
    // stored every two seconds, and whatever proxies ask for by name is noted again
    await mesh.controlPlane.kill()
    await mesh.startControlPlane()
    await mesh.untilConnected(true)
    mesh.runner.proxy('default/client')?.kill()
    await eventually(async () => {
      expect(await mesh.runner.proxy('default/client')?.isReady()).toBe(true)
      const now = await clusters()
      expect(used.filter((name) => !now.has(name))).toEqual([])
    })
    await firstUse('server')
  })

  test('that freezes without closing is noticed within ten seconds, and taken again when it goes on', async () => {
    await mesh.untilConnected(true)
    await underLoad(async () => {
      mesh.controlPlane.freeze()
      await mesh.untilConnected(false, 10_000)
      mesh.controlPlane.thaw()
      await mesh.untilConnected(true)
      await firstUse('frozen')
    })
    await eventually(async () =>
      expect((await mesh.controlPlane.status()).workloads.map(({ proxies }) => proxies.length)).toEqual([1, 1]),
    )
  })
})
