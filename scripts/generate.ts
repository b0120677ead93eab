/**
 * Writes what follows from the schemas in src/api: CRDs, JSON Schemas for editors, reference pages.
 *
 * Usage: node scripts/generate.ts [--check]   (--check only compares, and exits 1 if something is stale)
 */
import { join } from 'node:path'
import { allKinds } from '../src/api/index.ts'
import { crdYaml } from './generate/crd.ts'
import { type Generated, staleFiles, writeFiles } from './generate/files.ts'

const root = join(import.meta.dirname, '..')

async function generate(): Promise<Generated> {
  const files = new Map<string, string>()
  for (const kind of allKinds) {
    if (kind.ours) files.set(`crds/${kind.group}_${kind.plural}.yaml`, crdYaml(kind))
  }
  return { files, owned: [{ folder: 'crds', ending: '.yaml' }] }
}

const generated = await generate()
if (process.argv.includes('--check')) {
  const stale = await staleFiles(root, generated)
  for (const path of stale) console.error(`${path} is stale: run \`make generate\` and commit what it writes`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  await writeFiles(root, generated)
  console.log(`${generated.files.size} files written`)
}
