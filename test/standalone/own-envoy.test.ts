// docs/your-own-envoy.md, followed to the letter: two Envoys that nobody but the reader of that page has set up.
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loopbackHost } from '../../src/standalone/addresses.ts'
import { commandOf, diesWithParent, ProcessGroup } from '../../src/standalone/processes.ts'
import { startStandalone, type Standalone } from '../../src/standalone.ts'
import type { Echo } from '../support/echo.ts'
import { checkout, envoyBinary } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

const stack = new AsyncDisposableStack()
const SERVER = '127.80.0.1'
const CLIENT = '127.80.0.2'

/** The page's script that fills in the templates, for one workload. */
async function script(workload: string): Promise<string> {
  const page = await readFile(join(checkout, 'docs/your-own-envoy.md'), 'utf8')
  const block = [...page.matchAll(/^```sh\n(.*?)^```/gms)]
    .map(([, text]) => text ?? '')
    .find((text) => text.includes('fill()'))
  expect(block).toContain('edge.shop')
  return (block ?? '').replaceAll('edge.shop', `${workload}.default`)
}

async function ownEnvoy(base: string, standalone: Standalone, name: string): Promise<void> {
  const edge = join(base, name)
  await mkdir(edge, { mode: 0o700 })
  await writeFile(join(edge, 'token'), (await standalone.tokens.create({ namespace: 'default', name })).reveal())
  await copyFile(standalone.bundleFile, join(edge, 'bundle.pem'))
  const port = standalone.addresses.xds[0]?.split(':').at(-1)
  const env = { PATH: `${base}:${process.env['PATH']}`, EDGE: edge, XDS_HOST: '127.0.0.1', XDS_PORT: port }
  await promisify(execFile)('sh', ['-euc', await script(name)], { cwd: checkout, env })
  const argv = [
    ...(await diesWithParent()),
    join(base, 'envoy'),
    '-c',
    join(edge, 'envoy.yaml'),
    '--disable-hot-restart',
  ]
  const group = await ProcessGroup.start(commandOf([...argv, '--concurrency', '1', '--log-level', 'error']), {
    output: 'pipe',
  })
  stack.defer(async () => void (await group.stop(5000)))
}

beforeAll(async () => {
  const base = await mkdtemp(join(tmpdir(), 'heddle-own-'))
  stack.defer(() => rm(base, { recursive: true }))
  await symlink(await envoyBinary(), join(base, 'envoy'))
  const mesh = join(base, 'mesh.yaml')
  const server = echoWorkload('server', { address: SERVER })
  await writeFile(
    mesh,
    documents(server, echoWorkload('client', { address: CLIENT, upstreams: ['server:80'] }), service('server')),
  )
  const standalone = stack.use(
    await startStandalone({
      paths: [mesh],
      stateDir: join(base, 'state'),
      log: pino({ level: 'silent' }),
      xds: '127.0.0.1:0',
    }),
  )
  await Promise.all(['server', 'client'].map((name) => ownEnvoy(base, standalone, name)))
  const echo = [
    ...(await diesWithParent()),
    process.execPath,
    join(dirname(import.meta.filename), '../support/echo.ts'),
    'http:8080',
  ]
  const env = { ...process.env, HOST: loopbackHost(SERVER), INSTANCE: 'server' }
  const group = await ProcessGroup.start(commandOf(echo), { output: 'pipe', env })
  stack.defer(async () => void (await group.stop(1000)))
})
afterAll(() => stack.disposeAsync())

test('the two speak mTLS with identities of the mesh', async () => {
  const echo = await eventually(async () => {
    const response = await fetch(`http://${loopbackHost(CLIENT)}:18000/hello`)
    expect(response.status).toBe(200)
    return (await response.json()) as Echo
  })
  expect(echo).toMatchObject({ instance: 'server', path: '/hello' })
  expect(echo.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/default/sa/client')
})
