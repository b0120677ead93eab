// `heddle token`: a join token, by which a proxy proves which Workload it is for.
import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { systemClock } from '../engine/clock.ts'
import { StateDir } from '../identity/state-dir.ts'
import { JoinTokens } from '../identity/tokens.ts'
import { defaultStateDir } from './state-dir.ts'
import { some } from './table.ts'

interface Options {
  readonly stateDir?: string
  readonly hours?: string
  readonly revoke?: boolean
}

export function tokenCommand(): Command {
  return new Command('token')
    .summary('make a join token for a Workload')
    .description(
      'Prints a token that is bound to one Workload. Whoever has it gets that identity: hand it to its proxy alone.',
    )
    .argument('<dir>', 'the folder that `heddle run` was given')
    .argument('<workload>', 'the Workload: namespace/name')
    .option('--state-dir <dir>', 'state folder, if it was given to `run`')
    .option('--hours <n>', 'it expires after so many hours; never by default')
    .option('--revoke', 'make none, and refuse all that the Workload has from now on')
    .addHelpText(
      'after',
      '\nExamples:\n  heddle token ./mesh shop/web --hours 24 > web.token\n  heddle token ./mesh shop/web --revoke\n',
    )
    .action(async (dir: string, workload: string, options: Options) => {
      const [namespace, name, ...rest] = workload.split('/')
      if (namespace === undefined || name === undefined || rest.length > 0)
        throw new Error(`expected namespace/name, got '${workload}'`)
      const hours = options.hours === undefined ? undefined : Number(options.hours)
      if (hours !== undefined && !(hours > 0))
        throw new Error(`--hours: expected a number above 0, got '${options.hours ?? ''}'`)
      const clock = systemClock()
      const random = (size: number): Uint8Array => randomBytes(size)
      await using stateDir = await StateDir.open(options.stateDir ?? defaultStateDir(dir), { lock: false, random })
      const tokens = new JoinTokens({ stateDir, clock, random })
      if (options.revoke === true) {
        process.stdout.write(`${some(await tokens.revokeAll({ namespace, name }), 'token')} revoked\n`)
        return
      }
      const token = await tokens.create(
        { namespace, name },
        hours === undefined ? {} : { expires: clock.now() + hours * 3_600_000 },
      )
      process.stdout.write(`${token.reveal()}\n`)
    })
}
