// Which protocol a port speaks, by the standard names: `appProtocol` first (Kubernetes' and IANA's), then the prefix of the port's
// name as every mesh reads it (`http-web`). Anything else is told by looking at the first bytes.
import type { Protocol } from './model.ts'

const BY_NAME: Readonly<Record<string, Protocol>> = {
  http: 'http',
  'kubernetes.io/ws': 'http',
  ws: 'http',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'http2',
  'grpc-web': 'http',
  https: 'tls',
  tls: 'tls',
  wss: 'tls',
  'kubernetes.io/wss': 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  postgres: 'tcp',
  postgresql: 'tcp',
  redis: 'tcp',
  kafka: 'tcp',
  amqp: 'tcp',
  smtp: 'tcp',
}

export function protocolOf(port: {
  readonly name?: string | undefined
  readonly appProtocol?: string | undefined
}): Protocol {
  if (port.appProtocol !== undefined) return BY_NAME[port.appProtocol.toLowerCase()] ?? 'auto'
  const name = port.name?.toLowerCase() ?? ''
  return BY_NAME[name] ?? (name.startsWith('grpc-web-') ? 'http' : (BY_NAME[name.split('-')[0] ?? ''] ?? 'auto'))
}
