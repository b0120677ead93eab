// The runner with real Envoys and applications, under a control plane that has nothing to say.
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Isolation } from '../../src/standalone/isolation/isolation.ts'
import { loopbackIsolation } from '../../src/standalone/isolation/loopback.ts'
import { NetnsIsolation } from '../../src/standalone/isolation/netns.ts'
import { diesWithParent } from '../../src/standalone/processes.ts'
import { RunDirectory } from '../../src/standalone/run-directory.ts'
import type { RunnableWorkload, RunnerEvent } from '../../src/standalone/runnable.ts'
import { Runner } from '../../src/standalone/runner.ts'
import { EmptyAds } from '../support/empty-ads.ts'
import { envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { isolations } from '../support/netns.ts'
import { selfSigned } from '../support/self-signed.ts'

const ECHO = fileURLToPath(new URL('../support/echo.ts', import.meta.url))
const isRunning = (pid: number) => existsSync(`/proc/${pid}`)

describe.each(isolations)('runner in %s', (kind) => {
  const stack = new AsyncDisposableStack()
  const events: RunnerEvent[] = []
  let runner: Runner
  let directory: string
  let run: RunDirectory

  const workload = (name: string, changes: Partial<RunnableWorkload> = {}): RunnableWorkload => ({
    namespace: 'shop',
    name,
    serviceAccount: name,
    addresses: [kind === 'netns' ? `10.244.1.${name.length}` : `127.78.1.${name.length}`],
    locality: { region: '', zone: '', subZone: '' },
    ports: [
      { name: 'http', port: 8080 },
      { name: 'my-admin', port: 8081 },
    ],
    upstreams: [
      { service: 'shop/reviews', servicePort: 80, localPort: 18001 },
      { service: 'other/ratings', servicePort: 81, localPort: 18002 },
    ],
    run: { command: [process.execPath, ECHO, 'http:8080'], env: {}, workingDirectory: directory },
    ...changes,
  })
  const eventsOf = (name: string) => events.filter((event) => event.workload === `shop/${name}`)
  const typesOf = (name: string) =>
    eventsOf(name)
      .map(({ type }) => type)
      .filter((type) => type !== 'output')
  const pidsOf = (name: string) => eventsOf(name).flatMap((event) => (event.type === 'app-started' ? [event.pid] : []))

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'heddle-runner-'))
    stack.defer(() => rm(directory, { recursive: true }))
    const identity = selfSigned('spiffe://cluster.local/ns/heddle-system/sa/heddle')
    run = stack.use(await RunDirectory.create())
    const pipe = join(run.path, 'xds.sock')
    stack.use(await EmptyAds.start(pipe, identity))
    const envoy = await envoyBinary()
    const isolation: Isolation = stack.use(
      kind === 'netns' ? await NetnsIsolation.create({ run, envoy }) : loopbackIsolation(await diesWithParent()),
    )
    const access = () => ({ trustDomain: 'cluster.local', xds: { pipe }, token: 'token', bundle: identity.cert })
    runner = stack.use(
      new Runner({
        isolation,
        run,
        envoy,
        access,
        env: process.env,
        listenPatience: 500,
        onEvent: (event) => events.push(event),
      }),
    )
  })
  afterAll(() => stack.disposeAsync())

  test('the application starts behind a ready proxy, and is told where it is', async () => {
    await runner.reconcile([
      workload('web'),
      workload('second', { run: { command: ['env'], env: { OWN: 'own' }, workingDirectory: directory } }),
    ])
    expect(typesOf('web')).toEqual(['placed', 'proxy-ready', 'app-started', 'failed', 'app-ready'])
    expect(eventsOf('web')).toContainEqual(
      expect.objectContaining({
        type: 'failed',
        reason: 'its application does not listen on 8081, which spec.ports declares',
      }),
    )
    const lines = () => eventsOf('second').flatMap((event) => (event.type === 'output' ? [event.line] : []))
    await eventually(() => expect(lines()).toContain('OWN=own'))
    const host = kind === 'netns' ? '0.0.0.0' : '127.206.1.6'
    expect(lines()).toEqual(
      expect.arrayContaining([`HOST=${host}`, 'PORT=8080', 'PORT_HTTP=8080', 'PORT_MY_ADMIN=8081']),
    )
    const upstreams = lines()
      .filter((line) => line.startsWith('UPSTREAM_'))
      .toSorted()
    expect(new Set(upstreams)).toEqual(
      new Set(
        kind === 'netns'
          ? []
          : [
              'UPSTREAM_RATINGS_OTHER=127.206.1.6:18002',
              'UPSTREAM_RATINGS_OTHER_81=127.206.1.6:18002',
              'UPSTREAM_REVIEWS=127.206.1.6:18001',
              'UPSTREAM_REVIEWS_80=127.206.1.6:18001',
            ],
      ),
    )
  })

  test('an application that ends is started again', async () => {
    await eventually(() => expect(typesOf('second').filter((type) => type === 'app-started').length).toBeGreaterThan(2))
    expect(eventsOf('second')).toContainEqual(
      expect.objectContaining({ type: 'app-exited', reason: 'env ended with status 0' }),
    )
  })

  test('one that is no longer wanted goes, the others stay', async () => {
    const [pid = 0] = pidsOf('web')
    const proxy = runner.proxy('shop/second')?.pid ?? 0
    expect(isRunning(proxy)).toBe(true)
    await runner.reconcile([workload('web')])
    expect(typesOf('second').at(-1)).toBe('stopped')
    expect(isRunning(proxy)).toBe(false)
    expect(isRunning(pid)).toBe(true)
  })

  test('a changed command restarts the application and not the proxy', async () => {
    const [pid = 0] = pidsOf('web')
    const proxy = runner.proxy('shop/web')?.pid
    const changed = workload('web', {
      run: { command: [process.execPath, ECHO, 'http:8080'], env: { A: 'b' }, workingDirectory: directory },
    })
    await runner.reconcile([changed])
    expect(pidsOf('web').length).toBe(2)
    expect(isRunning(pid)).toBe(false)
    expect(runner.proxy('shop/web')?.pid).toBe(proxy)
    await runner.reconcile([changed])
    expect(pidsOf('web').length).toBe(2)
  })

  test('a proxy that is killed is started again', async () => {
    const before = runner.proxy('shop/web')?.pid
    runner.proxy('shop/web')?.kill()
    await eventually(async () => {
      expect(runner.proxy('shop/web')?.pid).not.toBe(before)
      expect(await runner.proxy('shop/web')?.isReady()).toBe(true)
    })
    expect(eventsOf('web')).toContainEqual(
      expect.objectContaining({ type: 'proxy-exited', reason: expect.stringContaining('was ended by SIGKILL') }),
    )
  })

  test('a command that does not exist is told of, and is no harm to others', async () => {
    const missing = workload('missing', {
      run: { command: ['./no-such-program'], env: {}, workingDirectory: directory },
    })
    await runner.reconcile([workload('web'), missing])
    await eventually(() => expect(typesOf('missing')).toContain('app-exited'))
    await runner.reconcile([workload('web')])
  })

  test('nothing is left: not what an application started, nor one that does not want to go', async () => {
    const script = join(directory, 'stubborn.sh')
    await writeFile(script, 'trap "" TERM; sleep 1000 & echo "child $!"; while :; do sleep 1; done\n')
    const stubborn = workload('stubborn', { run: { command: ['sh', script], env: {}, workingDirectory: directory } })
    await runner.reconcile([stubborn])
    const child = await eventually(() => {
      const line = eventsOf('stubborn').find((event) => event.type === 'output' && event.line.startsWith('child'))
      expect(line).toBeDefined()
      return Number(line?.type === 'output' && line.line.split(' ')[1])
    })
    expect(isRunning(child)).toBe(true)
    const pids = [...pidsOf('stubborn'), child, runner.proxy('shop/stubborn')?.pid ?? 0]
    await stack.disposeAsync()
    await eventually(() => expect(pids.filter(isRunning)).toEqual([]))
    expect(existsSync(run.path)).toBe(false)
    const namespaces = await readdir('/run/netns').catch(() => [])
    expect(namespaces.filter((name) => name.startsWith(run.name))).toEqual([])
  })
})
