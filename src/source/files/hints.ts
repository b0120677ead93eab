// Events of the file system, as hints that it is time to look again. They may be lost, late, doubled, or not to be had at all
// (a network file system, too few inotify watches): nothing depends on them but speed.

import { watch, type FSWatcher } from 'node:fs'
import { join } from 'node:path'
import type { Scan } from './scan.ts'

/** Watches the folders it is given. */
export class Hints implements Disposable {
  readonly #hint: (path: string | undefined) => void
  readonly #unavailable: (folder: string, error: unknown) => void
  readonly #watchers = new Map<string, FSWatcher>()
  #names: Scan['watch'] = new Map()

  /** @param hint told of the path that changed, if it is known */
  constructor(hint: (path: string | undefined) => void, unavailable: (folder: string, error: unknown) => void) {
    this.#hint = hint
    this.#unavailable = unavailable
  }

  /** Watches these folders and no others. True if some are new: what happened there before went unseen. */
  watch(folders: Scan['watch']): boolean {
    this.#names = folders
    for (const folder of this.#watchers.keys()) if (!folders.has(folder)) this.#stop(folder)
    const added = [...folders.keys()].filter((folder) => !this.#watchers.has(folder))
    return added.filter((folder) => this.#start(folder)).length > 0
  }

  [Symbol.dispose](): void {
    for (const folder of this.#watchers.keys()) this.#stop(folder)
  }

  #start(folder: string): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        // a folder that was moved or replaced is watched no longer, whatever stands there now
        if (event === 'rename' && name !== null && folder.endsWith(`/${name}`)) this.#stop(folder)
        const names = this.#names.get(folder)
        if (name === null) this.#hint(undefined)
        else if (names === 'all' || names?.has(name) === true) this.#hint(join(folder, name))
      })
      watcher.on('error', () => this.#stop(folder))
      this.#watchers.set(folder, watcher)
      return true
    } catch (error) {
      this.#unavailable(folder, error)
      return false
    }
  }

  #stop(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }
}
