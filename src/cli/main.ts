// The command line: `heddle`. Each command is a file of its own; here is only what they have in common.
import { Command } from 'commander'
import { renderCommand } from './render.ts'
import { runCommand } from './run.ts'
import { statusCommand } from './status.ts'
import { tokenCommand } from './token.ts'
import { upCommand } from './up.ts'
import { validateCommand } from './validate.ts'
import { version } from './version.ts'

const program = new Command('heddle')
  .description('A service mesh: from a folder of YAML to stock Envoy sidecars.')
  .version(version())
  .showHelpAfterError('(heddle --help tells more)')
  .addCommand(upCommand())
  .addCommand(runCommand())
  .addCommand(validateCommand())
  .addCommand(renderCommand())
  .addCommand(statusCommand())
  .addCommand(tokenCommand())

try {
  await program.parseAsync()
} catch (error) {
  // a bug prints its stack; what a user can mend says how in one line
  const isBug = !(error instanceof Error) || error instanceof TypeError || error instanceof ReferenceError
  const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  const mend = taken ? '. Mend: choose another with --http or --xds, or stop what listens there' : ''
  const stack = error instanceof Error ? error.stack : undefined
  process.stderr.write(`heddle: ${isBug ? (stack ?? String(error)) : error.message}${mend}\n`)
  process.exitCode = 1
}
