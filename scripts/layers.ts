/**
 * Checks that dependencies point one way: each room of src/ may import the rooms listed for it and no others, nothing
 * imports in a circle, and what is shipped needs only packages that are shipped. The table is the design's flow, so a
 * change here is a change of the design.
 *
 * dependency-cruiser would do this, but cannot read it: without TypeScript's old compiler it takes swc's parser, which
 * fails on `using`. Imports are found by their text, which the formatter keeps regular.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { z } from 'zod'

/**
 * From left to right. A source speaks the language of the catalog, which knows no sources; and what a resource is to the
 * xDS server is said in one file, which makers of resources may read.
 */
const flow: Readonly<Record<string, readonly string[]>> = {
  net: [],
  api: ['net'],
  engine: [],
  proto: [],
  catalog: ['net', 'api', 'engine'],
  source: ['net', 'api', 'engine', 'catalog'],
  mesh: ['net', 'api', 'engine', 'catalog'],
  envoy: ['net', 'api', 'engine', 'mesh', 'proto', 'xds/source.ts'],
  xds: ['net', 'engine', 'proto'],
  identity: ['net', 'api', 'engine', 'proto'],
  demand: ['net', 'api', 'engine', 'mesh', 'proto', 'envoy', 'xds', 'identity'],
  'core.ts': ['net', 'api', 'engine', 'catalog', 'mesh', 'proto', 'envoy', 'xds', 'identity', 'demand'],
}

/** What stands on the core; among themselves they may use what comes before them. */
const outside = ['status', 'telemetry', 'dashboard', 'inject', 'standalone']

const rooms: Readonly<Record<string, readonly string[]>> = {
  ...flow,
  ...Object.fromEntries(outside.map((room, index) => [room, [...Object.keys(flow), ...outside.slice(0, index)]])),
  // The composition roots.
  'operator.ts': [...Object.keys(flow), ...outside],
  'standalone.ts': [...Object.keys(flow), ...outside],
  'render.ts': [...Object.keys(flow), ...outside],
  cli: [...Object.keys(flow), ...outside, 'operator.ts', 'standalone.ts', 'render.ts'],
}

interface Import {
  readonly from: string
  /** A path from the project's folder, or a package's name. */
  readonly to: string
}

const importPattern = /^(?:import|export)\s[^'";]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm

const importsOf = (file: string): readonly Import[] =>
  [...readFileSync(file, 'utf8').matchAll(importPattern)].map(([, from, bare, dynamic]) => {
    const specifier = from ?? bare ?? dynamic ?? ''
    return { from: file, to: specifier.startsWith('.') ? join(dirname(file), specifier) : specifier }
  })

/** A folder of src/, or a file in src/ itself. */
const roomOf = (file: string): string => file.split('/')[1] ?? ''

const packageOf = (specifier: string): string => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')

const wrongWay = (from: string, to: string): string | undefined => {
  if (to.startsWith('generated/')) return undefined
  if (!to.startsWith('src/')) return 'src imports nothing beside it'
  const [source, target] = [roomOf(from), roomOf(to)]
  const allowed = rooms[source]
  if (allowed === undefined) return `the room ${source} is not in the table of scripts/layers.ts`
  if (source === target || allowed.includes(target) || allowed.includes(to.slice('src/'.length))) return undefined
  return `${source} may import ${allowed.join(', ') || 'no other room'}`
}

const complaint = ({ from, to }: Import, shipped: ReadonlySet<string>): string | undefined => {
  if (to.startsWith('src/') || to.startsWith('generated/') || /^(\.\.|test|scripts|examples|bench)\//.test(to)) {
    return existsSync(to) ? wrongWay(from, to) : 'there is no such file'
  }
  if (isBuiltin(to)) return to.startsWith('node:') ? undefined : `write node:${to}`
  return shipped.has(packageOf(to)) ? undefined : "the package is not among package.json's dependencies"
}

/** Each circle once, as the files along it. */
const circles = (graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] => {
  const found: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const index = path.indexOf(file)
    if (index >= 0) found.push([...path.slice(index), file])
    if (index >= 0 || done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}

const files = globSync('src/**/*.ts').toSorted()
const imports = files.flatMap(importsOf)
const { dependencies } = z
  .object({ dependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')))
const shipped = new Set(Object.keys(dependencies))

const complaints = [
  ...imports.flatMap((item) => {
    const text = complaint(item, shipped)
    return text === undefined ? [] : [`${item.from} -> ${item.to}: ${text}`]
  }),
  ...circles(new Map(files.map((file) => [file, importsOf(file).map(({ to }) => to)]))).map(
    (path) => `a circle: ${path.join(' -> ')}`,
  ),
]
for (const line of complaints) process.stderr.write(`${line}\n`)
if (imports.length < files.length)
  throw new Error(`only ${imports.length} imports in ${files.length} files: not all are seen`)
if (complaints.length > 0) process.exitCode = 1
else process.stdout.write(`${files.length} files, ${imports.length} imports, all in the right direction\n`)
