// Clusters of collectors that the mesh's settings name: where access logs and spans go.
import type { Settings } from '../mesh/settings.ts'
import type { Message } from '../proto/types.ts'
import { collectorCluster } from './access-log.ts'

export function collectorClusters(settings: Settings): readonly Message<'envoy.config.cluster.v3.Cluster'>[] {
  return collectorCluster(settings)
}
