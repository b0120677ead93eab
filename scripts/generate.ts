/**
 * Writes what follows from the schemas in src/api: CRDs, JSON Schemas for editors, reference pages.
 *
 * Usage: node scripts/generate.ts [--check]   (--check only compares, and exits 1 if something is stale)
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allKinds } from '../src/api/index.ts'
import { crdYaml } from './generate/crd.ts'
import { editorSchemas } from './generate/editor-schema.ts'
import { type Generated, staleFiles, writeFiles } from './generate/files.ts'
import { pageName, referenceIndex, referencePage } from './generate/reference.ts'

const root = join(import.meta.dirname, '..')

async function generate(): Promise<Generated> {
  const files = new Map<string, string>()
  for (const kind of allKinds) {
    if (!kind.ours) continue
    files.set(`crds/${kind.group}_${kind.plural}.yaml`, crdYaml(kind))
    const example = join(root, 'docs/reference/examples', `${kind.kind.toLowerCase()}.yaml`)
    files.set(`docs/reference/${pageName(kind)}`, referencePage(kind, await readFile(example, 'utf8')))
  }
  for (const [name, content] of editorSchemas(allKinds.filter(({ partial }) => !partial))) {
    files.set(`schemas/${name}`, content)
  }
  files.set('docs/reference/README.md', referenceIndex())
  const owned = [
    { folder: 'crds', ending: '.yaml' },
    { folder: 'schemas', ending: '.json' },
    { folder: 'docs/reference', ending: '.md' },
  ]
  return { files, owned }
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
