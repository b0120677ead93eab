// A resource as it was written, before it is bytes: what is rendered, patched and compared by people.
import type { MessageName } from '../proto/types.ts'
import type { ResourceRef } from '../xds/source.ts'

/** A resource as it was authored: what people read. */
export interface Authored {
  readonly type: MessageName
  readonly name: string
  readonly message: unknown
  readonly requires: readonly ResourceRef[]
  /** For secrets, whose version follows from what they are rather than from their bytes. */
  readonly version?: string
}
