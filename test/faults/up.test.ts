// `heddle up` leaves nothing behind: no process, no network namespace, no file, however it ends.
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { commandOf, diesWithParent, type Exit, ProcessGroup } from '../../src/standalone/processes.ts'
import { ownAddress } from '../support/detached-mesh.ts'
import { checkout } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

/** One that does not want to go, with a child that does not either. */
const stubborn = (address: string): string => `apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: { name: stubborn }
spec:
  address: ${address}
  run: { command: [sh, -c, 'trap "" TERM; (trap "" TERM; sleep 1000) & while :; do sleep 1; done'] }
`

const MARK = 'HEDDLE_TEST_UP'

/** Processes that have this folder in their environment: `heddle up` and everything below it. */
async function processesOf(base: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((entry) => /^[0-9]+$/.test(entry))) {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    if (!environment.split('\0').includes(`${MARK}=${base}`)) continue
    found.push(`${pid} ${(await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ')}`)
  }
  return found
}

async function namespacesOf(pid: number): Promise<readonly string[]> {
  const names = await readdir('/run/netns').catch(() => [])
  return names.filter((name) => name.startsWith(`heddle-${pid}-`))
}

describe.each(isolations)('heddle up in %s', (isolation) => {
  let base: string
  const running = new Set<ProcessGroup>()

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'heddle-up-'))
    // a proxy's own user must reach what is its own
    await chmod(base, 0o711)
    for (const folder of ['mesh', 'run', 'tmp']) await mkdir(join(base, folder), { mode: 0o711 })
    await declare()
  })
  afterEach(async () => {
    for (const group of running) await group.stop(0)
    running.clear()
    for (const line of await processesOf(base)) execFileSync('kill', ['-KILL', line.split(' ')[0] ?? ''])
    await rm(base, { recursive: true, force: true })
  })

  /** Writes the mesh, with more in it. */
  async function declare(more: (address: string) => string = () => ''): Promise<void> {
    const address = (number: number) => (isolation === 'netns' ? `10.244.77.${number}` : ownAddress(number))
    const client = echoWorkload('client', { address: address(1), upstreams: ['server:80'] })
    const server = echoWorkload('server', { address: address(2) })
    const text = documents(client, server, service('server'), more(address(3)))
    await writeFile(join(base, 'mesh', 'mesh.yaml'), text)
  }

  /** Starts it, and resolves once it has printed this. */
  async function up(
    until: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ pid: number; group: ProcessGroup; lines: string[] }> {
    const heddle = [join(checkout, 'bin/heddle'), 'up', join(base, 'mesh'), `--isolation=${isolation}`]
    const options = ['--state-dir', join(base, 'state'), '--http', '127.0.0.1:0']
    const group = await ProcessGroup.start(commandOf([...(await diesWithParent()), ...heddle, ...options]), {
      output: 'pipe',
      env: { ...process.env, XDG_RUNTIME_DIR: join(base, 'run'), TMPDIR: join(base, 'tmp'), [MARK]: base, ...env },
    })
    running.add(group)
    const lines: string[] = []
    const said = Promise.withResolvers<void>()
    for (const stream of [group.child.stdout, group.child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line)
        if (line.includes(until)) said.resolve()
      })
    }
    void group.exited.then(() => said.reject(new Error(`it ended:\n${lines.join('\n')}`)))
    await said.promise
    return { pid: group.pid, group, lines }
  }

  /** To it alone: its children are no part of the terminal's foreground. */
  async function end(group: ProcessGroup, signal: NodeJS.Signals): Promise<Exit> {
    process.kill(group.pid, signal)
    return group.exited
  }

  async function nothingIsLeft(pid: number): Promise<void> {
    await eventually(async () => expect(await processesOf(base)).toEqual([]))
    expect(await namespacesOf(pid)).toEqual([])
    expect(await readdir(join(base, 'run'))).toEqual([])
    expect(await readdir(join(base, 'tmp'))).toEqual([])
    const state = await readdir(join(base, 'state'))
    expect(state.filter((name) => name.startsWith('lock') || name === 'http-address')).toEqual([])
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ended by %s', async (signal) => {
    const { pid, group, lines } = await up('Ctrl-C stops it')
    // itself, two proxies, two applications
    expect((await processesOf(base)).length).toBeGreaterThanOrEqual(5)
    expect((await namespacesOf(pid)).length).toBe(isolation === 'netns' ? 3 : 0)
    expect(await end(group, signal), lines.join('\n')).toEqual({ code: 0, signal: null })
    await nothingIsLeft(pid)
  })

  test('ended with an application that does not want to go', async () => {
    await declare(stubborn)
    const { pid, group } = await up('Ctrl-C stops it')
    expect(await end(group, 'SIGTERM')).toEqual({ code: 0, signal: null })
    await nothingIsLeft(pid)
  })

  test('ended while it starts', async () => {
    const { pid, group, lines } = await up('placed at')
    await end(group, 'SIGINT')
    expect(group.running, lines.join('\n')).toBe(false)
    await nothingIsLeft(pid)
  })

  test('ended while it waits for a proxy that never becomes ready', async () => {
    const envoy = join(base, 'envoy')
    await writeFile(envoy, '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 })
    const { pid, group, lines } = await up('placed at', { ENVOY_BIN: envoy })
    await end(group, 'SIGINT')
    expect(group.running, lines.join('\n')).toBe(false)
    await nothingIsLeft(pid)
  })

  test('killed: its children die with it, and the next start removes the rest', async () => {
    await declare(stubborn)
    const killed = await up('Ctrl-C stops it')
    const [run = ''] = await readdir(join(base, 'run'))
    expect(run).toMatch(new RegExp(`^heddle-${killed.pid}-`))
    await end(killed.group, 'SIGKILL')
    await declare()
    const next = await up('Ctrl-C stops it')
    expect(await readdir(join(base, 'run'))).toEqual([expect.stringMatching(new RegExp(`^heddle-${next.pid}-`))])
    expect(await namespacesOf(killed.pid)).toEqual([])
    const left = (await processesOf(base)).filter((line) => line.includes(run))
    expect(left).toEqual([])
    expect(await end(next.group, 'SIGTERM')).toEqual({ code: 0, signal: null })
    await nothingIsLeft(next.pid)
  })
})
