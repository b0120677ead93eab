/** Authorization policies written as YAML, as they apply to one instance: `shop/cart`, with the label `app: cart`. */
import type { Authorization } from '../../../src/mesh/authorization.ts'
import { modelOf } from '../model.ts'

const WORKLOAD = `
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {serviceAccount: cart, address: 10.244.0.1, ports: [{port: 8080, name: http}, {port: 9000, name: tcp}]}
`

export function authorizationOf(yaml: string, { broken = false } = {}): Authorization {
  const { mesh } = modelOf(`${WORKLOAD}---\n${yaml}`, { broken })
  return mesh.authorization.get('shop/cart')
}

/** A policy in `shop` on all of its instances; `rules` as flow YAML. */
export function policy(name: string, action: 'ALLOW' | 'DENY', rules: string, { dryRun = false } = {}): string {
  return `
apiVersion: heddle.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: shop}
spec: {targetRefs: [{kind: Pod, selector: {}}], action: ${action}, dryRun: ${dryRun}, rules: ${rules}}
---`
}
