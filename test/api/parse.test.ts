/** Which objects are read, in which versions, and what they are once read. */
import { describe, expect, test } from 'vitest'
import { allKinds, apiVersionOf, durationMs, findKind, kinds, parse, unreadKind } from '../../src/api/index.ts'
import { validObjects } from './support/gateway-objects.ts'

const meta = { metadata: { name: 'one', namespace: 'shop' } }
const gateway = 'gateway.networking.k8s.io'

describe('versions', () => {
  const served = allKinds.flatMap((kind) =>
    kind.versions.map((version) => ({ kind, version, apiVersion: apiVersionOf(kind, version) })),
  )

  test.each(served)('$kind.kind in $apiVersion is found', ({ kind, version, apiVersion }) => {
    expect(findKind(apiVersion, kind.kind)).toBe(kind)
    expect(kind.schemas[version]).toBeDefined()
  })

  test('every served version of a route is read into the same type', () => {
    for (const { kind, version, apiVersion } of served.filter(({ kind: { group } }) => group === gateway)) {
      for (const object of validObjects(kind.kind, version)) {
        expect(parse(kind, object)).toMatchObject({ ok: true, object: { apiVersion, kind: kind.kind }, warnings: [] })
      }
    }
  })

  test('a rule of one version is not asked of another', () => {
    const spec = { rules: [{ backendRefs: [{ name: 'a', port: 1 }] }] }
    const tls = (version: string): unknown => ({ apiVersion: `${gateway}/${version}`, kind: 'TLSRoute', ...meta, spec })
    expect(parse(kinds.TLSRoute, tls('v1alpha2'))).toMatchObject({ ok: true, object: { spec: { hostnames: [] } } })
    expect(parse(kinds.TLSRoute, tls('v1')).ok).toBe(false)
  })

  test.each([
    ['apps/v1', 'Deployment', 'unknown-kind', 'apps/v1 Deployment is no kind that Heddle reads; passed over'],
    [
      'example.com/v1',
      'Service',
      'unknown-kind',
      'example.com/v1 Service is no kind that Heddle reads; passed over; the Service that is read is v1',
    ],
    [
      'gateway.networking.k8s.io/v1alpha1',
      'HTTPRoute',
      'unserved-version',
      'this version of HTTPRoute is not read and the object passed over; versions that are read: gateway.networking.k8s.io/v1, gateway.networking.k8s.io/v1beta1',
    ],
  ])('%s %s is passed over, saying so', (apiVersion, kind, code, message) => {
    expect(findKind(apiVersion, kind)).toBeUndefined()
    expect(unreadKind(apiVersion, kind)).toMatchObject({ severity: 'note', code, message })
  })
})

describe('what is read', () => {
  test('has its defaults', () => {
    const parsed = parse(kinds.HTTPRoute, { apiVersion: `${gateway}/v1`, kind: 'HTTPRoute', ...meta, spec: {} })
    expect(parsed.ok && parsed.object.spec).toEqual({
      parentRefs: [],
      hostnames: [],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' }, headers: [], queryParams: [] }],
          filters: [],
          backendRefs: [],
        },
      ],
    })
  })

  test('takes null for absence, as the API server does', () => {
    const spec = { hostnames: null, rules: [{ timeouts: null, backendRefs: [{ name: 'a', port: 80, weight: null }] }] }
    const metadata = { ...meta.metadata, creationTimestamp: null }
    const parsed = parse(kinds.HTTPRoute, { apiVersion: `${gateway}/v1`, kind: 'HTTPRoute', metadata, spec })
    expect(parsed).toMatchObject({
      ok: true,
      object: { spec: { hostnames: [], rules: [{ backendRefs: [{ weight: 1 }] }] } },
    })
  })

  test('keeps null where any value goes', () => {
    const operation = { op: 'replace', path: '/a', value: null }
    const spec = {
      targetRefs: [{ kind: 'Namespace' }],
      patches: [{ type: 'type.googleapis.com/envoy.config.cluster.v3.Cluster', operation }],
    }
    const parsed = parse(kinds.EnvoyPatch, { apiVersion: 'heddle.dev/v1alpha1', kind: 'EnvoyPatch', ...meta, spec })
    expect(parsed).toMatchObject({ ok: true, object: { spec: { patches: [{ operation }] } } })
  })

  test('has no warnings for what the API server adds', () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'A', name: 'a', uid: 'u', blockOwnerDeletion: true }]
    const metadata = {
      ...meta.metadata,
      uid: 'u',
      managedFields: [{}],
      ownerReferences,
      selfLink: 'x',
      finalizers: ['a'],
    }
    const status = { parents: [{ anything: true }] }
    const parsed = parse(kinds.HTTPRoute, {
      apiVersion: `${gateway}/v1`,
      kind: 'HTTPRoute',
      metadata,
      spec: {},
      status,
    })
    expect(parsed).toMatchObject({ ok: true, warnings: [] })
  })

  test("passes fields of Kubernetes' own kinds that a mesh does not need", () => {
    const spec = {
      ports: [{ port: 80, targetPort: 'http' }],
      allocateLoadBalancerNodePorts: false,
      ipFamilyPolicy: 'SingleStack',
    }
    const parsed = parse(kinds.Service, { apiVersion: 'v1', kind: 'Service', ...meta, spec })
    expect(parsed).toMatchObject({
      ok: true,
      warnings: [],
      object: { spec: { type: 'ClusterIP', ports: [{ protocol: 'TCP' }] } },
    })
  })

  test('cannot reach the prototype of anything', () => {
    const raw: unknown = JSON.parse(
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","__proto__":{"x":1}},"data":{"__proto__":"y","constructor":"z"}}',
    )
    const parsed = parse(kinds.ConfigMap, raw)
    expect(parsed.ok && Object.keys(parsed.object.data)).toEqual(['constructor'])
    expect({}).not.toHaveProperty('x')
  })
})

test.each([
  ['0s', 0],
  ['250ms', 250],
  ['15s', 15_000],
  ['1h30m', 5_400_000],
  ['1h30m5s10ms', 5_405_010],
  ['99999h', 359_996_400_000],
  ['1.5s', Number.NaN],
  ['', Number.NaN],
])('the duration %s is %d ms', (text, milliseconds) => {
  expect(durationMs(text)).toBe(milliseconds)
})
