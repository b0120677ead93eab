// `heddle validate`: what is wrong with files, without running anything or asking anybody. One line a problem, as compilers write
// them, so that editors and CI find the place; exit status 0 if all is well, 1 if not, 2 if the command was used wrongly.
import { access } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { Catalog } from '../catalog/catalog.ts'
import { checkReferences } from '../catalog/check-references.ts'
import { compareProblems, problemLine, type Problem } from '../catalog/problems.ts'
import { systemClock } from '../engine/clock.ts'
import { Graph } from '../engine/graph.ts'
import { loadFolders } from '../source/files/watch-folders.ts'
import { some } from './table.ts'

interface Options {
  readonly output: 'text' | 'json'
  readonly strict?: boolean
  readonly references: boolean
}

/** What `validate` found. */
export interface Validation {
  /** By file and line. */
  readonly problems: readonly Problem[]
  /** How many objects could be read. */
  readonly objects: number
}

export function validateCommand(): Command {
  return new Command('validate')
    .summary('check files of YAML or JSON, without running anything')
    .description(
      'Checks every object in files and folders as the control plane would: types and values, unknown fields, duplicates, ' +
        'references, regular expressions. Objects of kinds that Heddle does not read are noted and passed over.',
    )
    .argument('<path...>', 'files, and folders with all that is in them')
    .addOption(new Option('-o, --output <format>', 'format').choices(['text', 'json']).default('text'))
    .option('--strict', 'warnings fail too')
    .option('--no-references', 'do not look for objects that others refer to: for a part of a configuration')
    .addHelpText(
      'after',
      '\nExit status: 0 all is well, 1 there are problems, 2 wrong usage.\n\nExamples:\n  heddle validate examples/shop/mesh\n' +
        '  heddle validate --strict -o json route.yaml | jq .problems\n',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (paths: string[], options: Options) => {
      for (const path of paths) {
        try {
          await access(path)
        } catch {
          process.stderr.write(`heddle: ${path} is not there or may not be read\n`)
          process.exitCode = 2
          return
        }
      }
      const found = await validate(paths, options)
      process.stdout.write(options.output === 'json' ? asJson(found) : asText(found))
      const bad = found.problems.some(
        ({ severity }) => severity === 'error' || (options.strict === true && severity === 'warning'),
      )
      process.exitCode = bad ? 1 : 0
    })
}

/** Reads all files and says what is wrong with them. */
export async function validate(
  paths: readonly string[],
  options: { readonly references: boolean },
): Promise<Validation> {
  const clock = systemClock()
  const catalog = new Catalog({ graph: new Graph(), clock })
  await loadFolders({ paths, catalog, clock })
  const problems = [...catalog.problems(), ...(options.references ? checkReferences(catalog) : [])]
  return { problems: problems.toSorted(compareProblems), objects: catalog.size }
}

/** How many problems there are of each sort. */
function summary({ problems, objects }: Validation): Record<'objects' | 'errors' | 'warnings' | 'notes', number> {
  const count = (severity: Problem['severity']): number => problems.filter((one) => one.severity === severity).length
  return { objects, errors: count('error'), warnings: count('warning'), notes: count('note') }
}

function asText(found: Validation): string {
  const { objects, errors, warnings, notes } = summary(found)
  const lines = found.problems.map(problemLine)
  const counted = [some(objects, 'object'), some(errors, 'error'), some(warnings, 'warning'), some(notes, 'note')]
  return `${[...lines, counted.join(', ')].join('\n')}\n`
}

function asJson(found: Validation): string {
  return `${JSON.stringify({ problems: found.problems, summary: summary(found) }, undefined, 2)}\n`
}
