// Probes on idle connections, so that a peer that vanished without a word is noticed.
import { durationMs } from '../../../api/duration.ts'
import type { TcpKeepalive } from '../../../api/heddle/traffic/connection.ts'
import type { Message } from '../../../proto/types.ts'

type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

/** What is not set is left to the kernel. */
export function tcpKeepalive(keepalive: TcpKeepalive | undefined): Pick<Cluster, 'upstream_connection_options'> {
  if (keepalive === undefined) return {}
  const { probes, idleTime, interval } = keepalive
  return {
    upstream_connection_options: {
      tcp_keepalive: {
        ...(probes !== undefined && { keepalive_probes: probes }),
        ...(idleTime !== undefined && { keepalive_time: seconds(idleTime) }),
        ...(interval !== undefined && { keepalive_interval: seconds(interval) }),
      },
    },
  }
}

/** The kernel counts in whole seconds, from 1 to 32767 (tcp(7)). */
const seconds = (text: string): number => Math.min(32_767, Math.max(1, Math.ceil(durationMs(text) / 1000)))
