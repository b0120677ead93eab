/** Objects around what a test is about; that itself stays YAML, in flow style. */
import type { TestMesh } from '../support/mesh.ts'

export interface RouteOptions {
  readonly kind?: 'HTTPRoute' | 'GRPCRoute' | 'TCPRoute' | 'TLSRoute'
  /** The Service's name if not given. */
  readonly name?: string
  readonly namespace?: string
  /** More of its parent reference, as `port: 80` or `namespace: default`. */
  readonly parent?: string
  /** More of its spec, as `hostnames: [a.example.com]`. */
  readonly spec?: string
}

/** A route for a Service; `rules` is a YAML list. */
export function route(service: string, rules: string, options: RouteOptions = {}): string {
  const { kind = 'HTTPRoute', name = service, namespace = 'default', parent, spec } = options
  const version = kind === 'TCPRoute' ? 'v1alpha2' : 'v1'
  return `apiVersion: gateway.networking.k8s.io/${version}
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: '', kind: Service, name: ${service}${parent === undefined ? '' : `, ${parent}`} }]
${spec === undefined ? '' : `  ${spec}\n`}  rules:
    ${indented(rules)}
`
}

/** An object of Heddle's; `spec` is YAML. */
export function heddle(kind: string, name: string, spec: string, namespace = 'default'): string {
  const metadata = kind === 'Mesh' ? '{ name: default }' : `{ name: ${name}, namespace: ${namespace} }`
  return `apiVersion: heddle.dev/v1alpha1
kind: ${kind}
metadata: ${metadata}
spec:
    ${indented(spec)}
`
}

const indented = (yaml: string): string => yaml.trim().replaceAll('\n', '\n    ')

/** Writes a file, waits until the control plane has it, and is sure that all in it is valid. */
export async function put(mesh: TestMesh, file: string, ...texts: readonly string[]): Promise<void> {
  const before = mesh.log.length
  await mesh.apply(texts.join('---\n'), `${file}.yaml`)
  await mesh.standalone.settled()
  const warnings = mesh.log.slice(before).filter((line) => line.includes('"level":40'))
  if (warnings.length > 0) throw new Error(`${file}.yaml: ${warnings.join('')}`)
}
