import { describe, expect, test } from 'vitest'
import { checkReferences } from '../../src/catalog/check-references.ts'
import { problemLine } from '../../src/catalog/problems.ts'
import { readContent } from '../../src/source/files/content.ts'
import { defaultLimits } from '../../src/source/files/limits.ts'
import { catalogWorld } from './world.ts'

/** What is wrong between the objects of a file, a line each. */
async function check(text: string): Promise<string[]> {
  const { catalog } = catalogWorld()
  const content = await readContent(Buffer.from(text), { source: 'a.yaml', limits: defaultLimits })
  catalog.replaceAll('a.yaml', content.declarations)
  expect(catalog.problems().filter(({ severity }) => severity === 'error')).toEqual([])
  return checkReferences(catalog).map(problemLine)
}

const services = ['cart', 'users']
  .map(
    (name) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: {ports: [{port: 80, name: http}]}\n---\n`,
  )
  .join('')
const other =
  'apiVersion: v1\nkind: Service\nmetadata: {name: far, namespace: other}\nspec: {ports: [{port: 80}]}\n---\n'

const route = (rule: string, parent = '{kind: Service, group: "", name: cart}'): string => `${services}${other}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [${parent}]
  rules:
  - ${rule}
`
const policy = (kind: string, target: string, rest = ''): string =>
  `${route('backendRefs: [{name: users, port: 80}]')}
---
apiVersion: heddle.dev/v1alpha1
kind: ${kind}
metadata: {name: p, namespace: shop}
spec:
  targetRefs: [${target}]
  ${rest}
`

describe('references', () => {
  test.each<[string, string, RegExp[]]>([
    ['that hold', route('backendRefs: [{name: users, port: 80}]'), []],
    [
      'a backend that is not there',
      route('backendRefs: [{name: userz, port: 80}]'),
      [
        /^a\.yaml:\d+:\d+: warning: HTTPRoute shop\/r: spec\.rules\[0\]\.backendRefs\[0\]: refers to Service shop\/userz, which is not declared\. Mend: did you mean users\?$/,
      ],
    ],
    [
      'a backend without that port',
      route('backendRefs: [{name: users, port: 81}]'),
      [/backendRefs\[0\]\.port: refers to port 81 of Service shop\/users; expected one of 80/],
    ],
    [
      'a backend of another kind',
      route('backendRefs: [{group: x.io, kind: Import, name: users, port: 80}]'),
      [/refers to a x\.io Import; expected a Service/],
    ],
    [
      'a backend of another namespace, of a route that a Service has',
      route('backendRefs: [{name: far, namespace: other, port: 80}]'),
      [],
    ],
    [
      'a backend of another namespace, of a route that a Gateway has',
      route('backendRefs: [{name: far, namespace: other, port: 80}]', '{name: gateway}'),
      [
        /of another namespace, which does not allow it\. Mend: declare a ReferenceGrant in other, from HTTPRoute of shop to Service/,
      ],
    ],
    [
      'a mirror that is not there',
      route('filters: [{type: RequestMirror, requestMirror: {backendRef: {name: no, port: 80}}}]'),
      [/spec\.rules\[0\]\.filters\[0\]\.requestMirror\.backendRef: refers to Service shop\/no/],
    ],
    [
      'a mirror of a backend',
      route(
        'backendRefs: [{name: users, port: 80, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: no, port: 80}}}]}]',
      ),
      [/backendRefs\[0\]\.filters\[0\]\.requestMirror\.backendRef: refers to Service shop\/no/],
    ],
    [
      'a parent that is not there',
      route('backendRefs: [{name: users, port: 80}]', '{kind: Service, group: "", name: no}'),
      [/spec\.parentRefs\[0\]: refers to Service shop\/no/],
    ],
    [
      'a parent without that port',
      route('backendRefs: [{name: users, port: 80}]', '{kind: Service, group: "", name: cart, port: 9}'),
      [/spec\.parentRefs\[0\]\.port: refers to port 9/],
    ],
    [
      'a Gateway as parent is not ours to judge',
      route('backendRefs: [{name: users, port: 80}]', '{name: gateway}'),
      [],
    ],
    [
      'weights that are all zero',
      route('backendRefs: [{name: users, port: 80, weight: 0}, {name: cart, port: 80, weight: 0}]'),
      [/spec\.rules\[0\]\.backendRefs: all weights are 0/],
    ],
    ['a weight that is zero', route('backendRefs: [{name: users, port: 80, weight: 0}, {name: cart, port: 80}]'), []],
    ['a policy on a Service', policy('TrafficPolicy', '{kind: Service, name: cart, sectionName: http}'), []],
    ['a policy on a port by number', policy('TrafficPolicy', '{kind: Service, name: cart, sectionName: "80"}'), []],
    [
      'a policy on a port that is not there',
      policy('TrafficPolicy', '{kind: Service, name: cart, sectionName: grpc}'),
      [/targetRefs\[0\]\.sectionName: refers to grpc of Service shop\/cart; expected one of http, 80/],
    ],
    [
      'a policy on a rule that is not there',
      policy('TrafficPolicy', '{kind: HTTPRoute, name: r, sectionName: first}'),
      [/refers to first of HTTPRoute shop\/r; expected none: it names no parts/],
    ],
    [
      'a policy on a Service that is not there',
      policy('TrafficPolicy', '{kind: Service, name: no}'),
      [/spec\.targetRefs\[0\]: refers to Service shop\/no/],
    ],
    ['a policy on the namespace', policy('TrafficPolicy', '{kind: Namespace}'), []],
    [
      'a policy on a Workload that is not there',
      policy('MeshTLS', '{kind: Workload, name: no}', 'mode: Strict'),
      [/refers to Workload shop\/no/],
    ],
    ['a policy on pods by label', policy('AuthorizationPolicy', '{kind: Pod, selector: {}}', 'action: DENY'), []],
    [
      'an upstream that is not there',
      'apiVersion: heddle.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\nspec:\n  upstreams:\n  - port: 9000\n    service: {name: no, port: 80}\n',
      [/^a\.yaml:7:5: warning: Workload default\/w: spec\.upstreams\[0\]\.service: refers to Service default\/no/],
    ],
    [
      'a certificate that is not there',
      'apiVersion: heddle.dev/v1alpha1\nkind: ExternalService\nmetadata: {name: e}\nspec:\n  hosts: [api.example.com]\n  ports: [{port: 443}]\n  tls: {caCertificateRefs: [{name: ca}], clientCertificateRef: {name: own}}\n',
      [/ConfigMap default\/ca/, /Secret default\/own/],
    ],
    [
      'stanzas about requests on a host outside',
      `apiVersion: heddle.dev/v1alpha1
kind: ExternalService
metadata: {name: payments}
spec: {hosts: [api.example.com], ports: [{port: 443}]}
---
apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec:
  targetRefs: [{kind: ExternalService, name: payments}]
  timeout: {tcp: {connectTimeout: 1s}, http: {requestTimeout: 1s}}
  retry: {}
`,
      [/spec\.retry: has no effect on an ExternalService/, /spec\.timeout\.http\.requestTimeout: has no effect/],
    ],
    [
      'an EndpointSlice of no Service',
      'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {kubernetes.io/service-name: no}}\naddressType: IPv4\nendpoints: []\nports: []\n',
      [/metadata\.labels\["kubernetes\.io\/service-name"\]: refers to Service default\/no/],
    ],
  ])('%s', async (_name, text, problems) => {
    expect(await check(text)).toEqual(problems.map((problem) => expect.stringMatching(problem)))
  })

  const grant = (to: string, from = '{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}'): string =>
    `${route('backendRefs: [{name: far, namespace: other, port: 80}]', '{name: gateway}')}---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: g, namespace: other}
spec: {from: [${from}], to: [${to}]}
`
  test.each([
    ['of all Services', grant('{group: "", kind: Service}'), 0],
    ['of this one', grant('{group: "", kind: Service, name: far}'), 0],
    ['of another one', grant('{group: "", kind: Service, name: near}'), 1],
    [
      'to another kind',
      grant('{group: "", kind: Service}', '{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}'),
      1,
    ],
    [
      'to another namespace',
      grant('{group: "", kind: Service}', '{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: x}'),
      1,
    ],
  ])('a grant %s', async (_name, text, count) => {
    expect(await check(text)).toHaveLength(count)
  })

  test('to what is there but was refused says so', async () => {
    const { catalog } = catalogWorld()
    const text = route('backendRefs: [{name: users, port: 80}]').replace('port: 80, name: http', 'port: none')
    const content = await readContent(Buffer.from(text), { source: 'a.yaml', limits: defaultLimits })
    catalog.replaceAll('a.yaml', content.declarations)
    expect(checkReferences(catalog).map(({ text: line }) => line)).toEqual([
      expect.stringContaining('refers to Service shop/cart, which is declared, at a.yaml:1, but refused'),
    ])
  })
})

describe('circles of names', () => {
  const external = (name: string, target: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec:\n  type: ExternalName\n  externalName: ${target}\n---\n`

  test.each<[string, string, number]>([
    ['of one', external('a', 'a.shop.svc.cluster.local'), 1],
    [
      'of three',
      external('a', 'b.shop.svc') + external('b', 'c.shop.svc.cluster.local') + external('c', 'a.shop.svc.x.y'),
      3,
    ],
    ['that one only leads into', external('a', 'b.shop.svc') + external('b', 'b.shop.svc'), 1],
    ['none', external('a', 'b.shop.svc') + external('b', 'example.com'), 0],
    ['names outside', external('a', 'shop.example.com'), 0],
  ])('%s', async (_name, text, count) => {
    const problems = await check(text)
    expect(problems).toHaveLength(count)
    for (const problem of problems) expect(problem).toMatch(/spec\.externalName: names itself in a circle: .* -> /)
  })
})
