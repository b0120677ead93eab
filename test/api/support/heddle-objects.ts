/** Valid objects that between them have every field of Heddle's own kinds; mutations start from these. */
import type { KindName } from '../../../src/api/index.ts'

const pods = { group: '', kind: 'Pod', selector: { matchLabels: { app: 'reviews' } } }
const selected = {
  group: 'heddle.dev',
  kind: 'Workload',
  selector: {
    matchLabels: { 'example.com/app': 'reviews' },
    matchExpressions: [
      { key: 'version', operator: 'In', values: ['v1'] },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  },
}
const targetRefs = [pods, selected, { kind: 'Workload', name: 'reviews-1' }, { kind: 'Namespace' }, { kind: 'Mesh' }]
const service = { group: '', kind: 'Service', name: 'reviews', sectionName: 'http' }

const sources = [
  { type: 'ServiceAccount', serviceAccount: { namespace: 'shop', name: '*' } },
  { type: 'SPIFFE', spiffe: 'spiffe://cluster.local/ns/shop/*' },
  { type: 'Namespace', namespace: 'shop' },
  { type: 'TrustDomain', trustDomain: 'cluster.local' },
  { type: 'CIDR', cidr: '10.0.0.0/8' },
  { type: 'Authenticated' },
]

const backOff = { baseInterval: '100ms', maxInterval: '2s' }

const stanzas: readonly object[] = [
  {
    loadBalancer: {
      type: 'LeastRequest',
      leastRequest: { choiceCount: 3 },
      slowStart: { window: '30s', aggression: 1.5, minWeightPercent: 5 },
      zoneAware: {
        preferLocal: { minEndpointsThreshold: 3, percentageEnabled: 50.5, force: { minEndpointsInZoneThreshold: 2 } },
        failover: [{ from: 'eu/a', to: 'us' }],
      },
    },
  },
  { loadBalancer: { type: 'RoundRobin', slowStart: { window: '1m' }, zoneAware: {} } },
  { loadBalancer: { type: 'Maglev', consistentHash: { type: 'SourceIP', tableSize: 65_537 } } },
  {
    loadBalancer: {
      type: 'RingHash',
      consistentHash: { type: 'Header', header: { name: 'x-user' }, minimumRingSize: 10, maximumRingSize: 100 },
    },
  },
  {
    loadBalancer: {
      type: 'RingHash',
      consistentHash: {
        type: 'Cookie',
        cookie: { name: 'user', ttl: '1h', path: '/', attributes: [{ name: 'SameSite', value: 'Strict' }] },
      },
    },
  },
  { loadBalancer: { type: 'Maglev', consistentHash: { type: 'QueryParam', queryParam: { name: 'user' } } } },
  {
    timeout: {
      tcp: { connectTimeout: '1s' },
      http: {
        requestTimeout: '10s',
        streamIdleTimeout: '5m',
        maxStreamDuration: '1h',
        connectionIdleTimeout: '1h',
        maxConnectionDuration: '0s',
      },
    },
  },
  {
    retry: {
      numRetries: 3,
      retryOn: { triggers: ['5xx', 'retriable-status-codes'], httpStatusCodes: [500, 503] },
      perRetry: { timeout: '1s', backOff },
      budget: { percent: 12.5, minRetryConcurrency: 5 },
      hostSelection: { avoidPrevious: true, maxAttempts: 5 },
    },
  },
  {
    circuitBreaker: {
      maxConnections: 10,
      maxPendingRequests: 10,
      maxParallelRequests: 10,
      maxParallelRetries: 0,
      maxRequestsPerConnection: 100,
    },
  },
  {
    healthCheck: {
      active: {
        type: 'HTTP',
        timeout: '500ms',
        interval: '5s',
        initialJitter: '1s',
        unhealthyThreshold: 2,
        healthyThreshold: 2,
        http: {
          path: '/healthz',
          method: 'GET',
          hostname: 'reviews',
          expectedStatuses: [200, 204],
          expectedResponse: { type: 'Text', text: 'ok' },
        },
      },
      passive: {
        consecutive5XxErrors: 3,
        consecutiveGatewayErrors: 2,
        splitExternalLocalOriginErrors: true,
        consecutiveLocalOriginFailures: 2,
        interval: '1s',
        baseEjectionTime: '10s',
        maxEjectionTime: '1m',
        maxEjectionPercent: 50,
      },
      panicThreshold: 30,
    },
  },
  {
    healthCheck: {
      active: {
        type: 'TCP',
        tcp: { send: { type: 'Binary', binary: 'cGluZw==' }, receive: { type: 'Binary', binary: 'cG9uZw==' } },
      },
    },
  },
  { healthCheck: { active: { type: 'TCP', tcp: { send: { text: 'ping' }, receive: { text: 'pong' } } } } },
  {
    healthCheck: {
      active: { type: 'HTTP', http: { expectedResponse: { type: 'Binary', binary: 'b2s=' } } },
    },
  },
  { healthCheck: { active: { type: 'GRPC', grpc: { service: 'reviews' } } } },
  {
    tcpKeepalive: { probes: 3, idleTime: '60s', interval: '10s' },
    http2: {
      maxConcurrentStreams: 100,
      initialStreamWindowSize: 65_536,
      initialConnectionWindowSize: 1_048_576,
      keepalive: { interval: '30s', timeout: '5s' },
    },
  },
  {
    rateLimit: {
      local: {
        rules: [
          {
            clientSelectors: [
              {
                headers: [
                  { name: 'x-user', type: 'Exact', value: 'a' },
                  { name: 'x-key', type: 'Distinct' },
                  { name: 'x-re', type: 'RegularExpression', value: 'a.*' },
                ],
                sourceCIDR: '10.0.0.0/8',
              },
              { sourceCIDR: 'fd00::/64' },
            ],
            limit: { requests: 10, unit: 'Second' },
          },
        ],
      },
    },
  },
  {
    faultInjection: {
      delay: { fixedDelay: '2s', percentage: 12.5 },
      abort: { httpStatus: 503, percentage: 10 },
    },
  },
  { faultInjection: { abort: { grpcStatus: 14 } } },
]

const specs: Readonly<Partial<Record<KindName, readonly object[]>>> = {
  Mesh: [
    {
      trustDomain: 'mesh.example',
      addressRanges: ['10.0.0.0/8', 'fd00::/8'],
      serviceRange: '10.97.0.0/16',
      workloadRange: '10.245.0.0/16',
      outbound: { discovery: 'Eager', unknownDestinations: 'Refuse' },
      mtls: {
        mode: 'Strict',
        certificate: { lifetime: '12h' },
        ca: { rootLifetime: '8760h', issuerLifetime: '720h' },
      },
      authorization: { default: 'Deny' },
      envoyPatch: { allowedNamespaces: ['shop', '*'] },
      warmSet: { maxEntries: 10, maxAge: '24h' },
    },
    { mtls: {}, outbound: {}, defaults: {} },
    {
      accessLogs: [
        {
          type: 'File',
          file: { path: '/dev/stderr' },
          format: { type: 'JSON', json: { status: '%RESPONSE_CODE%' } },
          filter: 'response.code >= 400',
          side: 'Inbound',
        },
        {
          type: 'OpenTelemetry',
          openTelemetry: { host: 'collector', port: 4317 },
          format: { text: '%RESPONSE_CODE%' },
        },
      ],
      tracing: {
        provider: { type: 'OpenTelemetry', openTelemetry: { host: 'collector', port: 4317 } },
        samplingPercent: 0.5,
        customTags: [
          { name: 'a', type: 'Literal', literal: { value: 'b' } },
          { name: 'c', type: 'RequestHeader', requestHeader: { name: 'x-user', defaultValue: 'nobody' } },
          { name: 'd', type: 'Environment', environment: { name: 'ZONE', defaultValue: 'none' } },
        ],
      },
    },
    ...stanzas.map((stanza) => ({ defaults: stanza })),
  ],
  Workload: [
    {},
    {
      serviceAccount: 'reviews',
      address: '10.1.2.3',
      locality: { region: 'eu', zone: 'a', subZone: 'rack-1' },
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP', appProtocol: 'http' },
        { name: 'dns', port: 8080, protocol: 'UDP' },
      ],
      weight: 2,
      run: { command: ['node', 'app.ts'], env: [{ name: 'PORT', value: '8080' }], workingDir: 'app' },
      upstreams: [{ service: { kind: 'Service', name: 'ratings', namespace: 'shop', port: 80 }, port: 9080 }],
    },
  ],
  TrafficPolicy: [
    {
      targetRefs: [
        service,
        { kind: 'HTTPRoute', group: 'gateway.networking.k8s.io', name: 'reviews', sectionName: 'all' },
        { kind: 'GRPCRoute', name: 'reviews' },
        { kind: 'ExternalService', group: 'heddle.dev', name: 'payments' },
        { kind: 'Namespace' },
        { kind: 'Mesh', name: 'default' },
      ],
    },
    ...stanzas.map((stanza) => ({ targetRefs: [service], ...stanza })),
  ],
  AuthorizationPolicy: [
    { targetRefs, action: 'ALLOW' },
    {
      targetRefs: [pods],
      action: 'DENY',
      enforcementLevel: 'Application',
      dryRun: true,
      rules: [
        {
          sources,
          notSources: sources,
          networkAttributes: { ports: [80, 81], notPorts: [82] },
        },
        {
          http: {
            methods: ['GET'],
            notMethods: ['PUT'],
            paths: [
              { type: 'Exact', value: '/a' },
              { type: 'RegularExpression', value: '/(a|b)' },
            ],
            notPaths: [{ type: 'PathPrefix', value: '/b' }],
            hosts: ['*.example.com:80'],
            notHosts: ['shop'],
            headers: [
              { name: 'x-a', value: 'b' },
              { name: 'x-b', type: 'Present' },
            ],
            notHeaders: [{ name: 'x-c', type: 'Prefix', value: 'd' }],
          },
        },
      ],
    },
    {
      targetRefs: [pods],
      action: 'ALLOW',
      enforcementLevel: 'Network',
      rules: [{ sources: [] }, { networkAttributes: { ports: [80] } }],
    },
    { targetRefs: [pods], action: 'ALLOW', rules: [{ http: { methods: ['GET'] } }] },
  ],
  MeshTLS: [
    { targetRefs, mode: 'Strict', ports: [{ port: 80, mode: 'Permissive' }] },
    { targetRefs: [pods], mode: 'Permissive' },
    { targetRefs: [pods], ports: [{ port: 80, mode: 'Strict' }] },
  ],
  ExternalService: [
    {
      hosts: ['api.example.com', 'api2.example.com'],
      addresses: ['1.2.3.4'],
      ports: [
        { port: 80, name: 'http', protocol: 'TCP', appProtocol: 'http', targetPort: 443 },
        { port: 443, name: 'tls' },
      ],
      resolution: 'DNS',
      endpoints: [
        { address: 'a.example.com', port: 8443, weight: 2, locality: { region: 'eu', zone: 'a', subZone: '1' } },
      ],
    },
    { hosts: ['a.example.com'], ports: [{ port: 80 }], resolution: 'Static', endpoints: [{ address: '10.1.1.1' }] },
    { hosts: ['a.example.com'], ports: [{ port: 80 }], resolution: 'Static', addresses: ['10.1.1.1', 'fd00::1'] },
    { hosts: ['*.example.com'], ports: [{ port: 443 }], resolution: 'Passthrough' },
    ...[
      { wellKnownCACertificates: 'System', sni: 'a.example.com', minVersion: '1.3', alpnProtocols: ['h2', 'http/1.1'] },
      {
        caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }],
        clientCertificateRef: { group: '', kind: 'Secret', name: 'client' },
      },
      {
        mode: 'Originate',
        caCertificates: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
        subjectAltNames: [
          { type: 'Hostname', hostname: '*.example.com' },
          { type: 'URI', uri: 'spiffe://example.com/api' },
        ],
      },
    ].map((tls) => ({ hosts: ['a.example.com'], ports: [{ port: 80 }], tls })),
  ],
  EnvoyPatch: [
    {
      targetRefs,
      priority: -5,
      patches: [
        {
          type: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
          name: '10.96.0.1:80',
          operation: { op: 'add', path: '/connect_timeout', value: '1s' },
        },
        {
          type: 'type.googleapis.com/envoy.config.listener.v3.Listener',
          operation: { op: 'move', from: '/filter_chains/0', path: '/filter_chains/1' },
        },
        {
          type: 'type.googleapis.com/envoy.config.route.v3.VirtualHost',
          operation: { op: 'remove', path: '/cors' },
        },
      ],
    },
  ],
}

/** Valid objects of one of our own kinds. */
export function heddleObjects(kind: KindName): readonly object[] {
  const metadata = kind === 'Mesh' ? { name: 'default' } : { name: 'one', namespace: 'shop' }
  return (specs[kind] ?? []).map((spec) => ({ apiVersion: 'heddle.dev/v1alpha1', kind, metadata, spec }))
}
