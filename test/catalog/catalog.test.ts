import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { catalogMetrics } from '../../src/catalog/metrics.ts'
import { broken, catalogWorld, policy, service, upsert } from './world.ts'

describe('tables', () => {
  test('hold good objects by namespace and name', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert(service('cart'))])
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(80)
    expect(catalog.conditions('Service', 'shop/cart')).toMatchObject({ accepted: true, lastGood: false })
    expect(catalog.origin('Service', 'shop/cart')).toMatchObject({ source: 'a.yaml', line: 1 })
  })

  test('an object that names no namespace is in default', () => {
    const { catalog } = catalogWorld()
    const { metadata, ...rest } = service('cart') as { metadata: { name: string } }
    catalog.apply([upsert({ ...rest, metadata: { name: metadata.name } })])
    expect(catalog.table('Service').get('default/cart')?.metadata.namespace).toBe('default')
  })

  test('cluster-scoped objects are keyed by name', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })])
    expect(catalog.table('Namespace').has('shop')).toBe(true)
  })

  test('listeners see each real change once, and nothing else', () => {
    const { catalog } = catalogWorld()
    const seen: unknown[] = []
    let changes = 0
    using _listener = catalog.listen('Service', (key, before, after) =>
      seen.push([key, before?.spec.ports?.[0]?.port, after?.spec.ports?.[0]?.port]),
    )
    using _changes = catalog.listenChanges(() => changes++)
    catalog.apply([upsert(service('cart'))])
    catalog.apply([upsert(service('cart'))])
    const { metadata, ...rest } = service('cart') as { metadata: object }
    const noise = { ...rest, metadata: { ...metadata, resourceVersion: '7', managedFields: [{}] }, status: { a: 1 } }
    catalog.apply([upsert(noise)])
    catalog.apply([upsert(service('cart', 81))])
    catalog.apply([{ op: 'delete', kind: 'Service', key: 'shop/cart' }])
    expect(seen).toEqual([
      ['shop/cart', undefined, 80],
      ['shop/cart', 80, 81],
      ['shop/cart', 81, undefined],
    ])
    expect(changes).toBe(3)
  })

  test('a derivation follows', () => {
    const { catalog, graph } = catalogWorld()
    const services = catalog.table('Service')
    const port = graph.derive('port', (key) => services.get(key)?.spec.ports?.[0]?.port)
    let told = 0
    using watch = graph.watch(port, 'shop/cart', () => told++)
    catalog.apply([upsert(service('cart'))])
    graph.commit()
    expect(watch.value).toBe(80)
    catalog.apply([upsert(service('cart', 'http'))])
    graph.commit()
    expect([watch.value, told]).toEqual([80, 1])
  })

  test('a listener that fails holds back neither the others nor the objects after it', () => {
    const { catalog } = catalogWorld()
    const seen: string[] = []
    using _bad = catalog.listen('Service', () => {
      throw new Error('a bug')
    })
    using _good = catalog.listen('Service', (key) => seen.push(key))
    expect(() => catalog.apply([upsert(service('a')), upsert(service('b'))])).toThrow(AggregateError)
    expect(seen).toEqual(['shop/a', 'shop/b'])
  })
})

describe('bad objects', () => {
  test('keep their last good version and get a condition', () => {
    const { catalog, clock } = catalogWorld()
    catalog.apply([upsert(service('cart'))])
    clock.time = 2000
    catalog.apply([upsert(service('cart', 'eighty'), 'a.yaml', 7)])
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(80)
    expect(catalog.conditions('Service', 'shop/cart')).toMatchObject({ accepted: false, lastGood: true, since: 2000 })
    expect(catalog.problems()).toEqual([
      expect.objectContaining({
        severity: 'error',
        source: 'a.yaml',
        line: 7,
        kind: 'Service',
        namespace: 'shop',
        name: 'cart',
      }),
    ])
    expect(catalog.problems()[0]?.text).toMatch(/^Service shop\/cart: spec\.ports\[0\]\.port: got "eighty"; /)
    catalog.apply([upsert(service('cart', 81))])
    expect(catalog.conditions('Service', 'shop/cart')).toMatchObject({ accepted: true, lastGood: false })
    expect(catalog.problems()).toEqual([])
  })

  test('are absent when bad from the start, but known to exist', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert(policy('deny', 'PERHAPS'), 'a.yaml', 3), upsert(service('cart'))])
    expect(catalog.table('AuthorizationPolicy').has('shop/deny')).toBe(false)
    expect(catalog.conditions('AuthorizationPolicy', 'shop/deny')).toMatchObject({ accepted: false, lastGood: false })
    expect(catalog.unreadable('AuthorizationPolicy').get('shop/deny')).toMatchObject({
      namespace: 'shop',
      name: 'deny',
      targetRefs: [{ kind: 'Workload', name: 'cart' }],
      source: 'a.yaml',
      line: 3,
    })
    expect(catalog.table('Service').has('shop/cart')).toBe(true)
    catalog.apply([upsert(policy('deny', 'DENY'))])
    expect(catalog.unreadable('AuthorizationPolicy').size).toBe(0)
    expect(catalog.table('AuthorizationPolicy').has('shop/deny')).toBe(true)
  })

  test('are told of when they come and go, though no table of objects changes', () => {
    const { catalog } = catalogWorld()
    let changes = 0
    using _listener = catalog.listenChanges(() => changes++)
    const nameless = { apiVersion: 'heddle.dev/v1alpha1', kind: 'AuthorizationPolicy', metadata: {} }
    for (const declared of [[upsert(policy('deny', 7))], [upsert(policy('deny', 7))], [], [upsert(nameless)], []]) {
      catalog.replaceAll('a.yaml', declared)
    }
    expect(changes).toBe(4)
  })

  test('are not unreadable while a last good version is in force', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert(policy('deny', 'DENY'))])
    catalog.apply([upsert(policy('deny', 7))])
    expect(catalog.unreadable('AuthorizationPolicy').size).toBe(0)
    expect(catalog.table('AuthorizationPolicy').get('shop/deny')?.spec.action).toBe('DENY')
    catalog.apply([{ op: 'delete', kind: 'AuthorizationPolicy', key: 'shop/deny' }])
    expect(catalog.table('AuthorizationPolicy').size).toBe(0)
  })

  test('of which not even the name can be read are unreadable by their place', () => {
    const { catalog } = catalogWorld()
    catalog.replaceAll('a.yaml', [
      upsert({ apiVersion: 'heddle.dev/v1alpha1', kind: 'AuthorizationPolicy', metadata: {} }),
    ])
    expect([...catalog.unreadable('AuthorizationPolicy').entries()]).toMatchObject([
      ['default/?a.yaml:1#0', { namespace: 'default', name: undefined }],
    ])
    expect(catalog.problems()[0]?.text).toBe(
      'AuthorizationPolicy without a readable name: metadata.name: got nothing; expected a name',
    )
    catalog.replaceAll('a.yaml', [])
    expect(catalog.unreadable('AuthorizationPolicy').size).toBe(0)
    expect(catalog.problems()).toEqual([])
  })

  test('of a version that is not read cannot be read, rather than being of another kind', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert({ ...policy('deny'), apiVersion: 'heddle.dev/v2' })])
    expect(catalog.unreadable('AuthorizationPolicy').has('shop/deny')).toBe(true)
    expect(catalog.problems()[0]).toMatchObject({ severity: 'error', code: 'unserved-version' })
  })

  test('may be broken by what a source could read of them', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert(service('cart'))])
    catalog.apply([broken(service('cart', 99), 'a.yaml', 4)])
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(80)
    expect(catalog.problems()).toMatchObject([{ line: 4, text: 'Service shop/cart: is no YAML' }])
  })

  test('kinds that are not read are noted and passed over', () => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'cart' } })])
    expect(catalog.problems()).toMatchObject([{ severity: 'note', code: 'unknown-kind' }])
  })

  test.each([
    ['nothing', null],
    ['a text', 'hello'],
    ['a list', [1]],
    ['no kind', { apiVersion: 'v1', metadata: { name: 'a' } }],
    ['a kind that is a number', { apiVersion: 'v1', kind: 7, metadata: { name: 'a' } }],
    ['metadata that is a list', { apiVersion: 'v1', kind: 'Service', metadata: ['a'] }],
    ['a namespace that is a number', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 7 } }],
  ])('%s is an error and no object', (_name, raw) => {
    const { catalog } = catalogWorld()
    catalog.apply([upsert(raw), upsert(service('cart'))])
    expect(catalog.problems()).toMatchObject([{ severity: 'error', source: 'a.yaml', line: 1 }])
    expect(catalog.table('Service').size).toBe(1)
  })
})

describe('sources', () => {
  test('a relist is a difference', () => {
    const { catalog } = catalogWorld()
    catalog.replaceAll('a.yaml', [upsert(service('a')), upsert(service('b'))])
    const seen: string[] = []
    using _listener = catalog.listen('Service', (key, _before, after) =>
      seen.push(`${key} ${after === undefined ? 'gone' : 'set'}`),
    )
    catalog.replaceAll('a.yaml', [upsert(service('b')), upsert(service('c'))])
    expect(seen.toSorted()).toEqual(['shop/a gone', 'shop/c set'])
  })

  test('what moves from one source to another is never away', () => {
    const { catalog } = catalogWorld()
    catalog.replaceAll('a.yaml', [upsert(service('cart'))])
    const seen: string[] = []
    using _listener = catalog.listen('Service', (key) => seen.push(key))
    catalog.replaceSources([
      ['a.yaml', []],
      ['b.yaml', [upsert(service('cart'), 'b.yaml')]],
    ])
    expect(seen).toEqual([])
    expect(catalog.origin('Service', 'shop/cart')?.source).toBe('b.yaml')
  })

  test.each([
    ['in the order of files', ['a.yaml', 'b.yaml']],
    ['whichever came first', ['b.yaml', 'a.yaml']],
  ])('of two declarations the first counts, %s', (_name, order) => {
    const { catalog } = catalogWorld()
    for (const source of order) {
      catalog.replaceAll(source, [upsert(service('cart', source === 'a.yaml' ? 1 : 2), source, 5)])
    }
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(1)
    expect(catalog.problems()).toMatchObject([{ severity: 'error', code: 'duplicate', source: 'b.yaml', line: 5 }])
    expect(catalog.problems()[0]?.text).toContain('at a.yaml:5 and at b.yaml:5')
    catalog.replaceAll('a.yaml', [])
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(2)
    expect(catalog.problems()).toEqual([])
  })

  test('two declarations in one source are told by their order', () => {
    const { catalog } = catalogWorld()
    catalog.replaceAll('a.yaml', [upsert(service('cart', 1), 'a.yaml', 1), upsert(service('cart', 2), 'a.yaml', 9)])
    expect(catalog.table('Service').get('shop/cart')?.spec.ports?.[0]?.port).toBe(1)
    expect(catalog.problems()[0]).toMatchObject({ code: 'duplicate', line: 9 })
  })

  test('ready once every announced source is loaded', async () => {
    const { catalog } = catalogWorld()
    expect(catalog.ready).toBe(false)
    const [first, second] = [catalog.expect(), catalog.expect()]
    first()
    expect(catalog.ready).toBe(false)
    second()
    expect(catalog.ready).toBe(true)
    await catalog.whenReady()
  })
})

test('conditions are told when they change', () => {
  const { catalog } = catalogWorld()
  const told: unknown[] = []
  using _listener = catalog.listenConditions((kind, key, condition) => told.push([kind, key, condition?.accepted]))
  const bad = service('cart', 'x')
  catalog.replaceAll('a.yaml', [upsert(service('cart'))])
  catalog.replaceAll('a.yaml', [upsert(bad)])
  catalog.replaceAll('a.yaml', [upsert(bad)])
  catalog.replaceAll('a.yaml', [])
  expect(told).toEqual([
    ['Service', 'shop/cart', true],
    ['Service', 'shop/cart', false],
    ['Service', 'shop/cart', undefined],
  ])
})

test('metrics count what is in force and what is refused', async () => {
  const registry = new Registry()
  const { catalog } = catalogWorld(catalogMetrics(registry))
  catalog.apply([upsert(service('a')), upsert(service('b', 'x')), upsert(service('c'))])
  catalog.apply([upsert(service('c', 'x'))])
  const text = await registry.metrics()
  expect(text).toContain('heddle_catalog_objects{kind="Service"} 2')
  expect(text).toContain('heddle_catalog_rejected{kind="Service"} 2')
})

test('many declarations of one object do not take quadratic time', () => {
  const { catalog } = catalogWorld()
  const count = 20_000
  catalog.replaceAll(
    'a.yaml',
    Array.from({ length: count }, (_, line) => upsert(service('cart'), 'a.yaml', line)),
  )
  catalog.replaceAll('a.yaml', [upsert(service('cart'))])
  expect(catalog.problems()).toEqual([])
})
