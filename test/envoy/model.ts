/** What objects written as YAML mean: the model over a catalog of its own. */
import { parseAllDocuments } from 'yaml'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { buildMesh, type Mesh } from '../../src/mesh/mesh.ts'
import type { Graph } from '../../src/engine/graph.ts'
import { catalogWorld, upsert } from '../catalog/world.ts'

export interface Model {
  readonly graph: Graph
  readonly catalog: Catalog
  readonly mesh: Mesh
}

/** Throws if an object is refused, unless that is the point. */
export function modelOf(yaml: string, { broken = false } = {}): Model {
  const { graph, catalog } = catalogWorld()
  const mesh = buildMesh(graph, catalog)
  const documents = parseAllDocuments(yaml).map((document): unknown => document.toJS())
  const objects = documents.filter((object) => object !== null)
  catalog.replaceAll(
    'test.yaml',
    objects.map((object, index) => upsert(object, 'test.yaml', index)),
  )
  const problems = catalog.problems().map(({ text }) => text)
  if (problems.length > 0 !== broken) throw new Error(`problems: ${problems.join('\n')}`)
  return { graph, catalog, mesh }
}
