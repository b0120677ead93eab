/** EnvoyPatch: which ones are in effect for a workload, and what they do to a resource. */
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { envoyPatchKind } from '../../src/api/heddle/envoy-patch.ts'
import { connectionSettings } from '../../src/envoy/cluster/policy/connection-settings.ts'
import { applyPatches, type Patched } from '../../src/envoy/patch.ts'
import { buildPatches, type PatchInEffect } from '../../src/mesh/patches.ts'
import { testProtos } from '../proto/protos.ts'
import { validate } from '../support/envoy.ts'
import { modelOf } from './model.ts'

const protos = testProtos()
const CLUSTER = 'envoy.config.cluster.v3.Cluster'

const cluster = Object.freeze({
  name: '10.96.0.1:80',
  type: 'STATIC',
  ...connectionSettings({}, { http: true, protocol: 'http', hostname: 'cart' }),
  load_assignment: { cluster_name: '10.96.0.1:80', endpoints: [] },
})

/** `patches` of an object as people write them. */
const inEffect = (patches: string, object = 'shop/patch'): PatchInEffect => ({
  object,
  patches: envoyPatchKind.schema.parse({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'EnvoyPatch',
    metadata: { name: 'patch', namespace: 'shop' },
    spec: { targetRefs: [{ kind: 'Namespace' }], patches: parse(patches) as unknown },
  }).spec.patches,
})

const onCluster = (...operations: readonly string[]): string =>
  `[${operations.map((operation) => `{type: type.googleapis.com/${CLUSTER}, operation: ${operation}}`).join(', ')}]`

const apply = (...patches: readonly PatchInEffect[]): Patched =>
  applyPatches(protos, CLUSTER, cluster.name, cluster, patches)

describe('a patch', () => {
  test('changes, adds, removes, moves, copies and tests', async () => {
    const before = structuredClone(cluster)
    const { message, applied, refused } = apply(
      inEffect(
        onCluster(
          '{op: test, path: /connect_timeout, value: 2s}',
          '{op: replace, path: /connect_timeout, value: 5s}',
          '{op: add, path: /metadata, value: {filter_metadata: {example: {note: 1}}}}',
          '{op: add, path: /circuit_breakers/thresholds/-, value: {priority: HIGH, max_connections: 7}}',
          '{op: copy, from: /circuit_breakers/thresholds/1/max_connections, path: /circuit_breakers/thresholds/1/max_requests}',
          '{op: remove, path: /circuit_breakers/thresholds/0/retry_budget}',
          '{op: move, from: /connect_timeout, path: /cleanup_interval}',
          '{op: replace, path: /typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/use_downstream_protocol_config, value: {http2_protocol_options: {allow_connect: true}}}',
        ),
      ),
    )
    expect(refused).toEqual([])
    expect(applied).toEqual(['shop/patch'])
    expect(message).toMatchObject({
      name: '10.96.0.1:80',
      cleanup_interval: '5s',
      metadata: { filter_metadata: { example: { note: 1 } } },
      circuit_breakers: { thresholds: [{ max_requests: 4_294_967_295 }, { max_connections: 7, max_requests: 7 }] },
    })
    expect(message).not.toHaveProperty('connect_timeout')
    // what it was applied to is shared with others
    expect(cluster).toEqual(before)
    expect(await validate(JSON.stringify({ static_resources: { clusters: [message] } }))).toBeUndefined()
  })

  test('is for one type, and one name if it says one', () => {
    const patches = inEffect(`
- type: type.googleapis.com/envoy.config.listener.v3.Listener
  operation: {op: remove, path: /nothing}
- type: type.googleapis.com/${CLUSTER}
  name: 10.96.0.2:80
  operation: {op: remove, path: /nothing}
`)
    expect(apply(patches)).toEqual({ message: cluster, applied: [], refused: [] })
    expect(apply(patches).message).toBe(cluster)
  })

  test('cannot hurt the one after it, nor the one before', () => {
    const { message, applied, refused } = apply(
      inEffect(onCluster('{op: add, path: /connect_timeout, value: 3s}'), 'shop/first'),
      inEffect(
        onCluster(
          '{op: add, path: /connect_timeout, value: 4s}',
          '{op: add, path: /cleanup_interval, value: 4s}',
          '{op: remove, path: /nothing/at/all}',
        ),
        'shop/second',
      ),
      inEffect(onCluster('{op: test, path: /connect_timeout, value: 3s}'), 'shop/third'),
    )
    expect(message).toMatchObject({ connect_timeout: '3s' })
    expect(message).not.toHaveProperty('cleanup_interval')
    expect(applied).toEqual(['shop/first', 'shop/third'])
    expect(refused).toMatchObject([
      {
        object: 'shop/second',
        type: CLUSTER,
        name: '10.96.0.1:80',
        diagnostic: { field: 'spec.patches[2].operation.path', value: '/nothing/at/all' },
      },
    ])
  })

  test.each([
    [
      'a path that leads nowhere',
      ['{op: replace, path: /nothing, value: 1}'],
      'there is nothing to replace at that path',
    ],
    [
      'a parent that is not there',
      ['{op: add, path: /nothing/below, value: 1}'],
      'there is nothing at that path to add to',
    ],
    ['an index beyond the end', ['{op: add, path: /circuit_breakers/thresholds/7, value: {}}'], 'nothing at that path'],
    ['a test that fails', ['{op: test, path: /connect_timeout, value: 9s}'], 'not the one that is tested for'],
    ['an unknown field', ['{op: add, path: /conect_timeout, value: 1s}'], 'is no valid message: conect_timeout'],
    ['a wrong type', ['{op: add, path: /connect_timeout, value: [1]}'], 'is no valid message: connect_timeout'],
    ['a wrong enum', ['{op: add, path: /lb_policy, value: FASTEST}'], 'is no valid message: lb_policy'],
    [
      'an unknown extension',
      [
        "{op: add, path: /transport_socket, value: {name: x, typed_config: {'@type': type.googleapis.com/no.such.Thing}}}",
      ],
      'is no valid message: transport_socket',
    ],
    ['another name', ['{op: replace, path: /name, value: mine}'], 'must stay'],
    ['no name', ['{op: remove, path: /name}'], 'must stay'],
    ['everything at once', ["{op: replace, path: '', value: {name: '10.96.0.1:80'}}"], 'nothing to replace'],
    ['the prototype', ['{op: add, path: /__proto__/polluted, value: 1}'], 'no field of Envoy has that name'],
    [
      'the constructor',
      ['{op: add, path: /metadata, value: {}}', '{op: copy, from: /constructor/prototype, path: /metadata/x}'],
      'no field of Envoy has that name',
    ],
    ['a move into itself', ['{op: move, from: /circuit_breakers, path: /circuit_breakers/thresholds}'], 'at that path'],
  ])('is refused whole: %s', (_, operations, words) => {
    const { message, applied, refused } = apply(inEffect(onCluster(...operations)))
    expect(message).toBe(cluster)
    expect(applied).toEqual([])
    expect(refused).toMatchObject([{ object: 'shop/patch', diagnostic: { severity: 'error', code: 'patch-refused' } }])
    expect(refused[0]?.diagnostic.message).toContain(words)
    expect(refused[0]?.diagnostic.message).toContain('10.96.0.1:80')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('cannot grow without end', () => {
    const doubling = Array.from(
      { length: 63 },
      (_, n) => `{op: copy, from: /metadata, path: /metadata/filter_metadata/more${n}}`,
    )
    const { refused } = apply(
      inEffect(onCluster('{op: add, path: /metadata, value: {filter_metadata: {a: {b: c}}}}', ...doubling)),
    )
    expect(refused[0]?.diagnostic.message).toContain('larger than 4 MiB')
  })
})

describe('patches in effect', () => {
  const workload = (name: string, namespace = 'shop') => `
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: {name: ${name}, namespace: ${namespace}, labels: {app: ${name}}}
spec: {address: 10.244.0.${name.length}}
---`
  const patch = (name: string, target: string, { namespace = 'shop', more = '' } = {}) => `
apiVersion: heddle.dev/v1alpha1
kind: EnvoyPatch
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  targetRefs: [${target}]
  ${more}
  patches: [{type: type.googleapis.com/${CLUSTER}, operation: {op: remove, path: /metadata}}]
---`
  const allowed = (namespaces: string) => `
apiVersion: heddle.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec: {envoyPatch: {allowedNamespaces: ${namespaces}}}
---`

  function patchesFor(yaml: string, ...keys: readonly string[]): Record<string, string[]> {
    const { graph, catalog, mesh } = modelOf(yaml)
    const patches = buildPatches(graph, catalog, mesh.lookup, mesh.services.workload, mesh.settings)
    return Object.fromEntries(keys.map((key) => [key, patches.get(key).map(({ object }) => object)]))
  }

  const world =
    workload('cart') +
    workload('basket') +
    workload('cart', 'other') +
    patch('labels', '{kind: Pod, selector: {matchLabels: {app: cart}}}') +
    patch('name', '{kind: Workload, name: basket}') +
    patch('namespace', '{kind: Namespace}') +
    patch('mesh', '{kind: Mesh}', { namespace: 'heddle-system' }) +
    patch('not-mesh', '{kind: Mesh}')
  const keys = ['shop/cart', 'shop/basket', 'other/cart', 'shop/nobody']

  test('are those of the own namespace that mean the workload, and the mesh-wide ones', () => {
    expect(patchesFor(world + allowed("['*']"), ...keys)).toEqual({
      'shop/cart': ['heddle-system/mesh', 'shop/labels', 'shop/namespace'],
      'shop/basket': ['heddle-system/mesh', 'shop/name', 'shop/namespace'],
      'other/cart': ['heddle-system/mesh'],
      'shop/nobody': [],
    })
  })

  test('count only where the Mesh allows the namespace', () => {
    expect(patchesFor(world, ...keys)).toEqual({
      'shop/cart': [],
      'shop/basket': [],
      'other/cart': [],
      'shop/nobody': [],
    })
    expect(patchesFor(world + allowed('[shop]'), 'shop/cart')).toEqual({
      'shop/cart': ['shop/labels', 'shop/namespace'],
    })
    expect(patchesFor(world + allowed('[heddle-system]'), 'shop/cart')).toEqual({ 'shop/cart': ['heddle-system/mesh'] })
  })

  test('come by priority, then the older first', () => {
    const aged = (name: string, year: number, more = '') =>
      patch(name, '{kind: Namespace}', { more }).replace(
        `{name: ${name}, namespace: shop}`,
        `{name: ${name}, namespace: shop, creationTimestamp: '${year}-01-01T00:00:00Z'}`,
      )
    expect(
      patchesFor(
        workload('cart') +
          allowed('[shop]') +
          aged('young', 2026) +
          aged('old', 2020) +
          aged('last', 2019, 'priority: 5') +
          aged('first', 2026, 'priority: -5'),
        'shop/cart',
      ),
    ).toEqual({ 'shop/cart': ['shop/first', 'shop/old', 'shop/young', 'shop/last'] })
  })
})
