// A state folder that cannot be used: `heddle run` ends with a sentence that says why and how to mend it, and changes nothing.
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ControlPlane } from '../support/control-plane.ts'
import { checkout } from '../support/envoy.ts'
import { service } from '../support/yaml.ts'

let base: string
let directory: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'heddle-state-'))
  directory = join(base, 'mesh')
  await mkdir(directory)
  await writeFile(join(directory, 'server.yaml'), service('server'))
})
afterEach(() => rm(base, { recursive: true }))

/** Runs it to its end. */
function heddle(
  ...args: string[]
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(join(checkout, 'bin/heddle'), args, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr })
    })
  })
}

const run = (stateDirectory: string) =>
  heddle('run', directory, '--state-dir', stateDirectory, '--xds', '127.0.0.1:0', '--http', '127.0.0.1:0')

test('one that others may enter', async () => {
  const state = join(base, 'state')
  await mkdir(state)
  await chmod(state, 0o755)
  const { status, stdout, stderr } = await run(state)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toBe(
    `heddle: the state directory ${state} holds private keys, but its mode 0755 lets other users in: ` +
      `\`chmod 0700 ${state}\`; if others may have read it, remove it, so that new keys are made\n`,
  )
  expect(await readdir(state)).toEqual([])
})

test('one that is no folder', async () => {
  const state = join(base, 'file')
  await writeFile(state, 'mine')
  const { status, stderr } = await run(state)
  expect(status).toBe(1)
  expect(stderr).toBe(`heddle: ${state} cannot be the state directory: a file is in the way\n`)
})

test('one that another control plane uses, for as long as that lives', async () => {
  const state = join(base, 'state')
  await using first = await ControlPlane.start({ directory, stateDirectory: state, xds: '127.0.0.1:0' })
  const { status, stdout, stderr } = await run(state)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toBe(
    `heddle: the state directory ${state} is in use by another control plane (process ${first.pid}): ` +
      'stop that one first, or choose another directory with --state-dir\n',
  )
  // whoever looks or makes a token needs no lock, and the first is none the worse for it
  expect(await heddle('token', directory, 'default/server', '--state-dir', state)).toMatchObject({
    status: 0,
    stderr: '',
  })
  expect(await first.status()).toMatchObject({ ready: true })
  await first.kill()
  await using second = await ControlPlane.start({ directory, stateDirectory: state, xds: '127.0.0.1:0' })
  // the same authority: proxies that trust the first trust this one
  expect(second.bundle).toBe(first.bundle)
})

test('an address that is taken', async () => {
  await using first = await ControlPlane.start({ directory, stateDirectory: join(base, 'one'), xds: '127.0.0.1:0' })
  const port = new URL(first.http).port
  const second = ['run', directory, '--state-dir', join(base, 'two'), '--xds', '127.0.0.1:0']
  const { status, stderr } = await heddle(...second, '--http', `127.0.0.1:${port}`)
  expect(status).toBe(1)
  expect(stderr.split('\n').findLast((line) => line.startsWith('heddle: '))).toContain(`127.0.0.1:${port}`)
})
