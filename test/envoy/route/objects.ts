/** Short ways to write what every traffic test of routes needs. */

/** A Service in namespace shop with one port. */
export const service = (name: string, address: string, port = 80, protocol = 'http'): string => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {clusterIP: '${address}', selector: {app: ${name}}, ports: [{name: ${protocol}, port: ${port}}]}
`

/** A route of that name for the Service of that name; `rules` are YAML. */
export const route = (name: string, rules: string, kind = 'HTTPRoute'): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: ${name}}]
  rules:${rules}
`

/** A TrafficPolicy for a target, as `{kind: Service, name: cart}`; `stanzas` are YAML. */
export const policy = (name: string, target: string, stanzas: string): string => `
apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: ${name}, namespace: shop}
spec:
  targetRefs: [${target}]
${stanzas}
`

export const documents = (...texts: readonly string[]): string => texts.join('---\n')
