/** What is right by itself and wrong beside others: objects that are in force all the same, with a warning. */
import type { TemplateKind } from './templates.ts'

export interface WarningCase {
  readonly name: string
  readonly kind: TemplateKind
  readonly from: string
  readonly to: string
  /** The line that the warning points at: what it contains; the first of `to` if not given. */
  readonly at?: string
  readonly says: RegExp
}

type Row = readonly [name: string, kind: TemplateKind, from: string, to: string, says: RegExp, at?: string]

const rows: readonly Row[] = [
  [
    'backend-dangling',
    'HTTPRoute',
    '- name: cart\n          port: 80\n          weight: 9',
    '- name: carts\n          port: 80\n          weight: 9',
    /spec\.rules\[0\]\.backendRefs\[0\]: refers to Service shop\/carts, which is not declared. Mend: did you mean cart\?/,
  ],
  [
    'backend-without-that-port',
    'HTTPRoute',
    'port: 80\n          weight: 9',
    'port: 8443\n          weight: 9',
    /refers to port 8443 of Service shop\/cart; expected one of 80/,
  ],
  [
    'backend-of-another-kind',
    'HTTPRoute',
    '- name: cart\n          port: 80\n          weight: 9',
    '- name: cart\n          kind: Pod\n          port: 80\n          weight: 9',
    /refers to a Pod; expected a Service/,
  ],
  [
    'weights-of-zero',
    'HTTPRoute',
    '          weight: 9\n        - name: users\n          port: 80\n          weight: 1\n',
    '          weight: 0\n        - name: users\n          port: 80\n          weight: 0\n',
    /all weights are 0/,
    'backendRefs:',
  ],
  ['weight-of-zero-alone', 'TCPRoute', 'weight: 1', 'weight: 0', /all weights are 0/, 'backendRefs:'],
  [
    'parent-dangling',
    'GRPCRoute',
    'name: cart\n  rules',
    'name: nobody\n  rules',
    /spec\.parentRefs\[0\]: refers to Service shop\/nobody/,
    '- group: ""',
  ],
  [
    'mirror-dangling',
    'HTTPRoute',
    'type: RequestHeaderModifier\n          requestHeaderModifier:\n            set:\n              - name: x-a\n                value: a\n',
    'type: RequestMirror\n          requestMirror:\n            backendRef:\n              name: nobody\n              port: 80\n',
    /requestMirror\.backendRef: refers to Service shop\/nobody/,
    'backendRef:',
  ],
  [
    'target-dangling',
    'TrafficPolicy',
    'name: cart',
    'name: nobody',
    /spec\.targetRefs\[0\]: refers to Service shop\/nobody/,
    '- kind: Service',
  ],
  [
    'target-section-dangling',
    'TrafficPolicy',
    '      name: cart\n',
    '      name: cart\n      sectionName: grpc\n',
    /refers to grpc of Service shop\/cart; expected one of/,
    'sectionName: grpc',
  ],
  [
    'workload-target-dangling',
    'MeshTLS',
    '- kind: Namespace',
    '- kind: Workload\n      name: nobody',
    /refers to Workload shop\/nobody/,
  ],
  [
    'upstream-dangling',
    'Workload',
    'name: users',
    'name: nobody',
    /spec\.upstreams\[0\]\.service: refers to Service shop\/nobody/,
    'service:',
  ],
  [
    'certificate-dangling',
    'ExternalService',
    'wellKnownCACertificates: System',
    'caCertificateRefs:\n      - name: nobody',
    /refers to ConfigMap shop\/nobody/,
    '- name: nobody',
  ],
  [
    'slice-of-no-service',
    'EndpointSlice',
    'kubernetes.io/service-name: cart',
    'kubernetes.io/service-name: nobody',
    /refers to Service shop\/nobody/,
  ],
  [
    'name-in-a-circle',
    'Service',
    'type: ClusterIP',
    'type: ExternalName\n  externalName: name-in-a-circle.shop.svc.cluster.local',
    /spec\.externalName: names itself in a circle: shop\/name-in-a-circle -> shop\/name-in-a-circle/,
    'externalName:',
  ],
  [
    'field-unknown',
    'TrafficPolicy',
    '    maxConnections: 100',
    '    maxConections: 100',
    /spec\.circuitBreaker\.maxConections: is no field of TrafficPolicy here, and is ignored; did you mean maxConnections\?/,
  ],
  [
    'field-at-the-wrong-level',
    'AuthorizationPolicy',
    '  action: ALLOW\n',
    '  action: ALLOW\n  methods: [GET]\n',
    /spec\.methods: is no field of AuthorizationPolicy here/,
    'methods:',
  ],
]

export const warningCases: readonly WarningCase[] = rows.map(([name, kind, from, to, says, at]) => ({
  name,
  kind,
  from,
  to,
  says,
  ...(at === undefined ? {} : { at }),
}))
