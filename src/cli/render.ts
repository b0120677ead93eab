// `heddle render`: the exact Envoy configuration of a workload, without running anything.
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import { buildCore } from '../core.ts'
import { systemClock } from '../engine/clock.ts'
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
    .addOption(new Option('-o, --output <format>', 'format').choices(['yaml', 'json']).default('yaml'))
    .addHelpText('after', '\nExamples:\n  heddle render examples/shop/mesh --workload web\n')
    .action(async (dir: string, options: Options) => {
      const clock = systemClock()
      const protos = loadProtos(await readFile(descriptorFile))
      using core = buildCore({
        protos,
        clock,
        onError: (_, error) => {
          throw error
        },
      })
      const loopback = options.isolation === 'loopback'
      const allocator = new AddressAllocator(rangesOf({}, loopback ? LOOPBACK_WORKLOADS : undefined))
      await loadFolders({
        paths: [dir],
        catalog: core.catalog,
        clock,
        admit: createAdmit({
          allocator,
          ranges: (mesh) => rangesOf(mesh, loopback ? LOOPBACK_WORKLOADS : undefined),
          onError: (object, error) => process.stderr.write(`heddle: ${object}: ${String(error)}\n`),
        }),
      })
      for (const problem of core.catalog.problems())
        if (problem.severity === 'error')
          process.stderr.write(
            `${problem.source}:${problem.line ?? 0}:${problem.column ?? 0}: error: ${problem.text}\n`,
          )
      const workloads = [...core.catalog.table('Workload').entries()].map(([key]) => key)
      // without a proxy to tell, every workload is taken to have one
      for (const key of workloads) core.mesh.meshed.set(key, true)
      const found = workloads.filter((key) => key === options.workload || key.endsWith(`/${options.workload}`))
      const [key] = found
      const view =
        key === undefined || found.length > 1
          ? undefined
          : viewOf(
              core.mesh,
              key,
              { interception: loopback ? 'None' : 'Redirect', ipv6: true },
              options.stateOfTheWorld === true ? 'sotw' : 'delta',
            )
      if (view === undefined) {
        const choice = found.length > 1 ? found : workloads
        throw new Error(
          `${found.length > 1 ? 'more than one Workload is' : 'no Workload is'} called ${options.workload}; ` +
            (choice.length === 0 ? `${dir} declares none` : `choose one of ${choice.join(', ')}`),
        )
      }
      const rendered = redact(render(core, view))
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(rendered, null, 2)}\n`
          : stringify(rendered, { lineWidth: 0, aliasDuplicateObjects: false }),
      )
    })
}
