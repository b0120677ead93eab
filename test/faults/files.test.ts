// Files that are half written and folders that are gone, under a control plane with traffic: what was good last stays in force.
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Problem, problemLine } from '../../src/catalog/problems.ts'
import { DetachedMesh } from '../support/detached-mesh.ts'
import { eventually } from '../support/eventually.ts'
import { documents, service } from '../support/yaml.ts'

const objects = (route: string): string =>
  documents(
    ...['server', 'second', 'third'].map((name) => service(name, { selector: { app: 'server' } })),
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: server }
spec:
  parentRefs: [{ group: '', kind: Service, name: server }]
  rules:
    - backendRefs: [{ name: server, port: 80 }]
      filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-route, value: ${route} }] }
`,
  )

let mesh: DetachedMesh
beforeAll(async () => {
  mesh = await DetachedMesh.start({
    workloads: { client: { upstreams: ['server:80', 'second:80', 'third:80'] }, server: {} },
    objects: objects('first'),
  })
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

async function problems(): Promise<readonly Problem[]> {
  const response = await fetch(`${mesh.controlPlane.http}/api/v1/problems`)
  return ((await response.json()) as { problems: readonly Problem[] }).problems
}

const routeOf = async (): Promise<string | undefined> =>
  (await mesh.request('client', 'http://server/')).headers['x-route']

/** Every request is answered by the route as it was, or, in the end, as it is. */
async function underLoad(happening: () => Promise<void>): Promise<void> {
  const stop = await mesh.load('client', 'http://server/', { keepAlive: true })
  try {
    await happening()
  } finally {
    const { answers } = await stop()
    expect(answers.length).toBeGreaterThan(10)
    expect(answers.filter(({ status, instance }) => status !== 200 || instance !== 'server')).toEqual([])
  }
}

test('a file that is emptied and written anew, slowly', async () => {
  await eventually(async () => expect(await routeOf()).toBe('first'))
  await underLoad(async () => {
    const text = objects('written')
    const file = await open(join(mesh.directory, 'objects.yaml'), 'r+')
    try {
      await file.truncate(0)
      let told = ''
      // nothing at all, an object cut in two, the route without its end
      for (const end of [0, 30, text.indexOf('responseHeaderModifier: {') + 10]) {
        await file.write(text.slice(0, end), 0)
        await eventually(async () => {
          const [problem] = await problems()
          const seen = problem === undefined ? '' : problemLine(problem)
          expect(seen).toContain('the last good content of the file stays in force')
          expect(seen).not.toBe(told)
          told = seen
        })
        expect(await routeOf()).toBe('first')
      }
      // what only the old text holds can be used for the first time
      expect(await mesh.request('client', 'http://third/')).toMatchObject({ status: 200 })
      await file.write(text, 0)
    } finally {
      await file.close()
    }
    await eventually(async () => expect(await routeOf()).toBe('written'))
    expect(await problems()).toEqual([])
  })
})

test('a folder that is gone for a while', async () => {
  await underLoad(async () => {
    const away = `${mesh.directory}.away`
    await rename(mesh.directory, away)
    await eventually(async () => {
      expect(await problems()).toContainEqual(
        expect.objectContaining({ text: expect.stringContaining('is not there') }),
      )
    })
    expect(await routeOf()).toBe('written')
    expect(await mesh.request('client', 'http://second/')).toMatchObject({ status: 200 })
    await rename(away, mesh.directory)
    await eventually(async () => expect(await problems()).toEqual([]))
    // it is watched again
    await mesh.apply(objects('back'), 'objects.yaml')
    await eventually(async () => expect(await routeOf()).toBe('back'))
  })
})
