// What the translation needs of identities: the secrets of one proxy by name. Who may have what is decided by the proxy's own
// identity, never by the name that it asks for.
import type { Authored } from './authored.ts'
import type { View } from './view.ts'

export interface Secrets {
  /** `svid`, `bundle`, or a Secret granted to the namespace; undefined for anything else. */
  secret(name: string, view: View): Authored | undefined
}
