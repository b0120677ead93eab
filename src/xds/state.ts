// What the server knows of its clients, for people: who is connected, what each was sent, has acknowledged and has refused.
import { type Entry, expectedVersion, GONE, type Refused, type TypeState } from './entry.ts'
import type { TypeName } from './source.ts'

export interface ResourceState {
  readonly name: string
  /** The version in the latest response that holds it; absent if nothing of it is at the client. */
  readonly sent?: string
  /** The version that the client took. */
  readonly acknowledged?: string
  /** The latest version that the client refused and has not replaced; an empty version is a refused removal. */
  readonly refused?: Refused
}

export interface TypeSummary {
  readonly type: TypeName
  /** Subscribed to whatever the source lists. */
  readonly wildcard: boolean
  /** Names that the client asked for by itself. */
  readonly subscribed: number
  /** Resources that wait to be sent. */
  readonly pending: number
  /** Everything that is at the client, on its way, refused, or asked for. */
  readonly resources: readonly ResourceState[]
}

export interface ClientState<Client> {
  readonly client: Client
  /** As the client claims: for people to read, never for decisions. */
  readonly nodeId: string
  readonly protocol: 'delta' | 'sotw'
  /** Address of the other end. */
  readonly peer: string
  /** Milliseconds since the epoch. */
  readonly connectedAt: number
  readonly types: readonly TypeSummary[]
}

export function summarise(type: TypeState): TypeSummary {
  let subscribed = 0
  const resources: ResourceState[] = []
  for (const entry of type.entries.values()) {
    if (entry.explicit) subscribed++
    if (entry.explicit || entry.listed || entry.refused !== undefined || expectedVersion(entry) !== undefined) {
      resources.push(describe(entry))
    }
  }
  return { type: type.name, wildcard: type.wildcard, subscribed, pending: type.pending.size, resources }
}

function describe(entry: Entry): ResourceState {
  const sent = expectedVersion(entry)
  return {
    name: entry.name,
    ...(sent !== undefined && sent !== GONE && { sent }),
    ...(entry.version !== undefined && { acknowledged: entry.version }),
    ...(entry.refused !== undefined && { refused: entry.refused }),
  }
}
