/**
 * Checks that dependencies point one way: each room of src/ may import the rooms listed for it and no others, and
 * nothing imports in a circle. The table is the design's flow, so a change here is a change of the design.
 *
 * dependency-cruiser reads no TypeScript by itself with the native compiler: without `parser: 'swc'` it sees nothing
 * and is content, hence the count at the end.
 */
import { globSync } from 'node:fs'
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser'

/** From left to right. A source speaks the language of the catalog, which knows no sources. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  net: [],
  api: ['net'],
  engine: [],
  proto: [],
  catalog: ['net', 'api', 'engine'],
  source: ['net', 'api', 'catalog'],
  mesh: ['net', 'api', 'engine', 'catalog'],
  envoy: ['net', 'api', 'engine', 'mesh', 'proto'],
  xds: ['net', 'engine', 'proto'],
  identity: ['net', 'api', 'engine', 'proto'],
  demand: ['net', 'api', 'engine', 'mesh', 'proto', 'envoy', 'xds', 'identity'],
  status: ['net', 'api', 'engine', 'catalog', 'mesh', 'xds'],
  telemetry: ['net', 'api', 'engine', 'catalog', 'mesh', 'xds', 'identity', 'demand', 'status'],
  dashboard: ['net', 'api', 'engine', 'catalog', 'mesh', 'telemetry'],
  inject: ['net', 'api', 'engine', 'mesh', 'identity'],
  standalone: ['net', 'api', 'engine', 'catalog', 'source', 'mesh', 'proto', 'envoy', 'xds', 'identity', 'demand'],
}

const layerRules: readonly IForbiddenRuleType[] = Object.entries(rooms).map(([room, allowed]) => ({
  name: `${room} may import ${allowed.length === 0 ? 'no other room' : allowed.join(', ')}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
}))

const forbidden: IForbiddenRuleType[] = [
  ...layerRules,
  {
    name: 'every room is in the table',
    severity: 'error',
    from: {},
    to: { path: '^src/[^/]+/', pathNot: `^src/(${[...Object.keys(rooms), 'cli'].join('|')})/` },
  },
  {
    name: 'nothing imports the command line',
    severity: 'error',
    from: { pathNot: '^(src/cli/|test/)' },
    to: { path: '^src/cli/' },
  },
  {
    name: 'only the command line starts a composition root',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/(cli/|[^/]+$)' },
    to: { path: '^src/[^/]+$' },
  },
  { name: 'no circles', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
  { name: 'imports exist', severity: 'error', from: {}, to: { couldNotResolve: true } },
  {
    name: 'what is shipped needs only what is shipped',
    severity: 'error',
    from: { path: '^src/' },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'src imports nothing beside it',
    severity: 'error',
    from: { path: '^src/' },
    to: { path: '^(test|scripts|examples|bench)/' },
  },
]

const { output } = await cruise(['src'], {
  parser: 'swc',
  tsPreCompilationDeps: true,
  validate: true,
  ruleSet: { forbidden },
  doNotFollow: { path: '^(node_modules|generated)/' },
  enhancedResolveOptions: {
    extensions: ['.ts', '.js', '.json'],
    exportsFields: ['exports'],
    conditionNames: ['import', 'node'],
  },
})
if (typeof output === 'string') throw new Error('dependency-cruiser gave text')
const { modules, summary }: ICruiseResult = output

for (const { from, to, rule } of summary.violations) process.stderr.write(`${from} -> ${to}: ${rule.name}\n`)
const files = globSync('src/**/*.ts').length
const seen = modules.filter(({ source }) => source.startsWith('src/')).length
const edges = modules.flatMap(({ dependencies }) => dependencies).length
if (seen < files || edges < files) {
  process.stderr.write(`dependency-cruiser saw ${seen} of ${files} files and ${edges} imports: it does not work here\n`)
  process.exitCode = 1
} else if (summary.error > 0) {
  process.exitCode = 1
} else {
  process.stdout.write(`${files} files, ${edges} imports, all in the right direction\n`)
}
