import { execFileSync } from 'node:child_process'
import {
  appendFile,
  link,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { fileMetrics } from '../../../src/source/files/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { folderWorld, service } from './world.ts'

const json = (name: string): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }] } }, null, '\t')

describe('a change is live', () => {
  test('when a file is written', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    await world.write('a.yaml', service('cart', 81))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 81 }))
  })

  test('when a file is new, also in a folder that is new', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    await world.write('more/deep/b.json', json('b'))
    await eventually(() => expect(Object.keys(world.ports())).toEqual(['shop/cart', 'default/b']))
    await world.write('more/deep/b.json', json('c'))
    await eventually(() => expect(Object.keys(world.ports())).toEqual(['shop/cart', 'default/c']))
  })

  test('when a file is deleted', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart'), 'b.yaml': service('users') })
    await rm(join(world.folder, 'b.yaml'))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80 }))
  })

  test('when a folder is deleted', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart'), 'more/b.yaml': service('users') })
    await rm(join(world.folder, 'more'), { recursive: true })
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80 }))
  })

  test('when an editor puts a new file in its place', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    await world.write('.a.yaml.swp', 'half')
    await world.write('a.yaml~', service('cart', 81))
    await rename(join(world.folder, 'a.yaml~'), join(world.folder, 'a.yaml'))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 81 }))
    expect(world.problems()).toEqual([])
  })

  test('when size and time of modification stay the same', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart', 80) })
    const path = join(world.folder, 'a.yaml')
    await utimes(path, 1000, 1000)
    await world.watch.settled()
    await world.write('a.yaml', service('cart', 81))
    await utimes(path, 1000, 1000)
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 81 }))
  })

  test('when a folder of a ConfigMap is swapped', async () => {
    await using world = await folderWorld({})
    const { folder } = world
    await world.write('..2026_01/a.yaml', service('cart', 80))
    await symlink('..2026_01', join(folder, '..data'))
    await symlink('..data/a.yaml', join(folder, 'a.yaml'))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80 }))
    await world.write('..2026_02/a.yaml', service('cart', 81))
    await symlink('..2026_02', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await rm(join(folder, '..2026_01'), { recursive: true })
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 81 }))
    expect(world.problems()).toEqual([])
  })

  test('when the watched folder itself is a link that is swapped', async () => {
    await using world = await folderWorld({ 'one/a.yaml': service('cart', 80), 'two/a.yaml': service('cart', 81) })
    await symlink('one', join(world.folder, '.current'))
    await using linked = await folderWorld({}, { paths: [join(world.folder, '.current')] })
    expect(linked.ports()).toEqual({ 'shop/cart': 80 })
    await symlink('two', join(world.folder, '.next'))
    await rename(join(world.folder, '.next'), join(world.folder, '.current'))
    await eventually(() => expect(linked.ports()).toEqual({ 'shop/cart': 81 }))
  })

  test('when nothing tells of it but a look at the folder', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') }, { timing: { rescan: 50 } })
    // a file that is reached through a second name elsewhere is changed without an event in the folder
    await using other = await folderWorld({})
    await link(join(world.folder, 'a.yaml'), join(other.folder, 'elsewhere.txt'))
    await writeFile(join(other.folder, 'elsewhere.txt'), service('cart', 81))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 81 }))
  })

  test('in one step for all files that changed together', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    const seen: string[] = []
    using _listener = world.catalog.listen('Service', (key, _before, after) =>
      seen.push(`${key} ${after?.spec.ports?.[0]?.port}`),
    )
    await rename(join(world.folder, 'a.yaml'), join(world.folder, 'b.yaml'))
    await eventually(() => expect(world.catalog.origin('Service', 'shop/cart')?.source).toMatch(/b\.yaml$/))
    expect(seen).toEqual([])
  })

  test('and an unchanged file that is touched changes nothing', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    let changes = 0
    using _listener = world.catalog.listenChanges(() => changes++)
    await utimes(join(world.folder, 'a.yaml'), 1, 1)
    await world.write('a.yaml', `# a comment\n${service('cart')}`)
    await eventually(() => expect(world.catalog.origin('Service', 'shop/cart')?.line).toBe(2))
    expect(changes).toBe(0)
  })
})

describe('a half-written file keeps its last good content, and says so', () => {
  const whole = `${service('cart')}---\n${service('users')}`
  const good = { 'shop/cart': 80, 'shop/users': 80 }

  test.each([
    ['an unfinished map', service('cart', '{81'), /a\.yaml:8:13: error: Service shop\/cart: is no valid YAML: /],
    ['a quote that is not closed', `${service('cart', 81)}x: "`, /a\.yaml:9:\d+: error: Service shop\/cart: .*quote/],
    ['a tab', `${service('cart', 81)}\tx: 1\n`, /a\.yaml:9:1: error: Service shop\/cart: .*indent with spaces/],
    ['nothing', '', /a\.yaml:1:1: error: is empty; .*delete the file/],
    ['blanks', '\n\n', /a\.yaml:1:1: error: is empty; /],
    [
      'the beginning of what it was',
      whole.slice(0, -25),
      /a\.yaml:1:1: error: ends in the middle of a line of what it was; /,
    ],
    ['a byte that is no text', Buffer.from('metadata:\n  name: \xe4\n', 'latin1'), /a\.yaml:2:9: error: .*UTF-8/],
  ])('%s', async (_name, content, problem) => {
    await using world = await folderWorld({ 'a.yaml': whole, 'b.yaml': service('other') })
    await world.write('a.yaml', content)
    await world.write('b.yaml', service('other', 81))
    await eventually(() => expect(world.problems()).toEqual([expect.stringMatching(problem)]))
    await eventually(() => expect(world.ports()).toEqual({ ...good, 'shop/other': 81 }))
    expect(world.problems().join()).toContain('the last good content of the file stays in force')
    await world.write('a.yaml', `${service('cart', 82)}---\n${service('users')}`)
    await eventually(() => expect(world.ports()).toEqual({ ...good, 'shop/cart': 82, 'shop/other': 81 }))
    expect(world.problems()).toEqual([])
  })

  test('written piece by piece', async () => {
    await using world = await folderWorld({ 'a.yaml': whole })
    const seen = new Set<string>()
    using _listener = world.catalog.listen('Service', (key, _before, after) =>
      seen.add(`${key} ${after?.spec.ports?.[0]?.port}`),
    )
    const next = `${service('cart', 8181)}---\n${service('users', 8282)}`
    const file = await open(join(world.folder, 'a.yaml'), 'w')
    for (const character of next) await file.write(character)
    await file.close()
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 8181, 'shop/users': 8282 }))
    expect([...seen].toSorted()).toEqual(['shop/cart 8181', 'shop/users 8282'])
  })

  test('the object that is broken gets the condition', async () => {
    await using world = await folderWorld({ 'a.yaml': whole })
    await world.write('a.yaml', `${service('cart')}---\n${service('users')}   bad: [\n`)
    await eventually(() =>
      expect(world.catalog.conditions('Service', 'shop/users')).toMatchObject({ accepted: false, lastGood: true }),
    )
    expect(world.catalog.conditions('Service', 'shop/cart')).toMatchObject({ accepted: true })
  })

  test('half of a name makes no policy known that would deny', async () => {
    const policy = (name: string): string =>
      `apiVersion: heddle.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata:\n  namespace: shop\n  name: ${name}`
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    await world.write('a.yaml', `${service('cart')}---\n${policy('let')}\n  labels: {`)
    await eventually(() => expect(world.problems()).toHaveLength(1))
    expect(world.catalog.unreadable('AuthorizationPolicy').size).toBe(0)
  })

  test('objects may be removed by hand, the last too', async () => {
    await using world = await folderWorld({ 'a.yaml': whole })
    await truncate(join(world.folder, 'a.yaml'), service('cart').length)
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80 }))
    await world.write('a.yaml', '# nothing here any more\n')
    await eventually(() => expect(world.ports()).toEqual({}))
    expect(world.problems()).toEqual([])
  })

  test('a file that becomes too large', async () => {
    await using world = await folderWorld({ 'a.yaml': whole })
    await appendFile(join(world.folder, 'a.yaml'), `---\n# ${'x'.repeat(5_000_000)}\n`)
    await eventually(() => expect(world.problems()).toHaveLength(3))
    expect(world.problems()[0]).toMatch(
      /^a\.yaml:1:1: error: got a file of \d+ bytes; expected at most 4194304 \(fileBytes\)/,
    )
    expect(world.ports()).toEqual(good)
  })
})

describe('what cannot be looked at keeps its last good content', () => {
  test('a link that leads nowhere', async () => {
    await using world = await folderWorld({ '.hidden/a.yaml': service('cart') })
    await symlink('.hidden/a.yaml', join(world.folder, 'a.yaml'))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80 }))
    await rm(join(world.folder, '.hidden'), { recursive: true })
    await eventually(() =>
      expect(world.problems()).toEqual([
        expect.stringMatching(/^a\.yaml:1:1: error: is not there, or links to what is not/),
      ]),
    )
    expect(world.ports()).toEqual({ 'shop/cart': 80 })
  })

  test('the folder itself', async () => {
    await using world = await folderWorld({ 'in/a.yaml': service('cart') })
    await using inner = await folderWorld({}, { paths: [join(world.folder, 'in')] })
    await rename(join(world.folder, 'in'), join(world.folder, '.away'))
    await eventually(() => expect(inner.catalog.problems()).toHaveLength(1))
    expect(inner.ports()).toEqual({ 'shop/cart': 80 })
    await rename(join(world.folder, '.away'), join(world.folder, 'in'))
    await eventually(() => expect(inner.catalog.problems()).toEqual([]))
    await inner.watch.settled()
    expect(inner.ports()).toEqual({ 'shop/cart': 80 })
  })

  test('a pipe in place of a file', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    await rm(join(world.folder, 'a.yaml'))
    execFileSync('mkfifo', [join(world.folder, 'a.yaml')])
    await eventually(() => expect(world.problems()).toEqual([expect.stringContaining('neither a file nor a folder')]))
    expect(world.ports()).toEqual({ 'shop/cart': 80 })
  })

  test('links in circles are followed once', async () => {
    await using world = await folderWorld({ 'in/a.yaml': service('cart') })
    await symlink('..', join(world.folder, 'in', 'out'))
    await symlink('loop.yaml', join(world.folder, 'loop.yaml'))
    await eventually(() => expect(world.problems()).toEqual([expect.stringMatching(/^loop\.yaml:.*link in a circle/)]))
    expect(world.ports()).toEqual({ 'shop/cart': 80 })
  })

  test('more files than are read', async () => {
    await using world = await folderWorld(
      { 'a.yaml': service('a'), 'b.yaml': service('b'), 'c.yaml': service('c') },
      { limits: { files: 2 } },
    )
    expect(world.ports()).toEqual({ 'shop/a': 80, 'shop/b': 80 })
    expect(world.problems()).toEqual([expect.stringMatching(/^c\.yaml:1:1: error: is one more than 2 files/)])
  })
})

describe('start and stop', () => {
  test('a folder that is not there yet is waited for', async () => {
    await using world = await folderWorld({})
    const missing = join(world.folder, '.later')
    const inner = folderWorld({}, { paths: [missing], timing: { rescan: 50 } })
    await mkdir(missing)
    await writeFile(join(missing, 'a.yaml'), service('cart'))
    await using loaded = await inner
    await eventually(() => expect(loaded.ports()).toEqual({ 'shop/cart': 80 }))
    expect(loaded.catalog.ready).toBe(true)
  })

  test('after the signal nothing changes any more', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart') })
    world.stop.abort()
    await world.write('a.yaml', service('cart', 81))
    await expect(world.watch.settled()).rejects.toThrow(/aborted/)
    expect(world.ports()).toEqual({ 'shop/cart': 80 })
  })

  test('a single file is watched too', async () => {
    await using world = await folderWorld({ 'a.yaml': service('cart'), 'b.yaml': service('users') })
    await using one = await folderWorld({}, { paths: [join(world.folder, 'a.yaml')] })
    expect(one.ports()).toEqual({ 'shop/cart': 80 })
    await world.write('a.yaml', service('cart', 81))
    await eventually(() => expect(one.ports()).toEqual({ 'shop/cart': 81 }))
  })
})

describe('admission', () => {
  test('sees all objects and fills in what they leave open', async () => {
    const counts: number[] = []
    const filled = new WeakMap<object, object>()
    const admit = (objects: readonly unknown[]): unknown[] => {
      counts.push(objects.length)
      return objects.map((object) => {
        const raw = object as { spec: object }
        const known = filled.get(raw) ?? { ...raw, spec: { ...raw.spec, clusterIP: '10.0.0.1' } }
        filled.set(raw, known)
        return known
      })
    }
    await using world = await folderWorld({ 'a.yaml': service('cart'), 'b.yaml': service('users') }, { admit })
    await world.write('b.yaml', service('users', 81))
    await eventually(() => expect(world.ports()).toEqual({ 'shop/cart': 80, 'shop/users': 81 }))
    expect(world.catalog.table('Service').get('shop/cart')?.spec.clusterIP).toBe('10.0.0.1')
    expect(counts).toEqual([2, 2])
  })

  test('that fails once is tried again', async () => {
    let fail = false
    const admit = (objects: readonly unknown[]): readonly unknown[] => {
      if (fail) throw new Error('disk full')
      return objects
    }
    await using world = await folderWorld({ 'a.yaml': service('cart') }, { admit, timing: { rescan: 50 } })
    fail = true
    await world.write('a.yaml', service('cart', 81))
    await world.write('b.yaml', service('users'))
    await rm(join(world.folder, 'a.yaml'))
    expect(await readFile(join(world.folder, 'b.yaml'), 'utf8')).toBe(service('users'))
    fail = false
    await eventually(() => expect(world.ports()).toEqual({ 'shop/users': 80 }))
  })
})

test('metrics', async () => {
  const registry = new Registry()
  await using world = await folderWorld({ 'a.yaml': service('cart') }, { metrics: fileMetrics(registry) })
  await world.write('a.yaml', 'x: [')
  await eventually(async () => {
    const text = await registry.metrics()
    expect(text).toContain('heddle_source_files 1')
    expect(text).toContain('heddle_source_files_held 1')
    expect(text).toContain('heddle_source_refused_total 1')
    expect(text).toMatch(/heddle_source_reload_seconds_count 2/)
  })
})
