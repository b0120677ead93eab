/** One good object of each kind. Every case of bad input is one of these with something replaced; `NAME` is the case's own name. */

const shop = 'metadata:\n  name: NAME\n  namespace: shop\n'

const heddle = (kind: string, spec: string): string =>
  `apiVersion: heddle.dev/v1alpha1\nkind: ${kind}\n${shop}spec:\n${spec}`
const gateway = (kind: string, rest: string, version = 'v1'): string =>
  `apiVersion: gateway.networking.k8s.io/${version}\nkind: ${kind}\n${shop}spec:\n  parentRefs:\n    - group: ""\n      kind: Service\n      name: cart\n${rest}`

export const templates = {
  Service: `apiVersion: v1
kind: Service
${shop}spec:
  type: ClusterIP
  clusterIP: 10.96.0.10
  selector:
    app: cart
  ports:
    - name: http
      port: 80
      targetPort: 8080
`,
  EndpointSlice: `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
${shop}  labels:
    kubernetes.io/service-name: cart
addressType: IPv4
endpoints:
  - addresses:
      - 10.0.0.1
ports:
  - name: http
    port: 8080
`,
  Secret: `apiVersion: v1
kind: Secret
${shop}type: Opaque
data:
  password: czNjcmV0
`,
  HTTPRoute: gateway(
    'HTTPRoute',
    `  rules:
    - name: first
      matches:
        - path:
            type: PathPrefix
            value: /cart
          headers:
            - type: Exact
              name: x-canary
              value: "yes"
          method: GET
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set:
              - name: x-a
                value: a
      backendRefs:
        - name: cart
          port: 80
          weight: 9
        - name: users
          port: 80
          weight: 1
      timeouts:
        request: 5s
        backendRequest: 1s
      retry:
        codes:
          - 503
        attempts: 2
        backoff: 100ms
    - name: second
      backendRefs:
        - name: users
          port: 80
`,
  ),
  GRPCRoute: gateway(
    'GRPCRoute',
    `  rules:
    - matches:
        - method:
            type: Exact
            service: shop.v1.Cart
            method: Get
      backendRefs:
        - name: cart
          port: 80
`,
  ),
  TCPRoute: gateway(
    'TCPRoute',
    `  rules:
    - backendRefs:
        - name: cart
          port: 80
          weight: 1
`,
  ),
  TLSRoute: gateway(
    'TLSRoute',
    `  hostnames:
    - a.example.com
  rules:
    - backendRefs:
        - name: cart
          port: 80
`,
  ),
  ReferenceGrant: `apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
${shop}spec:
  from:
    - group: gateway.networking.k8s.io
      kind: HTTPRoute
      namespace: other
  to:
    - group: ""
      kind: Service
`,
  Workload: heddle(
    'Workload',
    `  serviceAccount: cart
  address: 10.1.0.1
  weight: 1
  ports:
    - name: http
      port: 8080
  run:
    command:
      - node
      - cart.js
    env:
      - name: PASSWORD
        value: s3cret
  upstreams:
    - port: 18000
      service:
        name: users
        port: 80
`,
  ),
  TrafficPolicy: heddle(
    'TrafficPolicy',
    `  targetRefs:
    - kind: Service
      name: cart
  loadBalancer:
    type: RingHash
    consistentHash:
      type: Header
      header:
        name: x-user
  timeout:
    tcp:
      connectTimeout: 1s
    http:
      requestTimeout: 15s
  retry:
    numRetries: 2
    retryOn:
      triggers:
        - 5xx
        - retriable-status-codes
      httpStatusCodes:
        - 503
    perRetry:
      backOff:
        baseInterval: 100ms
        maxInterval: 1s
    budget:
      percent: 20
  circuitBreaker:
    maxConnections: 100
  healthCheck:
    active:
      type: HTTP
      timeout: 1s
      interval: 3s
      http:
        path: /healthz
    passive:
      baseEjectionTime: 30s
      maxEjectionTime: 60s
  faultInjection:
    abort:
      httpStatus: 503
      percentage: 10
`,
  ),
  AuthorizationPolicy: heddle(
    'AuthorizationPolicy',
    `  targetRefs:
    - kind: Pod
      selector:
        matchLabels:
          app: cart
  action: ALLOW
  dryRun: false
  rules:
    - sources:
        - type: ServiceAccount
          serviceAccount:
            name: web
        - type: CIDR
          cidr: 10.0.0.0/8
        - type: SPIFFE
          spiffe: spiffe://cluster.local/ns/shop/sa/web
      networkAttributes:
        ports:
          - 8080
      http:
        methods:
          - GET
        paths:
          - type: PathPrefix
            value: /cart
        headers:
          - name: x-a
            type: Exact
            value: a
`,
  ),
  MeshTLS: heddle(
    'MeshTLS',
    `  targetRefs:
    - kind: Namespace
  mode: Strict
  ports:
    - port: 8080
      mode: Permissive
`,
  ),
  ExternalService: heddle(
    'ExternalService',
    `  hosts:
    - api.example.com
  ports:
    - port: 443
      name: https
  resolution: DNS
  tls:
    sni: api.example.com
    wellKnownCACertificates: System
`,
  ),
  EnvoyPatch: heddle(
    'EnvoyPatch',
    `  targetRefs:
    - kind: Namespace
  patches:
    - type: type.googleapis.com/envoy.config.cluster.v3.Cluster
      operation:
        op: add
        path: /connect_timeout
        value: 3s
`,
  ),
} as const

export type TemplateKind = keyof typeof templates

/** What every case stands beside: it must be live whatever happens. */
export const beside = (name: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata:\n  name: beside-${name}\n  namespace: shop\nspec:\n  ports:\n    - port: 80\n`
