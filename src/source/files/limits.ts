// How much of a folder is read, so that no file can stall or exhaust the process. What is over a limit is refused with its
// place and the limit's name; everything else goes on.

export interface FileLimits {
  /** Files in all folders together; those beyond are not read. */
  readonly files: number
  /** Bytes in one file. */
  readonly fileBytes: number
  /** Characters in one document, that is between two `---`. Parsing is not interrupted inside of one: about 1 s a MiB. */
  readonly documentChars: number
  /** Values in one document, each alias counted as often as it is used. */
  readonly documentValues: number
  /** How deep maps and lists may nest. */
  readonly depth: number
}

export const defaultLimits: FileLimits = {
  files: 10_000,
  fileBytes: 4 * 2 ** 20,
  documentChars: 2 ** 20,
  documentValues: 200_000,
  depth: 64,
}
