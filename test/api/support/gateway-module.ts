/** Gateway API's own files: the pinned Go module, from wherever the Go command keeps modules. */
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The version whose rules `src/api/gateway` follows. */
const version = 'v1.6.3'

/** The folder of the module; downloads it if it is not there yet. Throws where `go` is missing or nothing can be fetched. */
export async function gatewayModule(): Promise<string> {
  const { stdout } = await promisify(execFile)(
    'go',
    ['mod', 'download', '-json', `sigs.k8s.io/gateway-api@${version}`],
    {
      cwd: tmpdir(),
      env: { ...process.env, GOFLAGS: '-mod=mod' },
    },
  )
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir
}

/** All YAML files below some folders of the module. */
export async function yamlFiles(module: string, ...folders: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const folder of folders) {
    const entries = await readdir(join(module, folder), { recursive: true })
    found.push(...entries.filter((entry) => entry.endsWith('.yaml')).map((entry) => join(module, folder, entry)))
  }
  return found.toSorted()
}
