// A mistyped path is told at once. Once the control plane runs, a folder may go and come back.
import { access, constants } from 'node:fs/promises'

/** Rejects, with a message for people, where there is nothing that can be read. */
export async function isThere(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK)
  } catch {
    throw new Error(`${path} is not there or may not be read: give a folder (or file) of YAML`)
  }
}
