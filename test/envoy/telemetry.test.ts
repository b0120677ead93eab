/** Access logs and tracing as the mesh's settings ask for them: pairs of files under `cases/telemetry/`, and Envoy's opinion. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { accessLogs, collectorCluster } from '../../src/envoy/access-log.ts'
import { tracing } from '../../src/envoy/tracing.ts'
import { extension } from '../../src/proto/types.ts'
import { testProtos } from '../proto/protos.ts'
import { validate } from '../support/envoy.ts'
import { webListener } from './filters/listeners.ts'
import { goldenTests } from './golden.ts'
import { modelOf } from './model.ts'
import { loopback } from './static-envoy.ts'

const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'

describe('access logs and tracing', () => {
  const found = goldenTests(join(import.meta.dirname, 'cases/telemetry'), (spec) => {
    const indented = spec.replaceAll(/^/gm, '  ')
    const yaml = `apiVersion: heddle.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec:\n${indented}`
    const settings = modelOf(yaml).mesh.settings.get('')
    return {
      inbound: accessLogs(settings, 'Inbound'),
      outbound: accessLogs(settings, 'Outbound'),
      'inbound tcp': accessLogs(settings, 'Inbound', 'TCP'),
      ...tracing(settings),
      clusters: collectorCluster(settings),
    }
  })

  test('all are messages, encoded as typed', () => {
    const protos = testProtos()
    const logs = [...found.values()].flatMap((each) => [...each.inbound, ...each.outbound, ...each['inbound tcp']])
    for (const log of logs) expect(protos.encode('envoy.config.accesslog.v3.AccessLog', log).length).toBeGreaterThan(0)
  })

  test('Envoy accepts them all', async () => {
    const configurations = [...found].map(([name, { inbound, outbound, 'inbound tcp': tcp, clusters, ...traced }]) => ({
      name,
      static_resources: {
        listeners: [
          webListener('inbound', { filters: [], manager: { access_log: inbound, ...traced } }),
          webListener('outbound', { filters: [], manager: { access_log: outbound, ...traced } }),
          {
            name: 'tcp',
            address: loopback(),
            filter_chains: [
              {
                filters: [extension('tcp', TCP_PROXY, { stat_prefix: 'tcp', cluster: 'nowhere', access_log: tcp })],
              },
            ],
          },
        ],
        clusters: [...clusters, { name: 'nowhere', type: 'STATIC', load_assignment: { cluster_name: 'nowhere' } }],
      },
    }))
    for (const { name, ...bootstrap } of configurations)
      expect(await validate(JSON.stringify(bootstrap)), name).toBeUndefined()
  })
})
