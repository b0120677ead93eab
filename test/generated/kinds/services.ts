/** Services, what stands behind them, and hosts outside. */
import fc from 'fast-check'
import {
  aHost,
  aLocality,
  aName,
  anAccount,
  anAppProtocol,
  aNamespace,
  anInstance,
  anIPv4,
  anIPv6,
  aPort,
  aReferred,
  aService,
  distinct,
  few,
  labelsOf,
  objectOf,
  type Raw,
  some,
} from './names.ts'

const portName = fc.constantFrom('http', 'http-alt', 'grpc', 'http2-api', 'tcp-db', 'tls-in', 'web', 'mongo')

const servicePort = fc
  .record({
    name: portName,
    port: aPort,
    rest: some({
      targetPort: fc.oneof<fc.Arbitrary<number | string>[]>(aPort, portName),
      protocol: fc.constantFrom('TCP', 'TCP', 'TCP', 'UDP', 'SCTP'),
      appProtocol: anAppProtocol,
    }),
  })
  .map(({ rest, ...port }) => ({ ...port, ...rest }))

/** Unique both by name and by number and protocol, as the API server has it. */
const servicePorts = (least: number): fc.Arbitrary<object[]> =>
  distinct(servicePort, ({ port }) => port, 3, least).map((ports) => {
    const named = ports.filter(({ name }, at) => ports.findIndex((other) => other.name === name) === at)
    const [first] = named
    return named.length === 1 && first !== undefined && first.name === 'web' ? [{ ...first, name: undefined }] : named
  })

const addresses = fc.oneof(
  { weight: 6, arbitrary: anIPv4.map((clusterIP) => ({ clusterIP })) },
  { weight: 2, arbitrary: anIPv6.map((clusterIP) => ({ clusterIP })) },
  { weight: 2, arbitrary: fc.tuple(anIPv4, anIPv6).map((clusterIPs) => ({ clusterIP: clusterIPs[0], clusterIPs })) },
  { weight: 1, arbitrary: fc.constant({ clusterIP: 'None' }) },
  { weight: 1, arbitrary: fc.constant({}) },
)

export const service: fc.Arbitrary<Raw> = objectOf(
  'v1',
  'Service',
  aService,
  fc
    .record({
      addresses,
      ports: servicePorts(1),
      rest: some({
        selector: labelsOf,
        publishNotReadyAddresses: fc.boolean(),
        sessionAffinity: fc.constantFrom('None', 'ClientIP'),
        sessionAffinityConfig: fc.constant({ clientIP: { timeoutSeconds: 30 } }),
      }),
      outside: fc.integer({ min: 0, max: 15 }),
    })
    .map(({ addresses: own, ports, rest, outside }) => ({
      spec:
        outside === 0 ? { type: 'ExternalName', externalName: 'www.example.com', ports } : { ...own, ports, ...rest },
    })),
)

const sliceAddress = {
  IPv4: anInstance.filter((text) => !text.includes(':')),
  IPv6: fc.constantFrom('fd01::1', 'fd01::2', '::ffff:10.0.0.9', '::1'),
}

export const endpointSlice: fc.Arbitrary<Raw> = fc
  .constantFrom('IPv4' as const, 'IPv4' as const, 'IPv6' as const)
  .chain((addressType) =>
    objectOf(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      fc.constantFrom('web-1', 'cart-1', 'db-1'),
      fc.record({
        addressType: fc.constant(addressType),
        endpoints: few(
          fc
            .record({
              addresses: few(sliceAddress[addressType], 2, 1),
              rest: some({
                conditions: some({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() }),
                zone: fc.constantFrom('a', 'b'),
                nodeName: fc.constant('node-1'),
              }),
            })
            .map(({ addresses: own, rest }) => ({ addresses: own, ...rest })),
          4,
        ),
        ports: distinct(
          fc
            .record({
              name: fc.oneof(portName, fc.constant('')),
              rest: some({ port: aPort, appProtocol: anAppProtocol }),
            })
            .map(({ name, rest }) => ({ name, ...rest })),
          ({ name }) => name,
        ),
      }),
      some({ labels: aService.map((name) => ({ 'kubernetes.io/service-name': name })) }),
    ),
  )

const workloadPort = fc
  .record({
    port: aPort,
    name: portName,
    rest: some({ protocol: fc.constantFrom('TCP', 'TCP', 'UDP'), appProtocol: anAppProtocol }),
  })
  .map(({ rest, ...port }) => ({ ...port, ...rest }))

const workloadPorts = distinct(workloadPort, ({ port }) => port, 4).map((ports) =>
  ports.filter(({ name }, at) => ports.findIndex((other) => other.name === name) === at),
)

const upstreams = distinct(
  fc.record({
    port: fc.constantFrom(7001, 7002, 7003),
    service: fc
      .record({ name: aReferred, port: aPort, rest: some({ namespace: aNamespace }) })
      .map(({ rest, ...own }) => ({ ...own, ...rest })),
  }),
  ({ port }) => port,
  2,
)

/** What may differ between two versions of one Workload without its proxy becoming another. */
const workloadBody = fc
  .record({ ports: workloadPorts, upstreams })
  .chain((body) => some({ weight: fc.integer({ min: 0, max: 3 }) }).map((rest) => ({ ...body, ...rest })))

export const workload: fc.Arbitrary<Raw> = objectOf(
  'heddle.dev/v1alpha1',
  'Workload',
  fc.constantFrom('w1', 'w2', 'w3', 'w4'),
  fc
    .record({ body: workloadBody, rest: some({ address: anInstance, serviceAccount: anAccount, locality: aLocality }) })
    .map(({ body, rest }) => ({ spec: { ...body, ...rest } })),
  some({
    labels: labelsOf,
    annotations: fc.constantFrom({}, { 'proxy.heddle.dev/interception': 'none' }),
  }),
)

/** The Workload of a proxy that is connected all the time: what makes up its view stays as it is. */
export function anchor(spec: {
  readonly name: string
  readonly namespace: string
  readonly address: string
  readonly serviceAccount: string
  readonly locality: object
}): fc.Arbitrary<Raw> {
  const { name, namespace, ...own } = spec
  return fc.record({ body: workloadBody, labels: labelsOf }).map(({ body, labels }) => ({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Workload',
    metadata: { name, namespace, labels },
    spec: { ...body, ...own },
  }))
}

const trust = (pem: string): fc.Arbitrary<object> =>
  fc.oneof<fc.Arbitrary<object>[]>(
    fc.constant({ wellKnownCACertificates: 'System' }),
    fc.constant({ caCertificates: pem }),
    fc.constantFrom('ConfigMap', 'Secret').map((kind) => ({ caCertificateRefs: [{ kind, name: 'ca' }] })),
    fc.constant({ caCertificateRefs: [{ name: 'nobody' }, { name: 'ca' }] }),
  )

const originated = (pem: string): fc.Arbitrary<object> =>
  fc
    .record({
      trust: trust(pem),
      rest: some({
        sni: aName,
        minVersion: fc.constantFrom('1.2', '1.3'),
        alpnProtocols: fc.subarray(['h2', 'http/1.1', 'a/b']),
        subjectAltNames: few(
          fc.oneof<fc.Arbitrary<object>[]>(
            aHost.map((hostname) => ({ type: 'Hostname', hostname })),
            fc.constant({ type: 'URI', uri: 'spiffe://example.com/api' }),
          ),
          2,
          1,
        ),
      }),
      // rarely: one that is not there or not granted holds a state-of-the-world client up for a second
      client: fc.oneof(
        { weight: 12, arbitrary: fc.constant(undefined) },
        { weight: 2, arbitrary: fc.constant('client') },
        { weight: 1, arbitrary: fc.constant('nobody') },
      ),
    })
    .map(({ trust: own, rest, client }) => ({
      ...own,
      ...rest,
      ...(client !== undefined && { clientCertificateRef: { name: client } }),
    }))

const endpoint = (address: fc.Arbitrary<string>): fc.Arbitrary<object> =>
  fc
    .record({ address, rest: some({ port: aPort, weight: fc.constantFrom(0, 1, 2, 1_000_000), locality: aLocality }) })
    .map(({ address: own, rest }) => ({ address: own, ...rest }))

const resolved = fc.oneof<fc.Arbitrary<object>[]>(
  fc.record({
    resolution: fc.constant('Static'),
    hosts: distinct(aHost, String, 3, 1),
    endpoints: few(endpoint(anInstance), 3, 1),
    addresses: distinct(anInstance, String, 2),
  }),
  fc.record({
    resolution: fc.constant('Static'),
    hosts: distinct(aHost, String, 3, 1),
    addresses: distinct(fc.oneof(anInstance, anIPv4), String, 2, 1),
  }),
  fc.record({
    resolution: fc.constant('DNS'),
    hosts: distinct(aName, String, 3, 1),
    addresses: distinct(anInstance, String, 2),
  }),
  fc.record({
    hosts: distinct(aHost, String, 3, 1),
    endpoints: few(endpoint(fc.oneof(aName, anInstance)), 3, 1),
  }),
  fc.record({
    resolution: fc.constant('Passthrough'),
    hosts: distinct(aHost, String, 3, 1),
    addresses: distinct(anInstance, String, 1),
  }),
)

export const externalService = (pem: string): fc.Arbitrary<Raw> =>
  objectOf(
    'heddle.dev/v1alpha1',
    'ExternalService',
    fc.constantFrom('payments', 'mail', 'maps'),
    fc
      .record({
        resolved,
        ports: distinct(
          fc
            .record({ port: aPort, rest: some({ name: portName, appProtocol: anAppProtocol, targetPort: aPort }) })
            .map(({ port, rest }) => ({ port, ...rest })),
          ({ port }) => port,
          3,
          1,
        ),
        rest: some({ tls: originated(pem) }),
      })
      .map(({ resolved: own, ports, rest }) => ({ spec: { ...own, ports, ...rest } })),
  )

export const namespace: fc.Arbitrary<Raw> = fc
  .record({
    name: aNamespace,
    annotations: fc.constantFrom({}, { 'heddle.dev/discovery': 'Eager' }, { 'heddle.dev/discovery': 'OnDemand' }),
  })
  .map(({ name, annotations }) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } }))

export const secret = (pair: { readonly chain: string; readonly key: string }, pem: string): fc.Arbitrary<Raw> => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  return fc.oneof(
    objectOf(
      'v1',
      'Secret',
      fc.constant('client'),
      fc.constant({ type: 'kubernetes.io/tls', data: { 'tls.crt': base64(pair.chain), 'tls.key': base64(pair.key) } }),
    ),
    objectOf('v1', 'Secret', fc.constant('ca'), fc.constantFrom({ stringData: { 'ca.crt': pem } }, { data: {} })),
    objectOf('v1', 'ConfigMap', fc.constant('ca'), fc.constantFrom({ data: { 'ca.crt': pem } }, {})),
  )
}

export const referenceGrant: fc.Arbitrary<Raw> = objectOf(
  'gateway.networking.k8s.io/v1',
  'ReferenceGrant',
  fc.constantFrom('grant-1', 'grant-2'),
  fc
    .record({
      kind: fc.constantFrom('HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'),
      from: aNamespace,
      to: fc.constantFrom<object[]>(
        [{ group: '', kind: 'Service' }],
        [{ group: '', kind: 'Service', name: 'web' }],
        [{ group: '', kind: 'Secret' }],
      ),
      outside: fc.boolean(),
    })
    .map(({ kind, from, to, outside }) => ({
      spec: {
        from: [
          outside
            ? { group: 'heddle.dev', kind: 'ExternalService', namespace: from }
            : { group: 'gateway.networking.k8s.io', kind, namespace: from },
        ],
        to,
      },
    })),
)

export const serviceAccount: fc.Arbitrary<Raw> = objectOf('v1', 'ServiceAccount', anAccount, fc.constant({}))
