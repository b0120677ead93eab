// What the xDS server needs of the rest: the content of a name as one client may see it, told again when it changes.
// The server knows names, versions and bytes, never what is inside a resource.

/** A discovery type: the full name of the message, as in `envoy.config.cluster.v3.Cluster`. */
export type TypeName = string

export interface ResourceRef {
  readonly type: TypeName
  readonly name: string
}

/** One resource, encoded once for everybody who sees the same content. */
export interface Resource {
  readonly name: string
  /** Changes exactly when the bytes do: a hash of them, or for secrets of what they follow from. Never empty. */
  readonly version: string
  /** The serialised message itself, not yet wrapped in an Any. */
  readonly bytes: Uint8Array
  /**
   * Make before break: what must be at the client before this. It is sent ahead of this resource, subscribed to or not, for as
   * long as this resource is at the client, and is removed only after the last that requires it.
   */
  readonly requires: readonly ResourceRef[]
  /**
   * What a client waits for once more after each new version of this, though it has it already, and does not ask for again:
   * Envoy warms an updated cluster until its assignment comes (envoy#13009). It is sent again to whoever subscribes to it.
   * Absent, a cluster is followed by the assignment of its own name, and nothing else by anything.
   */
  readonly followedBy?: readonly ResourceRef[]
}

export interface Watched<T> extends Disposable {
  readonly value: T
}

/**
 * Where a server finds its resources. `changed` is called at most once for each batch of changes, after every watch of that
 * batch shows its new value; never from inside `watch` itself. What a watch shows until it is read does not matter.
 */
export interface ResourceSource<Client> {
  /** The content of one name; undefined while nobody has it. */
  watch(client: Client, type: TypeName, name: string, changed: () => void): Watched<Resource | undefined>
  /** The names that a wildcard subscription (or a state-of-the-world client that names none) receives, each once. */
  watchNames(client: Client, type: TypeName, changed: () => void): Watched<readonly string[]>
  /** An answer that the client refused: the resource is withdrawn from that client, the cause gets a condition. */
  refused(client: Client, refusal: Refusal): void
  /** The client has this now; told of every version that it took. */
  accepted(client: Client, type: TypeName, name: string, version: string): void
  /** A client asked for this name by itself: the warm set and the list of refused names follow from it. */
  asked(client: Client, type: TypeName, name: string, found: boolean): void
  /**
   * Whether the answer that nobody has this name should wait a moment: what spares the client further asking is on its way, and goes
   * first. Absent, no answer waits.
   */
  answersLater?(client: Client, type: TypeName, name: string): boolean
  /** A client gave up a name that it had asked for, while its stream goes on. */
  released(client: Client, type: TypeName, name: string): void
  /** A stream of this client begins, before anything is watched for it; a client may have several for a moment. */
  connected(client: Client): void
  /** A stream of this client has ended; its watches are disposed of by then. */
  disconnected(client: Client): void
}

export interface Refusal extends ResourceRef {
  readonly version: string
  /** Envoy's own words. */
  readonly message: string
}

export type Authentication<Client> =
  | {
      readonly ok: true
      readonly client: Client
      /** Its stream ends then, milliseconds since the epoch. */
      readonly until?: number
    }
  /** `reason` is a short word, as `expired` or `other-audience`: it labels a metric and is told to the client. */
  | { readonly ok: false; readonly reason: string }

/** Who is at the other end, from its credentials alone; never from what the node claims. */
export interface Authenticator<Client> {
  authenticate(credentials: {
    readonly token?: string
    readonly nodeId: string
    readonly protocol: 'delta' | 'sotw'
  }): Promise<Authentication<Client>>
}
