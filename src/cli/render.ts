// `heddle render`: the exact Envoy configuration of a workload, without running anything. What is wrong with the files goes to the
// standard error, as `heddle validate` writes it; the configuration is what a proxy would be sent nevertheless.
import { access, readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import { problemLine } from '../catalog/problems.ts'
import { buildCore, type Core } from '../core.ts'
import { systemClock } from '../engine/clock.ts'
import type { View } from '../envoy/view.ts'
import { redact } from '../identity/redact.ts'
import { descriptorFile, loadProtos } from '../proto/encode.ts'
import { render } from '../render.ts'
import { loadFolders } from '../source/files/watch-folders.ts'
import { AddressAllocator, LOOPBACK_WORKLOADS } from '../standalone/addresses.ts'
import { createAdmit, rangesOf } from '../standalone/admit.ts'
import { viewOf } from '../standalone/views.ts'

interface Options {
  readonly workload: string
  readonly isolation: 'netns' | 'loopback'
  readonly stateOfTheWorld?: boolean
  readonly dial: readonly string[]
  readonly output: 'yaml' | 'json'
}

export function renderCommand(): Command {
  return new Command('render')
    .summary('print the Envoy configuration of a workload')
    .description('Prints what the Envoy of a workload is sent if it uses all that it can see. Nothing runs.')
    .argument('<dir>', 'folder (or file) of YAML')
    .requiredOption('--workload <name>', 'the Workload: name, or namespace/name')
    .addOption(
      new Option('--isolation <kind>', 'how connections reach the proxy')
        .choices(['netns', 'loopback'])
        .default('netns'),
    )
    .option('--state-of-the-world', 'as for a client that does not speak delta')
    .option(
      '--dial <address:port...>',
      'what the application dials besides Services, as an instance of a headless one',
      [],
    )
    .addOption(new Option('-o, --output <format>', 'format').choices(['yaml', 'json']).default('yaml'))
    .addHelpText(
      'after',
      '\nExamples:\n  heddle render examples/shop/mesh --workload web\n' +
        "  heddle render examples/shop/mesh --workload web -o json | jq '.virtual_hosts[].routes'\n",
    )
    .action(async (path: string, options: Options) => {
      try {
        await access(path)
      } catch {
        throw new Error(`${path} is not there or may not be read`)
      }
      using core = await load(path, options.isolation)
      for (const problem of core.catalog.problems())
        if (problem.severity === 'error') process.stderr.write(`${problemLine(problem)}\n`)
      const rendered = redact(render(core, viewFor(core, path, options), { destinations: options.dial }))
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(rendered, null, 2)}\n`
          : stringify(rendered, { lineWidth: 0, aliasDuplicateObjects: false }),
      )
    })
}

async function load(path: string, isolation: Options['isolation']): Promise<Core> {
  const clock = systemClock()
  const core = buildCore({
    protos: loadProtos(await readFile(descriptorFile)),
    clock,
    onError: (_, error) => {
      throw error
    },
    onPatchRefused: ({ object, diagnostic }) =>
      process.stderr.write(`error: EnvoyPatch ${object}: ${diagnostic.field}: ${diagnostic.message}\n`),
  })
  const ranges = (mesh: Readonly<Record<string, unknown>>) =>
    rangesOf(mesh, isolation === 'loopback' ? LOOPBACK_WORKLOADS : undefined)
  await loadFolders({
    paths: [path],
    catalog: core.catalog,
    clock,
    admit: createAdmit({
      allocator: new AddressAllocator(ranges({})),
      ranges,
      onError: (object, error) => process.stderr.write(`error: ${object}: ${String(error)}\n`),
    }),
  })
  // without a proxy to tell, every workload is taken to have one
  for (const [key] of core.catalog.table('Workload').entries()) core.mesh.meshed.set(key, true)
  core.flush()
  return core
}

/** Throws what the user can mend: no Workload of that name, or more than one. */
function viewFor(core: Core, path: string, { workload, isolation, stateOfTheWorld }: Options): View {
  const all = [...core.catalog.table('Workload').entries()].map(([key]) => key).toSorted()
  const found = all.filter((key) => key === workload || key.endsWith(`/${workload}`))
  const [key] = found
  const placement = { interception: isolation === 'loopback' ? ('None' as const) : ('Redirect' as const), ipv6: true }
  const view =
    key === undefined || found.length > 1
      ? undefined
      : viewOf(core.mesh, key, placement, stateOfTheWorld === true ? 'sotw' : 'delta')
  if (view !== undefined) return view
  const choice = found.length > 1 ? found : all
  throw new Error(
    `${found.length > 1 ? 'more than one Workload is' : 'no Workload is'} called ${workload}; ` +
      (choice.length === 0 ? `${path} declares none that can be read` : `choose one of ${choice.join(', ')}`),
  )
}
