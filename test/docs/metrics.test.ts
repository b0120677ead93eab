// docs/metrics.md and the control plane agree: every metric is on the page, and the page has no other.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { startStandalone } from '../../src/standalone.ts'
import { readPage } from './pages.ts'

test('every metric is on its page, with its type and labels, and no other', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'heddle-metrics-'))
  stack.defer(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'mesh.yaml'), '')
  const standalone = stack.use(
    await startStandalone({
      paths: [join(folder, 'mesh.yaml')],
      stateDir: join(folder, 'state'),
      log: pino({ level: 'silent' }),
    }),
  )
  const all = await standalone.registry.getMetricsAsJSON()
  const ofNode = (name: string): boolean => /^heddle_(process|nodejs)_/.test(name)
  const own = all.filter(({ name }) => !ofNode(name)).map(({ name, type }) => `${name} ${String(type)}`)
  const { text } = readPage('docs/metrics.md')
  const rows = [...text.matchAll(/^\| `(heddle_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => `${name} ${type}`)
  expect(rows.toSorted()).toEqual(own.toSorted())
  const named = [...text.matchAll(/heddle_\w+/g)].map(([name]) => name).filter((name) => !name.endsWith('_'))
  const known = new Set(all.map(({ name }) => name))
  expect(named.filter((name) => !known.has(name))).toEqual([])
})
