// A resource that Envoy refuses: the last good one stays in force, nothing else is touched, people read why, and mend it live.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLUSTER } from '../../src/envoy/names.ts'
import type { TypeStatus } from '../../src/telemetry/status.ts'
import { DetachedMesh } from '../support/detached-mesh.ts'
import { checkout } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { documents, service } from '../support/yaml.ts'

const ADDRESS = '10.96.0.50'
const NAME = `${ADDRESS}:80`

/** Envoy's own, where a cluster should bring its own load balancing and does not. */
const WORDS = 'cluster provided LB specified but cluster'

const patch = (value: string): string => `apiVersion: heddle.dev/v1alpha1
kind: EnvoyPatch
metadata: { name: balance }
spec:
  targetRefs: [{ kind: Workload, name: client }]
  patches:
    - type: type.googleapis.com/${CLUSTER}
      name: ${NAME}
      operation: { op: add, path: /lb_policy, value: ${value} }
`

let mesh: DetachedMesh
beforeAll(async () => {
  mesh = await DetachedMesh.start({
    workloads: { client: { upstreams: ['server:80', 'other:80'] }, server: {} },
    objects: documents(
      service('server', { clusterIP: ADDRESS }),
      service('other', { selector: { app: 'server' } }),
      `apiVersion: heddle.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { envoyPatch: { allowedNamespaces: [default] } }
`,
    ),
  })
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

/** `heddle status`, as people call it. */
function status(): Promise<{ readonly status: number; readonly stdout: string }> {
  return new Promise((resolve) => {
    const args = ['status', '--server', mesh.controlPlane.http]
    execFile(join(checkout, 'bin/heddle'), args, (error, stdout) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout }),
    )
  })
}

async function refused(): Promise<Readonly<Record<string, TypeStatus['refused']>>> {
  const { workloads } = await mesh.controlPlane.status()
  return Object.fromEntries(
    workloads.map(({ workload, proxies }) => [
      workload,
      proxies.flatMap(({ types }) => types.flatMap((type) => type.refused)),
    ]),
  )
}

const balance = async (): Promise<string> => {
  const dump = await mesh.admin('client', `/config_dump?resource=dynamic_active_clusters&name_regex=^${ADDRESS}:80$`)
  const { configs } = JSON.parse(dump) as { configs: readonly { cluster: { lb_policy?: string } }[] }
  return configs[0]?.cluster.lb_policy ?? 'ROUND_ROBIN'
}

test('a patch that Envoy does not take', async () => {
  expect(await mesh.request('client', 'http://server/')).toMatchObject({ status: 200 })
  await mesh.apply(patch('RANDOM'))
  await eventually(async () => expect(await balance()).toBe('RANDOM'))
  expect(await status()).toMatchObject({ status: 0 })

  const load = await mesh.load('client', 'http://server/', { keepAlive: true })
  await mesh.apply(patch('CLUSTER_PROVIDED'))
  await eventually(async () => {
    expect(await refused()).toEqual({
      'default/client': [expect.objectContaining({ name: NAME, message: expect.stringContaining(WORDS) })],
      'default/server': [],
    })
  })
  const told = await status()
  expect(told.status).toBe(1)
  const line = told.stdout.split('\n').find((text) => text.startsWith(`default/client: CDS ${NAME} refused: `))
  expect(line).toContain(WORDS)

  // the last good one, and all others, go on: what is used for the first time, and what changes
  expect(await balance()).toBe('RANDOM')
  expect(await mesh.request('client', 'http://other/')).toMatchObject({ status: 200 })
  await mesh.apply(
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: other }
spec:
  parentRefs: [{ group: '', kind: Service, name: other }]
  rules: [{ filters: [{ type: RequestRedirect, requestRedirect: { path: { type: ReplaceFullPath, replaceFullPath: /new } } }] }]
`,
    'route.yaml',
  )
  await eventually(async () => expect(await mesh.request('client', 'http://other/')).toMatchObject({ status: 302 }))

  await mesh.apply(patch('LEAST_REQUEST'))
  await eventually(async () => expect(await balance()).toBe('LEAST_REQUEST'))
  await eventually(async () => expect(await refused()).toEqual({ 'default/client': [], 'default/server': [] }))
  expect(await status()).toMatchObject({ status: 0 })
  const { answers } = await load()
  expect(answers.length).toBeGreaterThan(10)
  expect(answers.filter((answer) => answer.status !== 200)).toEqual([])
})
