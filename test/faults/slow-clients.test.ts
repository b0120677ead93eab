// Clients that never acknowledge, and clients that do not read: the control plane's memory stays as it is through thousands of
// changes, everybody else is served meanwhile, and once they go on they are sent what is, not all that was.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChannelCredentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/engine/clock.ts'
import { CLUSTER } from '../../src/envoy/names.ts'
import { StateDir } from '../../src/identity/state-dir.ts'
import { JoinTokens } from '../../src/identity/tokens.ts'
import { ControlPlane } from '../support/control-plane.ts'
import type { PeerOptions } from '../support/delta-peer.ts'
import { encodeNode } from '../support/discovery.ts'
import { documents, service } from '../support/yaml.ts'
import { DeltaClient } from '../support/xds-client.ts'

const NAMES = Array.from({ length: 400 }, (_, index) => `10.96.${1 + (index >> 8)}.${index & 255}:80`)
/** Of either kind. */
const BAD_CLIENTS = 40
const ROUNDS_TO_WARM_UP = 20
const ROUNDS = 50
const MB = 1_000_000

const stack = new AsyncDisposableStack()
let base: string
let controlPlane: ControlPlane
let token: string

/** One small file, and every cluster is another: in a round they wait so many seconds for a connection. */
async function write(round: number): Promise<void> {
  const policy = `apiVersion: heddle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: all }
spec: { targetRefs: [{ kind: Namespace }], timeout: { tcp: { connectTimeout: ${1000 + round}ms } } }
`
  await writeFile(join(base, 'policy.yaml'), policy)
  await rename(join(base, 'policy.yaml'), join(base, 'mesh', 'policy.yaml'))
}

const versions = (client: DeltaClient): readonly (string | undefined)[] => {
  const has = client.peer.has(CLUSTER)
  return NAMES.map((name) => has.get(name)?.version)
}

async function connected(answers: NonNullable<PeerOptions['answers']>): Promise<DeltaClient> {
  const client = stack
    .use(
      new DeltaClient({
        address: `127.0.0.1:${controlPlane.xds.split(':').at(-1)}`,
        credentials: ChannelCredentials.createSsl(Buffer.from(controlPlane.bundle)),
        channel: { 'grpc.ssl_target_name_override': 'localhost' },
        token,
        node: encodeNode('client.default'),
        answers,
        keepLog: false,
      }),
    )
    .connect()
  client.peer.subscribe(CLUSTER, ...NAMES)
  // what is held is not looked at yet
  await client.until(() => client.peer.unanswered > 0 || !versions(client).includes(undefined), 'all clusters')
  return client
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'heddle-slow-'))
  stack.defer(() => rm(base, { recursive: true, force: true }))
  await mkdir(join(base, 'mesh'))
  const workload =
    'apiVersion: heddle.dev/v1alpha1\nkind: Workload\nmetadata: { name: client }\nspec: { address: 10.1.1.1 }\n'
  const services = NAMES.map((name, index) => service(`s${index}`, { clusterIP: name.split(':')[0] ?? '' }))
  await writeFile(join(base, 'mesh', 'mesh.yaml'), documents(workload, ...services))
  await write(0)
  const stateDirectory = join(base, 'state')
  controlPlane = stack.use(
    await ControlPlane.start({
      directory: join(base, 'mesh'),
      stateDirectory,
      xds: '127.0.0.1:0',
      // garbage is collected soon, so that what is left is what is kept
      env: { NODE_OPTIONS: '--max-semi-space-size=2 --max-old-space-size=256' },
    }),
  )
  const random = (size: number): Uint8Array => randomBytes(size)
  const stateDir = stack.use(await StateDir.open(stateDirectory, { lock: false, random }))
  const tokens = new JoinTokens({ stateDir, clock: systemClock(), random })
  token = (await tokens.ensure({ namespace: 'default', name: 'client' })).reveal()
})
afterAll(() => stack.disposeAsync())

test('they cost nothing but what was on its way', { timeout: 120_000 }, async () => {
  const good = await connected('at once')
  const mute: DeltaClient[] = []
  const slow: DeltaClient[] = []
  for (let count = 0; count < BAD_CLIENTS; count++) {
    mute.push(await connected('hold'))
    const client = await connected('at once')
    client.pause()
    slow.push(client)
  }
  const metrics = await (await fetch(`${controlPlane.http}/metrics`)).text()
  expect(metrics).toContain(`heddle_xds_streams{protocol="delta"} ${1 + 2 * BAD_CLIENTS}\n`)

  const rounds = async (from: number, to: number): Promise<void> => {
    for (let round = from; round <= to; round++) {
      const old = versions(good)
      await write(round)
      await good.until(() => versions(good).every((version, index) => version !== old[index]), `round ${round}`)
    }
  }
  await rounds(1, ROUNDS_TO_WARM_UP)
  const before = { memory: await controlPlane.memory(), bytes: good.peer.bytes }
  await rounds(ROUNDS_TO_WARM_UP + 1, ROUNDS_TO_WARM_UP + ROUNDS)
  const grown = (await controlPlane.memory()) - before.memory
  const queued = 2 * BAD_CLIENTS * (good.peer.bytes - before.bytes)
  // had it been kept for them, what they were not sent would lie there now
  expect(queued).toBeGreaterThan(500 * MB)
  expect(grown).toBeLessThan(queued / 5)

  // they go on: nobody is sent what is past
  const now = versions(good)
  const isThere = (client: DeltaClient) => versions(client).every((version, index) => version === now[index])
  for (const client of mute) {
    const { bytes } = client.peer
    while (!isThere(client)) {
      await client.until(() => client.peer.unanswered > 0)
      client.peer.answerHeld()
    }
    expect(client.peer.bytes - bytes).toBeLessThan(good.peer.bytes / 10)
  }
  for (const client of slow) {
    client.resume()
    await client.until(() => isThere(client), 'all that is')
    expect(client.peer.bytes).toBeLessThan(good.peer.bytes / 2)
  }
})
