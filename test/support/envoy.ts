/** Stock Envoy in tests: which one, and whether it accepts a configuration. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findEnvoy } from '../../src/standalone/envoy-process.ts'

export const checkout = fileURLToPath(new URL('../..', import.meta.url))

/** Path of the Envoy that tests use. */
export const envoyBinary = (): Promise<string> => findEnvoy(process.env, checkout)

/** Envoy's own words against a bootstrap, YAML or JSON; undefined if it accepts it. */
export async function validate(bootstrap: string): Promise<string | undefined> {
  const binary = await envoyBinary()
  const directory = await mkdtemp(join(tmpdir(), 'heddle-validate-'))
  try {
    const path = join(directory, 'bootstrap.yaml')
    await writeFile(path, bootstrap)
    return await new Promise((resolve) => {
      const args = ['--mode', 'validate', '--config-path', path, '--log-level', 'error', '--disable-hot-restart']
      execFile(binary, args, (error, _, stderr) => resolve(error === null ? undefined : stderr || error.message))
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
