/** EnvoyPatches in a running mesh: whose count, what a broken one does to others, and how they change live. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { heddle, put } from './objects.ts'

const ROUTES = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration'

describe.runIf(isolations.includes('netns'))('EnvoyPatches', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        heddle('Mesh', 'default', 'envoyPatch: { allowedNamespaces: [trusted] }'),
        echoWorkload('client'),
        ...['default', 'trusted'].flatMap((namespace) => [
          echoWorkload('server', { namespace }),
          service('server', { namespace }),
        ]),
      ),
    )
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const operation = (value: string, path = '/response_headers_to_add') =>
    `- { type: ${ROUTES}, name: inbound/8080, operation: { op: add, path: ${path}, value: ${value} } }`
  const patch = (name: string, namespace: string, patches: string): string =>
    heddle('EnvoyPatch', name, `targetRefs: [{ kind: Workload, name: server }]\npatches:\n${patches}`, namespace)
  const header = (value: string): string => `[{ header: { key: x-patched, value: ${value} } }]`
  const patched = async (namespace: string) => {
    const { status, headers } = await mesh.request('client', `http://server.${namespace}/`)
    expect(status).toBe(200)
    return headers['x-patched']
  }

  test('count where the Mesh allows it, and only there', async () => {
    await mesh.apply(
      documents(patch('mark', 'default', operation(header('one'))), patch('mark', 'trusted', operation(header('one')))),
      'patches.yaml',
    )
    await mesh.eventually(async () => expect(await patched('trusted')).toBe('one'))
    expect(await patched('default')).toBeUndefined()
  })

  test('change and go while requests pass', async () => {
    const load = await mesh.load('client', 'http://server.trusted/', {
      concurrency: 2,
      pause: 2,
      request: { keepAlive: true },
    })
    for (const value of ['two', 'three']) {
      await put(mesh, 'patches', patch('mark', 'trusted', operation(header(value))))
      await mesh.eventually(async () => expect(await patched('trusted')).toBe(value))
    }
    await mesh.delete('patches.yaml')
    await mesh.eventually(async () => expect(await patched('trusted')).toBeUndefined())
    const { answers } = await load.stop()
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(answers.length).toBeGreaterThan(20)
  })

  test('one that cannot be applied, or that Envoy refuses, keeps nothing else back', async () => {
    const broken: [string, string][] = [
      ['no such place', operation('1', '/virtual_hosts/9/nothing')],
      ['no such field', operation('1', '/no_such_field')],
      ['of another type', operation('{ what: ever }', '/virtual_hosts')],
      // well-formed, and refused by Envoy itself: two virtual hosts for every domain
      ['refused', operation("{ name: twice, domains: ['*'], routes: [] }", '/virtual_hosts/-')],
    ]
    for (const [name, what] of broken) {
      const good = patch('good', 'trusted', operation(header('good')))
      await put(mesh, 'good', good)
      await mesh.eventually(async () => expect(await patched('trusted')).toBe('good'))
      const before = mesh.log.length
      await mesh.apply(patch('broken', 'trusted', what), 'broken.yaml')
      await mesh.eventually(() => {
        const warnings = mesh.log.slice(before).filter((line) => line.includes('"level":40'))
        expect(warnings.join(''), name).toContain(name === 'refused' ? 'refused' : 'trusted/broken')
      })
      // what works goes on, and others are not concerned
      expect(await patched('trusted')).toBe('good')
      expect(await patched('default')).toBeUndefined()
      await mesh.apply(service('fresh', { namespace: 'trusted', selector: { app: 'server' } }), 'fresh.yaml')
      await mesh.standalone.settled()
      expect((await mesh.request('client', 'http://fresh.trusted/')).status).toBe(200)
      await mesh.delete('broken.yaml')
      await mesh.delete('good.yaml')
      await mesh.delete('fresh.yaml')
      await mesh.eventually(async () => expect(await patched('trusted')).toBeUndefined())
    }
  })
})
