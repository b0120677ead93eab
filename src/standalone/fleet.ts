/** Keeps what runs in line with the catalog: its Workloads, and the names by which they find Services. */
import type { Core } from '../core.ts'
import type { HostEntry, Isolation } from './isolation/isolation.ts'
import type { RunnableWorkload } from './runnable.ts'
import type { Runner } from './runner.ts'

export interface Fleet extends Disposable {
  /** Something besides the catalog has changed: an instance serves now, or no longer. */
  refresh(): void
  /** Resolved when what runs is what the catalog says at the time of the call. */
  settled(): Promise<void>
}

export interface FleetOptions {
  readonly core: Core
  readonly runner: Runner
  readonly isolation: Isolation
  /** The folder of the file that declares a Workload. */
  readonly directoryOf: (key: string) => string
  readonly onError: (error: unknown) => void
}

export function fleet({ core, runner, isolation, directoryOf, onError }: FleetOptions): Fleet {
  const { catalog, mesh } = core
  let turn = Promise.resolve()
  let reconciled = Promise.resolve()
  let due = true
  let disposed = false

  const step = async (before: Promise<void>): Promise<void> => {
    await before
    if (!due || disposed) return
    due = false
    try {
      await isolation.setHosts(hosts())
      // not awaited: a workload that is slow to start, or never is, must not hold back another's change
      reconciled = runner.reconcile(desired()).catch(onError)
    } catch (error) {
      onError(error)
    }
  }
  const bring = (): void => {
    turn = step(turn)
  }

  const desired = (): RunnableWorkload[] =>
    [...catalog.table('Workload').entries()].flatMap(([key, { spec }]) => {
      const workload = mesh.services.workload.get(key)
      if (workload === undefined) return []
      const directory = directoryOf(key)
      const { run } = spec
      return {
        ...workload,
        ...(run && {
          run: {
            command: run.command,
            env: Object.fromEntries(run.env.map(({ name, value }) => [name, value])),
            workingDirectory: run.workingDir === undefined ? directory : `${directory}/${run.workingDir}`,
          },
        }),
      }
    })

  const hosts = (): HostEntry[] => [
    ...[...catalog.table('Service').entries()].flatMap(([key]) => {
      const service = mesh.services.service.get(key)
      if (service === undefined) return []
      // a headless Service is known by its instances
      const addresses =
        service.addresses.length > 0
          ? service.addresses
          : [
              ...new Set(
                service.ports.flatMap(({ port }) =>
                  mesh.services.endpoints.get(`${key}:${port}`).map(({ address }) => address),
                ),
              ),
            ]
      return addresses.length === 0 ? [] : [{ namespace: service.namespace, name: service.name, addresses }]
    }),
    ...[...catalog.table('ExternalService').entries()].flatMap(([, { spec }]) =>
      spec.addresses.length === 0
        ? []
        : spec.hosts.filter((host) => !host.startsWith('*')).map((name) => ({ name, addresses: spec.addresses })),
    ),
  ]

  const mark = (): void => {
    due = true
    // after the batch of changes that this is one of
    setImmediate(bring)
  }
  const listeners = (['Workload', 'Service', 'ExternalService', 'EndpointSlice'] as const).map((kind) =>
    catalog.listen(kind, mark),
  )
  bring()

  return {
    refresh() {
      due = true
      bring()
    },
    async settled() {
      bring()
      for (let seen; seen !== turn;) {
        seen = turn
        await seen
        await reconciled
      }
    },
    [Symbol.dispose]() {
      disposed = true
      for (const listener of listeners) listener[Symbol.dispose]()
    },
  }
}
