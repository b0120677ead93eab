/** Writes generated files, or says which are not as they would be written. Files that nothing generates any more go. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Generated {
  /** Folders whose files of this ending are all generated. */
  readonly owned: readonly { readonly folder: string; readonly ending: string }[]
  /** Contents by path. */
  readonly files: ReadonlyMap<string, string>
}

/** Paths of files that are missing, different or left over. */
export async function staleFiles(root: string, generated: Generated): Promise<readonly string[]> {
  const stale: string[] = []
  for (const [path, content] of generated.files) {
    if ((await readIfThere(join(root, path))) !== content) stale.push(path)
  }
  return [...stale, ...(await leftovers(root, generated))]
}

export async function writeFiles(root: string, generated: Generated): Promise<void> {
  for (const [path, content] of generated.files) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  for (const path of await leftovers(root, generated)) await rm(join(root, path))
}

async function leftovers(root: string, { owned, files }: Generated): Promise<readonly string[]> {
  const found: string[] = []
  for (const { folder, ending } of owned) {
    for (const entry of await listIfThere(join(root, folder))) {
      const path = `${folder}/${entry}`
      if (entry.endsWith(ending) && !files.has(path)) found.push(path)
    }
  }
  return found
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(undefinedIfAbsent)
}

async function listIfThere(path: string): Promise<readonly string[]> {
  return (await readdir(path).catch(undefinedIfAbsent)) ?? []
}

function undefinedIfAbsent(failure: unknown): undefined {
  if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return undefined
  throw failure
}
