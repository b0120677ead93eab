/**
 * What people are told: one row for each sort of mistake, with the very words. A message names the field, shows what it
 * holds unless that may be a secret, and says what was expected.
 */
import { describe, expect, test } from 'vitest'
import { type AnyObject, diagnosticText, type Kind, type KindName, kinds, parse } from '../../src/api/index.ts'
import { heddleObjects } from './support/heddle-objects.ts'
import { replaced } from './support/mutations.ts'

const route = (spec: unknown): object => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'reviews', namespace: 'shop' },
  spec,
})
const own = (kind: KindName, spec: unknown): object => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind,
  metadata: { name: kind === 'Mesh' ? 'default' : 'one' },
  spec,
})
const service = (spec: unknown): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'reviews' }, spec })

const rows: readonly (readonly [what: string, kind: KindName, object: unknown, messages: readonly string[]])[] = [
  ['no object', 'HTTPRoute', 'hello', ['expected an object with apiVersion, kind and metadata']],
  [
    'a version that is not served',
    'HTTPRoute',
    { ...route({}), apiVersion: 'gateway.networking.k8s.io/v1alpha2' },
    [
      'apiVersion: got "gateway.networking.k8s.io/v1alpha2"; expected gateway.networking.k8s.io/v1 or gateway.networking.k8s.io/v1beta1',
    ],
  ],
  ['no kind', 'Mesh', { apiVersion: 'heddle.dev/v1alpha1' }, ['kind: expected Mesh']],
  [
    'no name',
    'HTTPRoute',
    { ...route({}), metadata: {} },
    ['metadata.name: is missing; expected a string (Name, unique among the objects of its kind in a namespace)'],
  ],
  [
    'a name with capitals',
    'HTTPRoute',
    { ...route({}), metadata: { name: 'Reviews' } },
    ['metadata.name: got "Reviews"; expected a DNS name in lower case (letters, digits, "-", labels separated by ".")'],
  ],
  [
    'a label that is none',
    'HTTPRoute',
    { ...route({}), metadata: { name: 'a', labels: { 'a b': 'c' } } },
    ['metadata.labels["a b"]: got "c"; expected a label key such as app or example.com/app'],
  ],
  ['a missing object', 'HTTPRoute', route(undefined), ['spec: is missing; expected an object with fields']],
  [
    'a missing choice',
    'AuthorizationPolicy',
    own('AuthorizationPolicy', { targetRefs: [{ kind: 'Namespace' }] }),
    ['spec.action: is missing; expected one of "ALLOW", "DENY" (What happens to what a rule matches)'],
  ],
  [
    'a number in quotes',
    'HTTPRoute',
    route({ rules: [{ backendRefs: [{ name: 'a', port: '80' }] }] }),
    ['spec.rules[0].backendRefs[0].port: got "80"; expected a number; write it without quotes'],
  ],
  [
    'a string without quotes',
    'HTTPRoute',
    route({ rules: [{ matches: [{ headers: [{ name: 'x-on', value: true }] }] }] }),
    ['spec.rules[0].matches[0].headers[0].value: got true; expected a string; put the value in quotes'],
  ],
  [
    'a boolean in quotes',
    'AuthorizationPolicy',
    own('AuthorizationPolicy', { targetRefs: [{ kind: 'Namespace' }], action: 'DENY', dryRun: 'true' }),
    ['spec.dryRun: got "true"; expected true or false; write it without quotes'],
  ],
  [
    'an object for a list',
    'HTTPRoute',
    route({ rules: { name: 'a' } }),
    ['spec.rules: expected a list; begin each item with "- "'],
  ],
  ['a list for an object', 'HTTPRoute', route([]), ['spec: expected an object with fields']],
  ['a fraction', 'Workload', own('Workload', { weight: 1.5 }), ['spec.weight: got 1.5; expected a whole number']],
  [
    'a number out of bounds',
    'Workload',
    own('Workload', { ports: [{ port: 70_000 }] }),
    ['spec.ports[0].port: got 70000; expected 1 to 65535'],
  ],
  ['a list out of bounds', 'HTTPRoute', route({ rules: [] }), ['spec.rules: expected 1 to 16 items']],
  [
    'a string out of bounds',
    'HTTPRoute',
    route({ rules: [{ sessionPersistence: { sessionName: 'a'.repeat(129) } }] }),
    [`spec.rules[0].sessionPersistence.sessionName: got "${'a'.repeat(80)}…"; expected at most 128 characters`],
  ],
  [
    'a slip in a choice',
    'HTTPRoute',
    route({ rules: [{ matches: [{ path: { type: 'Prefix', value: '/' } }] }] }),
    [
      'spec.rules[0].matches[0].path.type: got "Prefix"; expected one of "Exact", "PathPrefix", "RegularExpression"; did you mean "PathPrefix"?',
    ],
  ],
  [
    'a duration of another kind',
    'HTTPRoute',
    route({ rules: [{ timeouts: { request: '1.5s' } }] }),
    ['spec.rules[0].timeouts.request: got "1.5s"; expected a duration such as 250ms, 15s or 1h30m (GEP-2257)'],
  ],
  [
    'an address that is none',
    'Workload',
    own('Workload', { address: '10.0.0.256' }),
    ['spec.address: got "10.0.0.256"; expected an IPv4 or IPv6 address such as 10.0.0.7 or fd00::7'],
  ],
  [
    'a range that is none',
    'Mesh',
    own('Mesh', { serviceRange: '10.0.0.0/33' }),
    ['spec.serviceRange: got "10.0.0.0/33"; expected a range of addresses such as 10.0.0.0/8 or fd00::/64'],
  ],
  [
    'a path that does not begin with a slash',
    'HTTPRoute',
    route({ rules: [{ matches: [{ path: { value: 'cart' } }] }] }),
    ['spec.rules[0].matches[0].path.value: got "cart"; value must be an absolute path: begin it with "/"'],
  ],
  [
    'an expression that RE2 does not take',
    'HTTPRoute',
    route({ rules: [{ matches: [{ path: { type: 'RegularExpression', value: '(?=a)' } }] }] }),
    [
      'spec.rules[0].matches[0].path.value: got "(?=a)"; value must be a regular expression of RE2, which has no look-around and no back-references',
    ],
  ],
  [
    'a filter without its field',
    'HTTPRoute',
    route({ rules: [{ filters: [{ type: 'URLRewrite' }] }] }),
    ['spec.rules[0].filters[0].urlRewrite: urlRewrite goes with type URLRewrite, and only with it'],
  ],
  [
    'a repeated name',
    'HTTPRoute',
    route({
      rules: [
        {
          matches: [
            {
              headers: [
                { name: 'a', value: '1' },
                { name: 'a', value: '2' },
              ],
            },
          ],
        },
      ],
    }),
    ['spec.rules[0].matches[0].headers[1]: has the same name as an earlier item; write each once'],
  ],
  [
    'a repeated value',
    'ExternalService',
    own('ExternalService', { hosts: ['a.example', 'a.example'], ports: [{ port: 80 }] }),
    ['spec.hosts[1]: got "a.example"; is in the list already; write each value once'],
  ],
  [
    'fields that exclude each other',
    'TrafficPolicy',
    own('TrafficPolicy', { targetRefs: [{ kind: 'Namespace' }], loadBalancer: { type: 'Maglev' } }),
    ['spec.loadBalancer.consistentHash: consistentHash goes with type RingHash or Maglev, and only with these'],
  ],
  [
    'a name for what has but one',
    'Mesh',
    { ...own('Mesh', {}), metadata: { name: 'other' } },
    ['metadata.name: got "other"; there is one Mesh, and its name is "default"'],
  ],
  [
    'a slip in a field that is needed',
    'MeshTLS',
    own('MeshTLS', { targetRef: [{ kind: 'Namespace' }], mode: 'Strict' }),
    [
      "spec.targetRefs: is missing; expected a list (Which instances the policy applies to: those of the policy's own namespace, or for `Mesh`, from heddle-system, all)",
      'spec.targetRef: is no field of MeshTLS here, and is ignored; did you mean targetRefs?',
    ],
  ],
  [
    'ports without names',
    'Service',
    service({ ports: [{ port: 80 }, { port: 81 }] }),
    ['spec.ports: every port needs a name where there are two or more'],
  ],
  [
    'an address of a Service that is none',
    'Service',
    service({ clusterIP: 'none', ports: [{ port: 80 }] }),
    ['spec.clusterIP: got "none"; expected an IP address, "None" for a headless Service, or nothing'],
  ],
]

test.each(rows)('%s', (_, kind, object, messages) => {
  const parsed = parse(kinds[kind], object)
  expect(parsed.ok ? [] : parsed.errors.map(diagnosticText)).toEqual(messages)
})

describe('secrets', () => {
  test.each([
    ['Secret', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { key: 'hunter2 hunter2' } }],
    ['Secret', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, stringData: { key: 123_456_789 } }],
    ['Workload', own('Workload', { run: { command: ['a'], env: [{ name: 'PASSWORD', value: 123_456_789 }] } })],
    [
      'ExternalService',
      own('ExternalService', {
        hosts: ['a.example'],
        ports: [{ port: 80 }],
        tls: { caCertificates: '-----BEGIN PRIVATE KEY-----\nhunter2' },
      }),
    ],
  ] as const)('of a %s are not shown', (kind, object) => {
    const parsed = parse<AnyObject>(kinds[kind], object)
    const text = parsed.ok ? '' : JSON.stringify(parsed.errors)
    expect(text).toContain('expected')
    expect(text).not.toMatch(/hunter2|123456789/)
  })
})

test('an unknown field of any object is tolerated with a warning that names it', () => {
  for (const [name, kind] of Object.entries(kinds) as [KindName, Kind][]) {
    const [object] = heddleObjects(name)
    if (object === undefined) continue
    const parsed = parse(kind, replaced(object, ['spec', 'fromTheFuture'], { a: 1 }))
    expect(parsed.ok && parsed.warnings).toMatchObject([
      { severity: 'warning', code: 'unknown-field', path: ['spec', 'fromTheFuture'], field: 'spec.fromTheFuture' },
    ])
  }
})

test('a great many mistakes are counted and not all shown', () => {
  const backendRefs = Array.from({ length: 16 }, () => ({ name: 'a', port: 0 }))
  const rules = Array.from({ length: 16 }, () => ({ backendRefs }))
  const parsed = parse(kinds.HTTPRoute, route({ rules }))
  const errors = parsed.ok ? [] : parsed.errors
  expect(errors).toHaveLength(101)
  expect(errors.at(-1)?.message).toMatch(/^156 more of this object are not shown/)
})
