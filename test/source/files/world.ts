/** A folder that is watched for real, and the catalog it feeds. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Catalog } from '../../../src/catalog/catalog.ts'
import { systemClock } from '../../../src/engine/clock.ts'
import { Graph } from '../../../src/engine/graph.ts'
import type { FolderOptions } from '../../../src/source/files/folder-reader.ts'
import { watchFolders, type FolderWatch } from '../../../src/source/files/watch-folders.ts'

export interface FolderWorld extends AsyncDisposable {
  readonly folder: string
  readonly catalog: Catalog
  readonly watch: FolderWatch
  readonly stop: AbortController
  /** Writes a file of the folder. */
  write(name: string, content: string | Uint8Array): Promise<void>
  /** Ports of the Services in force, by key. */
  ports(): Record<string, number | undefined>
  /** Problems as `file:line:column: severity: text`, with the folder's own path left out. */
  problems(): string[]
}

export type Files = Readonly<Record<string, string | Uint8Array>>

/** Starts to watch a new folder with these files and waits until they are loaded. */
export async function folderWorld(files: Files, options: Partial<FolderOptions> = {}): Promise<FolderWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-folder-'))
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  for (const [name, content] of Object.entries(files)) await write(name, content)
  const clock = systemClock()
  const catalog = new Catalog({ graph: new Graph(), clock })
  const stop = new AbortController()
  const watch = watchFolders({ paths: [folder], catalog, clock, signal: stop.signal, ...options })
  await watch.loaded
  return {
    folder,
    catalog,
    watch,
    stop,
    write,
    ports: () =>
      Object.fromEntries(
        [...catalog.table('Service').entries()].map(([key, object]) => [key, object.spec.ports?.[0]?.port]),
      ),
    problems: () =>
      catalog
        .problems()
        .map(({ source, line, column, severity, text }) => `${source}:${line}:${column}: ${severity}: ${text}`)
        .map((text) => text.replaceAll(`${folder}/`, '').replaceAll(folder, '.')),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A Service in YAML. */
export const service = (name: string, port: number | string = 80): string =>
  `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\n  namespace: shop\nspec:\n  ports:\n    - port: ${port}\n`
