/** What the stanzas of a policy become in a cluster: pairs of files under `cases/`, and Envoy's opinion of them all. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { trafficPolicyKind } from '../../../../src/api/heddle/traffic-policy.ts'
import { type ConnectionContext, connectionSettings } from '../../../../src/envoy/cluster/policy/connection-settings.ts'
import { testProtos } from '../../../proto/protos.ts'
import { validate } from '../../../support/envoy.ts'
import { goldenTests } from '../../golden.ts'

/** `context` as the function takes it, `policy` the stanzas as people write them. */
const input = z.object({ context: z.record(z.string(), z.unknown()).default({}), policy: z.unknown().default({}) })

function settings(yaml: string) {
  const { context, policy } = input.parse(parse(yaml))
  const { targetRefs: _, ...stanzas } = trafficPolicyKind.schema.parse({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'policy', namespace: 'shop' },
    spec: { targetRefs: [{ kind: 'Service', name: 'cart' }], ...(policy as object) },
  }).spec
  const defaults: ConnectionContext = { http: true, protocol: 'http', hostname: 'cart.shop' }
  return connectionSettings(stanzas, { ...defaults, ...(context as Partial<ConnectionContext>) })
}

describe('connection settings', () => {
  const found = goldenTests(join(import.meta.dirname, 'cases'), settings)

  const clusters = [...found].map(([name, message]) => ({
    name,
    type: 'STATIC' as const,
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          load_balancing_weight: 1,
          lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 1 } } } }],
        },
      ],
    },
    ...message,
  }))

  test('all are messages, encoded as typed', () => {
    const protos = testProtos()
    for (const cluster of clusters)
      expect(protos.encode('envoy.config.cluster.v3.Cluster', cluster).length).toBeGreaterThan(0)
  })

  test('Envoy accepts them all', async () => {
    expect(await validate(JSON.stringify({ static_resources: { clusters } }))).toBeUndefined()
  })
})
