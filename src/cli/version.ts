// The version that the package says it is.
import { readFileSync } from 'node:fs'

export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version: own } = JSON.parse(text) as { readonly version: string }
  return own
}
