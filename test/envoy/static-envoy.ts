/** A real Envoy with listeners and clusters in a static configuration. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Message } from '../../src/proto/types.ts'
import { admin } from '../../src/standalone/envoy-process.ts'
import { diesWithParent, ProcessGroup } from '../../src/standalone/processes.ts'
import { envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'

export type Listener = Message<'envoy.config.listener.v3.Listener'>
export type Secret = Message<'envoy.extensions.transport_sockets.tls.v3.Secret'>
export type Cluster = Message<'envoy.config.cluster.v3.Cluster'>

/** An address on loopback; the kernel chooses the port if none is given. */
export const loopback = (port = 0): NonNullable<Listener['address']> => ({
  socket_address: { address: '127.0.0.1', port_value: port },
})

export class StaticEnvoy implements AsyncDisposable {
  readonly #admin: string
  readonly #stack: AsyncDisposableStack
  /** Ports of the listeners, by name. */
  readonly ports: Readonly<Record<string, number>>

  /** What it has written, logs included. */
  readonly output: { readonly text: string }

  private constructor(
    socket: string,
    stack: AsyncDisposableStack,
    ports: Readonly<Record<string, number>>,
    output: { readonly text: string },
  ) {
    this.#admin = socket
    this.#stack = stack
    this.ports = ports
    this.output = output
  }

  /** Ready to serve. Throws Envoy's own words if it does not take the configuration. */
  static async start(
    listeners: readonly Listener[],
    clusters: readonly Cluster[] = [],
    secrets: readonly Secret[] = [],
  ): Promise<StaticEnvoy> {
    await using stack = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'heddle-envoy-'))
    stack.defer(() => rm(directory, { recursive: true, force: true }))
    const socket = join(directory, 'admin.sock')
    const bootstrap: Message<'envoy.config.bootstrap.v3.Bootstrap'> = {
      node: { id: 'test', cluster: 'test' },
      admin: { address: { pipe: { path: socket } } },
      static_resources: { listeners, clusters, secrets },
    }
    const path = join(directory, 'bootstrap.json')
    await writeFile(path, JSON.stringify(bootstrap))
    const envoy = [await envoyBinary(), '--config-path', path, '--disable-hot-restart', '--concurrency', '1']
    const [file, ...args] = [...(await diesWithParent()), ...envoy, '--log-level', 'error']
    const running = await ProcessGroup.start({ file, args }, { output: 'pipe' })
    stack.defer(async () => void (await running.stop(1000)))
    const output = { text: '' }
    for (const stream of [running.child.stdout, running.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output.text += text))
    await eventually(async () => {
      if (!running.running) return
      const { status } = await admin(socket, 'GET', '/ready')
      if (status !== 200) throw new Error(`Envoy is not ready: ${output.text}`)
    })
    if (!running.running) throw new Error(`Envoy ended: ${output.text}`)
    const ports = await portsOf(socket)
    return new StaticEnvoy(socket, stack.move(), ports, output)
  }

  /** Port of a listener. */
  port(listener: string): number {
    const port = this.ports[listener]
    if (port === undefined) throw new Error(`no listener ${listener}`)
    return port
  }

  /** Value of a counter or gauge; 0 if there is none of that name. */
  async stat(name: string): Promise<number> {
    return (await this.stats()).get(name) ?? 0
  }

  async stats(): Promise<ReadonlyMap<string, number>> {
    const { body } = await admin(this.#admin, 'GET', '/stats?type=All&usedonly')
    return new Map(
      body.split('\n').flatMap((line): [string, number][] => {
        const at = line.lastIndexOf(': ')
        return at < 0 ? [] : [[line.slice(0, at), Number(line.slice(at + 2))]]
      }),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

async function portsOf(socket: string): Promise<Record<string, number>> {
  const { body } = await admin(socket, 'GET', '/listeners?format=json')
  const { listener_statuses = [] } = JSON.parse(body) as {
    listener_statuses?: { name: string; local_address: { socket_address?: { port_value: number } } }[]
  }
  return Object.fromEntries(
    listener_statuses.map(({ name, local_address }) => [name, local_address.socket_address?.port_value ?? 0]),
  )
}
