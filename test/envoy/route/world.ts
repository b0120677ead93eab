/** Routes and policies, through catalog and model, to the virtual hosts under test. */
import { parseAllDocuments } from 'yaml'
import { type VirtualHostContent, virtualHost } from '../../../src/envoy/route/virtual-host.ts'
import { buildMesh } from '../../../src/mesh/mesh.ts'
import type { Service } from '../../../src/mesh/model.ts'
import { catalogWorld, upsert } from '../../catalog/world.ts'

export interface FoundHost {
  readonly service: Service
  readonly port: number
  readonly host: VirtualHostContent
}

export const objectsOf = (...yaml: readonly string[]): unknown[] =>
  yaml.flatMap((text) => parseAllDocuments(text)).map((document): unknown => document.toJS())

/** The virtual host of every Service's port that has an HTTP policy, as a client of the Service's namespace sees it. */
export function virtualHosts(objects: readonly unknown[]): FoundHost[] {
  const { graph, catalog } = catalogWorld()
  const mesh = buildMesh(graph, catalog)
  catalog.replaceAll(
    'test.yaml',
    objects.map((object, index) => upsert(object, 'test.yaml', index)),
  )
  const problems = catalog.problems().map(({ text }) => text)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return [...catalog.table('Service').entries()].flatMap(([key]) => {
    const service = mesh.services.service.get(key)
    const [address] = service?.addresses ?? []
    if (service === undefined || address === undefined) return []
    return service.ports.flatMap(({ port }) => {
      const frontend = mesh.http.get(`${key}:${port}|`)
      return frontend ? [{ service, port, host: virtualHost(frontend, address, port) }] : []
    })
  })
}
