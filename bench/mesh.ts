// The mesh of the bench: services of two ports and five endpoints each, one of which every client uses and which has a route; and a
// Workload for each client, as the identity it connects with.
export interface MeshSize {
  readonly services: number
  readonly clients: number
}

export const HOT = 'svc-0'
export const NAMESPACES = 10

const namespaceOf = (index: number): string => `ns-${index % NAMESPACES}`
const address = (index: number): string => `10.96.${(index >> 8) & 255}.${index & 255}`

export const serviceAddress = (index: number): string => address(index + 1)
export const clientKey = (index: number): string => `${namespaceOf(index)}/client-${index}`

/** Which services a client uses: the one that all use, and nine of its own. */
export function servicesOf(client: number, services: number): readonly number[] {
  const own = Array.from({ length: 9 }, (_, at) => 1 + ((client * 9 + at * 101) % (services - 1)))
  return [0, ...new Set(own)]
}

export function service(index: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `svc-${index}`, namespace: namespaceOf(index) },
    spec: {
      clusterIP: serviceAddress(index),
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'grpc', port: 90, targetPort: 9090 },
      ],
    },
  }
}

/** `turn` changes one endpoint. */
export function slice(index: number, turn = 0): object {
  const instance = (at: number): string => `10.${200 + (index >> 8)}.${index & 255}.${at + 1}`
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `svc-${index}-1`,
      namespace: namespaceOf(index),
      labels: { 'kubernetes.io/service-name': `svc-${index}` },
    },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: 8080 },
      { name: 'grpc', port: 9090 },
    ],
    endpoints: Array.from({ length: 5 }, (_, at) => ({
      addresses: [instance(at === 4 ? 4 + (turn % 200) : at)],
      conditions: { ready: true },
    })),
  }
}

export function route(turn: number): object {
  const { metadata } = service(0) as { metadata: { namespace: string } }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'hot', namespace: metadata.namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: HOT, port: 80 }],
      rules: [
        { matches: [{ headers: [{ name: 'x-turn', value: String(turn) }] }], backendRefs: [{ name: HOT, port: 80 }] },
        { backendRefs: [{ name: HOT, port: 80 }] },
      ],
    },
  }
}

export function workload(index: number): object {
  const [namespace, name] = clientKey(index).split('/')
  return {
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Workload',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      serviceAccount: name,
      address: `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
      ports: [{ name: 'http', port: 8080 }],
    },
  }
}

export function objects({ services, clients }: MeshSize): object[] {
  // the clients' own addresses, which the default ranges do not hold
  const mesh = {
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { addressRanges: ['10.100.0.0/14'] },
  }
  const all: object[] = [mesh, route(0)]
  for (let index = 0; index < services; index++) all.push(service(index), slice(index))
  for (let index = 0; index < clients; index++) all.push(workload(index))
  return all
}
