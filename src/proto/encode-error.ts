/**
 * What encoding says about an object that does not fit its message: where, what was expected, what was there. Most such
 * objects come from people (patches), so the path is both in the text and, for who can point at a line, in the error.
 */

/** The object does not fit the message; `path` leads to the value that does not. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError'
  readonly path: readonly (string | number)[]

  constructor(message: string, path: readonly (string | number)[]) {
    super(message)
    this.path = path
  }
}

/** `routes[2].match.prefix`, `typed_config["@type"]`. */
export const formatPath = (path: readonly (string | number)[]): string => {
  if (path.length === 0) return 'message'
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      if (/^\w+$/.test(part)) return index === 0 ? part : `.${part}`
      return `[${JSON.stringify(part)}]`
    })
    .join('')
}

/** The value as JSON, cut to a line's length. */
export const describe = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
