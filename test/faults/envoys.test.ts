// Envoys that are killed: the runner starts them again, and whoever called them in the meantime is served by others.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LoadResult } from '../support/agent-protocol.ts'
import { DetachedMesh } from '../support/detached-mesh.ts'
import { eventually } from '../support/eventually.ts'
import { documents, service } from '../support/yaml.ts'

let mesh: DetachedMesh
beforeAll(async () => {
  const labels = { app: 'server' }
  mesh = await DetachedMesh.start({
    workloads: { client: { upstreams: ['plain:80', 'retried:80'] }, server: { labels }, other: { labels } },
    objects: documents(
      service('plain', { selector: labels }),
      service('retried', { selector: labels }),
      `apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: retried }
spec:
  targetRefs: [{ kind: Service, name: retried }]
  retry: { numRetries: 5, retryOn: { triggers: [connect-failure, reset, refused-stream, gateway-error] } }
`,
    ),
  })
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

const failed = ({ answers }: LoadResult) => answers.filter(({ status }) => status !== 200)

async function untilServedBy(...instances: readonly string[]): Promise<void> {
  const seen = new Set<string | undefined>()
  await eventually(async () => {
    seen.add((await mesh.request('client', 'http://retried/')).headers['x-instance'])
    expect([...seen]).toEqual(expect.arrayContaining([...instances]))
  })
}

test('one before an application is killed: others serve, and it serves again', async () => {
  await untilServedBy('server', 'other')
  const proxy = mesh.runner.proxy('default/server')
  const retried = await mesh.load('client', 'http://retried/', { keepAlive: true, concurrency: 4 })
  const plain = await mesh.load('client', 'http://plain/', { keepAlive: true, concurrency: 4 })
  for (let round = 0; round < 3; round++) {
    await untilServedBy('server', 'other')
    const before = proxy?.pid
    proxy?.kill()
    await eventually(async () => {
      expect(proxy?.pid).not.toBe(before)
      expect(await proxy?.isReady()).toBe(true)
    })
  }
  await untilServedBy('server')
  expect(failed(await retried())).toEqual([])
  // nobody asked for a request to be tried again that may have arrived: at each death, at most those under way are lost
  expect(failed(await plain()).length).toBeLessThanOrEqual(3 * 4)
})

test('one before a caller is killed: it knows at once again what is used', async () => {
  await untilServedBy('server', 'other')
  const proxy = mesh.runner.proxy('default/client')
  const before = proxy?.pid
  // the sooner it is used again, the more there would be to see
  const load = await mesh.load('client', 'http://retried/', { concurrency: 2 })
  proxy?.kill()
  await eventually(async () => {
    expect(proxy?.pid).not.toBe(before)
    expect(await proxy?.isReady()).toBe(true)
  })
  await untilServedBy('server', 'other')
  const { answers } = await load()
  // nobody listened for a moment; where somebody did, every request was served
  expect(answers.filter(({ status }) => status !== 200 && status !== 0)).toEqual([])
  expect(answers.at(-1)).toMatchObject({ status: 200 })
})
