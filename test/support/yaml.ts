/** Short ways to write the objects that traffic tests are about nothing of. What a test is about, it writes as YAML. */
import { stringify } from 'yaml'
import { fileURLToPath } from 'node:url'

const ECHO = fileURLToPath(new URL('echo.ts', import.meta.url))

export interface EchoOptions {
  readonly namespace?: string
  readonly serviceAccount?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly address?: string
  readonly zone?: string
  readonly env?: Readonly<Record<string, string>>
  /** `KIND:PORT` or `NAME=KIND:PORT`, kinds as in echo.ts; the port's name, which tells its protocol, is else the kind. */
  readonly ports?: readonly string[]
  /** `SERVICE:PORT` or `SERVICE.NAMESPACE:PORT`, for loopback isolation; local ports are given out from 18000 on. */
  readonly upstreams?: readonly string[]
}

interface EchoPort {
  readonly name: string
  readonly kind: string
  readonly port: number
}

function echoPort(text: string): EchoPort {
  const match = /^(?:([a-z0-9-]+)=)?([a-z]+):([0-9]+)$/.exec(text)
  if (match === null) throw new Error(`not an echo port: ${text}`)
  const [, name, kind = '', port] = match
  return { name: name ?? kind, kind, port: Number(port) }
}

/** A Workload that runs the echo server; `labels` are `{ app: name }` if not given. */
export function echoWorkload(name: string, options: EchoOptions = {}): string {
  const { namespace = 'default', labels = { app: name }, zone, address, serviceAccount = name } = options
  const ports = (options.ports ?? ['http:8080']).map(echoPort)
  const upstreams = (options.upstreams ?? []).map((text, index) => {
    const [service = '', port] = text.split(':')
    const [serviceName, serviceNamespace] = service.split('.')
    const elsewhere = serviceNamespace === undefined ? {} : { namespace: serviceNamespace }
    return { service: { name: serviceName, ...elsewhere, port: Number(port) }, port: 18000 + index }
  })
  return stringify({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Workload',
    metadata: { name, namespace, labels },
    spec: {
      serviceAccount,
      ...(address === undefined ? {} : { address }),
      ...(zone === undefined ? {} : { locality: { region: 'region', zone } }),
      ports: ports.map((port) => ({ name: port.name, port: port.port })),
      run: {
        command: [process.execPath, ECHO, ...ports.map(({ kind, port }) => `${kind}:${port}`)],
        env: Object.entries({ INSTANCE: name, ...options.env }).map(([key, value]) => ({ name: key, value })),
      },
      ...(upstreams.length === 0 ? {} : { upstreams }),
    },
  })
}

export interface ServiceOptions {
  readonly namespace?: string
  /** `{ app: name }` if not given. */
  readonly selector?: Readonly<Record<string, string>>
  /** `NAME:PORT` or `NAME:PORT:TARGET`; `http:80:8080` if not given. */
  readonly ports?: readonly string[]
  readonly clusterIP?: string
}

export function service(name: string, options: ServiceOptions = {}): string {
  const { namespace = 'default', selector = { app: name }, clusterIP } = options
  return stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector,
      ...(clusterIP === undefined ? {} : { clusterIP }),
      ports: (options.ports ?? ['http:80:8080']).map((text) => {
        const [portName, port, target = port] = text.split(':')
        return { name: portName, port: Number(port), targetPort: Number(target) }
      }),
    },
  })
}

/** Several documents in one text. */
export const documents = (...texts: readonly string[]): string => texts.join('---\n')
