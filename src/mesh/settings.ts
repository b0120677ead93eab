// The Mesh object as it is in force: what it says, or the defaults of its schema where there is none. One that exists and could never be
// read fails closed: it may have forbidden what the defaults allow.
import { BlockList } from 'node:net'
import { meshKind } from '../api/heddle/mesh.ts'
import { type Mesh, meshName } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { canonicalRange } from './address.ts'
import { sameJson } from './same.ts'

export type Settings = Mesh['spec']

/** By the empty key: there is one mesh. */
export function buildSettings(graph: Graph, catalog: Catalog): Reader<Settings> {
  const meshes = catalog.table('Mesh')
  const fallback = meshKind.schema.parse({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: meshName },
  }).spec
  const closed: Settings = {
    ...fallback,
    mtls: { ...fallback.mtls, mode: 'Strict' },
    authorization: { default: 'Deny' },
    outbound: { ...fallback.outbound, unknownDestinations: 'Refuse' },
  }
  return graph.derive(
    'mesh.settings',
    () => meshes.get(meshName)?.spec ?? (catalog.unreadable('Mesh').get(meshName) === undefined ? fallback : closed),
    sameJson,
  )
}

/** The ranges that the settings give the mesh, sorted. */
export function meshRanges(settings: Settings): readonly string[] {
  const ranges = [settings.serviceRange, settings.workloadRange, ...settings.addressRanges]
  // Envoy refuses a listener in which one range stands twice, however it is written
  return [...new Set(ranges.map((range) => canonicalRange(range).range))].toSorted()
}

/** The range of one address. */
export const singleRange = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`

/** Whether an address lies in one of these ranges. */
export function contains(ranges: readonly string[], address: string): boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [network = '', bits = ''] = range.split('/')
    list.addSubnet(network, Number(bits), network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}
