/**
 * The folder of one run: sockets, bootstraps, logs and tokens of the proxies. It is apart from the state folder, because the
 * proxies' own user must reach its part, and it must have a short path, because that of a Unix socket ends at 107 bytes. Its
 * name tells which process it belongs to, so that the next run can clean up after one that was killed.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { access, constants, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'heddle'

/** When a process started, in the kernel's clock ticks; a process id alone is used again. Undefined if there is none. */
function startOf(pid: number): string | undefined {
  try {
    // the second field, the command's name in parentheses, may itself hold spaces and parentheses
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

const OWNED = new RegExp(`^${PREFIX}-([0-9]+)-([0-9]+)-[0-9a-f]+(?:[.].+)?$`)

/** A name that tells whose it is: `heddle-PID-START-RANDOM`. */
export const ownedName = (): string =>
  `${PREFIX}-${process.pid}-${startOf(process.pid) ?? 0}-${randomBytes(3).toString('hex')}`

/** Whether something with this name was left by a process that is no more. */
export function isLeftover(name: string): boolean {
  const match = OWNED.exec(name)
  if (match === null) return false
  const start = startOf(Number(match[1]))
  return start === undefined || start !== match[2]
}

/** Environment variable by which whatever an application starts is known to belong to a run. */
export const RUN_VARIABLE = 'HEDDLE_RUN'

/** Ends processes that runs of these names started, however deep: those directly below them died with them. */
async function killLeftovers(runs: ReadonlySet<string>): Promise<void> {
  const entries = await readdir('/proc').catch(() => [])
  for (const pid of entries.filter((entry) => /^[0-9]+$/.test(entry))) {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    const run = environment.split('\0').find((variable) => variable.startsWith(`${RUN_VARIABLE}=`))
    if (run === undefined || !runs.has(run.slice(RUN_VARIABLE.length + 1))) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // gone already
    }
  }
}

const isWritable = (path: string) =>
  access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )

/** The run folder and what lies in it. */
export class RunDirectory implements AsyncDisposable {
  readonly name: string
  readonly path: string

  private constructor(name: string, path: string) {
    this.name = name
    this.path = path
  }

  /** Makes a new one, readable by others only as far as paths that they are told; removes those of dead processes. */
  static async create(parent?: string): Promise<RunDirectory> {
    const candidates = [process.env['XDG_RUNTIME_DIR'], '/run', tmpdir()]
    let base = parent
    for (const candidate of candidates) {
      if (base === undefined && candidate !== undefined && (await isWritable(candidate))) base = candidate
    }
    base ??= tmpdir()
    const leftovers = (await readdir(base)).filter(isLeftover)
    if (leftovers.length > 0) await killLeftovers(new Set(leftovers))
    for (const name of leftovers) await rm(join(base, name), { recursive: true, force: true })
    const name = ownedName()
    await mkdir(join(base, name), { mode: 0o711 })
    return new RunDirectory(name, join(base, name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}
