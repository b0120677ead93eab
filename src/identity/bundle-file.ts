// The trust bundle as a file, for what verifies the control plane before it has a connection to it: bootstraps of proxies
// name this file, and Envoy reads it again when it is replaced.

import type { Authority } from './authority.ts'
import type { IdentityMetrics } from './metrics.ts'
import type { StateDir } from './state-dir.ts'

export interface BundleFileOptions {
  readonly authority: Authority
  readonly stateDir: StateDir
  readonly metrics: IdentityMetrics
  /** Told when it cannot be written; the next change tries again. */
  readonly onError: (error: unknown) => void
}

export const BUNDLE_FILE = 'bundle.pem'

export interface BundleFile extends Disposable {
  readonly path: string
  /** Resolves when the newest bundle is written, or could not be. */
  settled(): Promise<void>
}

/** Writes `bundle.pem` into the state directory, and again at each change. Errors of the first time are thrown. */
export async function keepBundleFile({
  authority,
  stateDir,
  metrics,
  onError,
}: BundleFileOptions): Promise<BundleFile> {
  let written: string | undefined
  const write = async (): Promise<void> => {
    const { pem } = authority.bundle
    if (pem === written) return
    await stateDir.write(BUNDLE_FILE, pem)
    written = pem
  }
  await write()
  let turn = Promise.resolve()
  const rewrite = async (before: Promise<void>): Promise<void> => {
    await before
    try {
      await write()
    } catch (error) {
      metrics.failed('bundle')
      onError(error)
    }
  }
  const watch = authority.onChange(() => {
    turn = rewrite(turn)
  })
  // a change between the first writing and the watch
  turn = rewrite(turn)
  return {
    path: stateDir.path(BUNDLE_FILE),
    settled: () => turn,
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  }
}
