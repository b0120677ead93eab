/** A control plane in a process of its own, as people start it: `heddle run`. It can be killed or frozen, and its memory seen. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { diesWithParent, commandOf, ProcessGroup } from '../../src/standalone/processes.ts'
import type { MeshStatus } from '../../src/telemetry/status.ts'
import { checkout } from './envoy.ts'

export interface ControlPlaneOptions {
  readonly directory: string
  readonly stateDirectory: string
  /** `host:port` for proxies. */
  readonly xds: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

export class ControlPlane implements AsyncDisposable {
  readonly #group: ProcessGroup
  /** All that it printed and logged. */
  readonly lines: readonly string[]
  /** `host:port` for proxies. */
  readonly xds: string
  /** Base URL of its API. */
  readonly http: string
  /** Trust bundle of its own certificate, PEM. */
  readonly bundle: string

  private constructor(group: ProcessGroup, lines: readonly string[], xds: string, http: string, bundle: string) {
    this.#group = group
    this.lines = lines
    this.xds = xds
    this.http = http
    this.bundle = bundle
  }

  /** Resolves when it serves; rejects with what it said if it ends instead. */
  static async start({ directory, stateDirectory, xds, env }: ControlPlaneOptions): Promise<ControlPlane> {
    const argv = [join(checkout, 'bin/heddle'), 'run', directory, '--state-dir', stateDirectory]
    const command = commandOf([...(await diesWithParent()), ...argv, '--xds', xds, '--http', '127.0.0.1:0'])
    const group = await ProcessGroup.start(command, { output: 'pipe', env: { ...process.env, ...env } })
    const lines: string[] = []
    const printed = new Map<string, string>()
    const serving = Promise.withResolvers<void>()
    for (const stream of [group.child.stdout, group.child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line)
        const [, name = '', value = ''] = /^(xDS|HTTP|bundle) +(.+)$/.exec(line) ?? []
        printed.set(name, value)
        if (name === 'bundle') serving.resolve()
      })
    }
    void group.exited.then(() => serving.reject(new Error(`the control plane ended:\n${lines.join('\n')}`)))
    await serving.promise
    return new ControlPlane(
      group,
      lines,
      printed.get('xDS') ?? '',
      printed.get('HTTP') ?? '',
      await readFile(printed.get('bundle') ?? '', 'utf8'),
    )
  }

  get pid(): number {
    return this.#group.pid
  }

  async kill(): Promise<void> {
    this.#group.signal('SIGKILL')
    await this.#group.exited
  }

  /** It does nothing more, and closes nothing. */
  freeze(): void {
    this.#group.signal('SIGSTOP')
  }

  thaw(): void {
    this.#group.signal('SIGCONT')
  }

  async status(): Promise<MeshStatus> {
    const response = await fetch(`${this.http}/api/v1/status`)
    return (await response.json()) as MeshStatus
  }

  /** Resident memory, bytes. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]) * 1024
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw()
    await this.#group.stop(5000)
  }
}
