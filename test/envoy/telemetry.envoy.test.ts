/** What a real Envoy logs and traces, to its output and to a collector. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import grpc from '@grpc/grpc-js'
import { accessLogs, collectorCluster } from '../../src/envoy/access-log.ts'
import { HTTP_RBAC_ALLOW, HTTP_RBAC_DENY, httpRbac, httpRbacFilters } from '../../src/envoy/filters/rbac.ts'
import { tracing } from '../../src/envoy/tracing.ts'
import type { Settings } from '../../src/mesh/settings.ts'
import { any } from '../../src/proto/types.ts'
import { eventually } from '../support/eventually.ts'
import { send, statuses } from './client.ts'
import { authorizationOf, policy } from './filters/authorized.ts'
import { webListener } from './filters/listeners.ts'
import { authority, idOf, TRUST_DOMAIN } from './identities.ts'
import { modelOf } from './model.ts'
import { StaticEnvoy } from './static-envoy.ts'

let stack: AsyncDisposableStack
beforeEach(() => void (stack = new AsyncDisposableStack()))
afterEach(() => stack.disposeAsync())

/** Settings of a mesh, its `spec` as flow YAML. */
const settingsOf = (spec: string): Settings =>
  modelOf(`{apiVersion: heddle.dev/v1alpha1, kind: Mesh, metadata: {name: default}, spec: ${spec}}`).mesh.settings.get(
    '',
  )

async function inbound(settings: Settings, policies = '', issue = authority()): Promise<StaticEnvoy> {
  const perRoute = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute'
  const { deny, allow } = httpRbac(authorizationOf(policies), { trustDomain: TRUST_DOMAIN })
  const listener = webListener('inbound', {
    filters: httpRbacFilters(),
    work: { [HTTP_RBAC_DENY]: any(perRoute, { rbac: deny }), [HTTP_RBAC_ALLOW]: any(perRoute, { rbac: allow }) },
    tls: issue(idOf('shop/cart')),
    manager: { access_log: accessLogs(settings, 'Inbound'), ...tracing(settings) },
  })
  return stack.use(await StaticEnvoy.start([listener], collectorCluster(settings)))
}

/** Entries that Envoy has written as JSON. */
const entries = (envoy: StaticEnvoy): Record<string, unknown>[] =>
  envoy.output.text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('access logs', () => {
  test('say who asked for what, and what a dry run would have refused', async () => {
    const issue = authority()
    const envoy = await inbound(
      settingsOf('{accessLogs: [{type: File, format: {type: JSON}}]}'),
      policy('deletes', 'DENY', '[{http: {methods: [DELETE]}}]', { dryRun: true }) +
        policy('nobody', 'ALLOW', '[]', { dryRun: true }),
      issue,
    )
    const as = issue(idOf('shop/web'))
    await send(envoy.port('inbound'), { as, method: 'DELETE', path: '/cart/7?token=secret' })
    await eventually(() => expect(entries(envoy)).toHaveLength(1))
    expect(entries(envoy)).toMatchObject([
      {
        side: 'inbound',
        source: idOf('shop/web'),
        destination: idOf('shop/cart'),
        method: 'DELETE',
        path: '/cart/7',
        status: 200,
        dry_run_deny: 'shop/deletes[0]',
        dry_run_allow: 'denied',
        duration_ms: expect.any(Number) as unknown,
      },
    ])
    expect(envoy.output.text).not.toContain('secret')
  })

  test('say which rule refused', async () => {
    const issue = authority()
    const envoy = await inbound(
      settingsOf('{accessLogs: [{type: File}]}'),
      policy('deletes', 'DENY', '[{}, {}]'),
      issue,
    )
    await send(envoy.port('inbound'), { as: issue(idOf('shop/web')) })
    await eventually(() => expect(envoy.output.text).toContain('status=403'))
    expect(envoy.output.text).toContain(`source=${idOf('shop/web')} `)
    expect(envoy.output.text).toContain('details="rbac_access_denied_matched_policy[shop/deletes[0]]"')
  })

  test('only what the filter lets pass', async () => {
    const issue = authority()
    const envoy = await inbound(
      settingsOf(
        "{accessLogs: [{type: File, format: {text: 'status is %RESPONSE_CODE%'}, filter: 'response.code >= 400'}]}",
      ),
      policy('deletes', 'DENY', '[{http: {methods: [DELETE]}}]'),
      issue,
    )
    const as = issue(idOf('shop/web'))
    await send(envoy.port('inbound'), { as })
    await send(envoy.port('inbound'), { as, method: 'DELETE' })
    await eventually(() => expect(envoy.output.text).toContain('status is 403\n'))
    expect(envoy.output.text).not.toContain('status is 200')
  })
})

/** A collector that keeps what is exported to it, as bytes. */
async function collector(): Promise<{ readonly port: number; readonly received: Record<'logs' | 'spans', string> }> {
  const received = { logs: '', spans: '' }
  const method = (path: string, into: keyof typeof received): grpc.ServiceDefinition => ({
    Export: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => {
        received[into] += value.toString('latin1')
        return value
      },
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  })
  const server = new grpc.Server()
  const answer: grpc.handleUnaryCall<Buffer, Buffer> = (_, callback) => callback(null, Buffer.alloc(0))
  server.addService(method('/opentelemetry.proto.collector.logs.v1.LogsService/Export', 'logs'), { Export: answer })
  server.addService(method('/opentelemetry.proto.collector.trace.v1.TraceService/Export', 'spans'), { Export: answer })
  stack.defer(() => server.forceShutdown())
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return { port, received }
}

test('a collector receives entries and spans', async () => {
  const { port, received } = await collector()
  const issue = authority()
  const at = `{host: localhost, port: ${port}}`
  const envoy = await inbound(
    settingsOf(
      `{accessLogs: [{type: OpenTelemetry, openTelemetry: ${at}, format: {type: JSON, json: {asked: '%REQ(:METHOD)% %PATH(NQ)%'}}}],
        tracing: {provider: {openTelemetry: ${at}}, samplingPercent: 100,
          customTags: [{name: mesh, type: Literal, literal: {value: demo-mesh}}, {name: tenant, type: RequestHeader, requestHeader: {name: x-tenant}}]}}`,
    ),
    '',
    issue,
  )
  const as = issue(idOf('shop/web'))
  const headers = { 'x-tenant': 'acme-tenant' }
  // spans are sent by fives, or after some seconds
  expect(await statuses(5, envoy.port('inbound'), { as, headers, path: '/cart' })).toEqual([200, 200, 200, 200, 200])
  await eventually(() => {
    expect(received.logs).toContain('GET /cart')
    expect(received.spans).toContain('acme-tenant')
  })
  expect(received.spans).toContain('demo-mesh')
  expect(received.spans).toContain('heddle-proxy')
  expect(received.spans).toContain('node_id')
})

test('a trace that the client began goes on', async () => {
  const { port, received } = await collector()
  const issue = authority()
  const envoy = await inbound(
    settingsOf(`{tracing: {provider: {openTelemetry: {host: 127.0.0.1, port: ${port}}}, samplingPercent: 0}}`),
    '',
    issue,
  )
  const as = issue(idOf('shop/web'))
  const trace = '0af7651916cd43dd8448eb211c80319c'
  await statuses(5, envoy.port('inbound'), { as, headers: { 'x-not': 'sampled' } })
  await statuses(5, envoy.port('inbound'), { as, headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } })
  await eventually(() => expect(received.spans).toContain(Buffer.from(trace, 'hex').toString('latin1')))
  expect(received.spans.split(Buffer.from(trace, 'hex').toString('latin1'))).toHaveLength(6)
})
