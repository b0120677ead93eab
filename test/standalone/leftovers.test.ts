import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { removeLeftoverNamespaces } from '../../src/standalone/isolation/netns.ts'
import { isLeftover, ownedName, RunDirectory } from '../../src/standalone/run-directory.ts'
import { eventually } from '../support/eventually.ts'
import { isolations } from '../support/netns.ts'

const ABANDON = fileURLToPath(new URL('../support/abandon.ts', import.meta.url))
const isRunning = (pid: number) => existsSync(`/proc/${pid}`)

test.each(isolations)('the next run removes what a killed one left in %s', async (kind) => {
  const child = spawn(process.execPath, [ABANDON, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  const { run, path, pids }: { run: string; path: string; pids: readonly number[] } = JSON.parse(String(line))
  expect(pids.filter(isRunning)).toEqual(pids)
  expect(existsSync(path)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')

  await using next = await RunDirectory.create()
  await removeLeftoverNamespaces()
  expect(existsSync(path)).toBe(false)
  expect(existsSync(next.path)).toBe(true)
  await eventually(() => expect(pids.filter(isRunning)).toEqual([]))
  const namespaces = await readdir('/run/netns').catch(() => [])
  expect(namespaces.filter((name) => name.startsWith(run))).toEqual([])
})

test('what runs, and what others made, is no leftover', () => {
  expect(isLeftover(ownedName())).toBe(false)
  expect(isLeftover(`${ownedName()}.hub`)).toBe(false)
  expect(isLeftover('heddle')).toBe(false)
  expect(isLeftover('heddle-1-other')).toBe(false)
  // this process's id, but of a process that started at another time
  expect(isLeftover(`heddle-${process.pid}-1-abcdef.3`)).toBe(true)
})
