// The node that a real Envoy sends with its first request: 61 kB of extension names. Asked of one that starts for that alone.
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { findEnvoy } from '../src/standalone/envoy-process.ts'

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** The serialised Node. */
export async function envoyNode(checkout: string): Promise<Buffer> {
  const first = Promise.withResolvers<Buffer>()
  const server = new Server()
  const same = (bytes: Buffer): Buffer => bytes
  const stream = {
    path: PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
  server.addService(
    { stream },
    {
      stream: (call: { on(event: 'data', heard: (message: Buffer) => void): void }) =>
        call.on('data', (message) => first.resolve(message)),
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const directory = await mkdtemp(join(tmpdir(), 'heddle-node-'))
  const config = join(directory, 'bootstrap.json')
  await writeFile(
    config,
    JSON.stringify({
      node: { id: 'bench', cluster: 'bench' },
      dynamic_resources: {
        ads_config: {
          api_type: 'DELTA_GRPC',
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
        },
        cds_config: { ads: {}, resource_api_version: 'V3' },
      },
      static_resources: {
        clusters: [
          {
            name: 'xds',
            type: 'STATIC',
            typed_extension_protocol_options: {
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
                explicit_http_config: { http2_protocol_options: {} },
              },
            },
            load_assignment: {
              cluster_name: 'xds',
              endpoints: [
                {
                  lb_endpoints: [
                    { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
                  ],
                },
              ],
            },
          },
        ],
      },
    }),
  )
  const envoy = spawn(await findEnvoy(process.env, checkout), [
    '--config-path',
    config,
    '--log-level',
    'off',
    '--disable-hot-restart',
    '--concurrency',
    '1',
  ])
  try {
    const message = await first.promise
    // DeltaDiscoveryRequest.node is field 1, and Envoy writes it first: a tag, a length, the bytes
    let length = 0
    let at = 1
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0
      length |= (byte & 127) << shift
      if (byte < 128) break
    }
    return message.subarray(at, at + length)
  } finally {
    envoy.kill('SIGKILL')
    server.forceShutdown()
    await rm(directory, { recursive: true, force: true })
  }
}
