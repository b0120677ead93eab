// The incremental variant: responses hold what changed and what is gone, requests subscribe, unsubscribe and answer by nonce.
// See "Incremental xDS" of Envoy's xDS protocol page.
import { decodeDeltaRequest, type DeltaRequest, encodeDeltaResponse } from '../proto/frame.ts'
import { available, type Entry, GONE, isPending, type TypeState } from './entry.ts'
import { type Flight, type Item, Session, SessionError, type SessionOptions } from './session.ts'
import { typeOfUrl } from './types.ts'

const WILDCARD = '*'

/** Responses of one type that a client may leave unanswered, and the names in them, before it is sent no more of that type. */
const MOST_UNANSWERED = 32
const MOST_UNANSWERED_NAMES = 1_000

/** A response is closed when it holds this much. */
const RESPONSE_BYTES = 256 * 1024

export class DeltaSession<Client> extends Session<Client> {
  readonly #flights = new Map<string, { readonly type: TypeState; readonly flight: Flight }>()

  constructor(options: SessionOptions<Client>) {
    super(options, () => true)
  }

  receive(message: Uint8Array): void {
    const request = decode(message)
    const name = typeOfUrl(request.typeUrl)
    if (name === undefined) throw new SessionError('malformed', 'type_url is not of type.googleapis.com')
    this.checkBounds(request.subscribe, request.initialVersions.size)
    if (request.nonce !== '') this.#answered(request)
    this.#subscribed(this.subscriptions.type(name), request)
    this.wake()
  }

  protected send(type: TypeState, entries: readonly Entry[]): boolean {
    let sent = false
    let together: Entry[] = []
    let bytes = 0
    const close = (): void => {
      if (together.length === 0) return
      this.#respond(type, together)
      sent = true
      together = []
      bytes = 0
    }
    for (const entry of entries) {
      if (isFull(type) || !this.hasRoom) break
      if (!isPending(entry) || !this.mayGo(entry)) continue
      const resource = available(entry)
      if (entry.alone !== undefined && entry.alone === (resource?.version ?? GONE)) {
        this.#respond(type, [entry])
        sent = true
        continue
      }
      entry.alone = undefined
      together.push(entry)
      bytes += resource?.bytes.length ?? 0
      if (bytes >= RESPONSE_BYTES) close()
    }
    close()
    return sent
  }

  protected greet(type: TypeState): void {
    this.#respond(type, [])
  }

  #respond(type: TypeState, entries: readonly Entry[]): void {
    const items = entries.map((entry): Item => ({ entry, resource: available(entry) }))
    const nonce = this.nextNonce()
    const message = encodeDeltaResponse({
      typeUrl: type.url,
      nonce,
      resources: items.flatMap(({ resource }) => resource ?? []),
      removed: items.flatMap(({ entry, resource }) => (resource === undefined ? entry.name : [])),
    })
    this.#flights.set(nonce, { type, flight: this.respond(type, items, message) })
  }

  #answered(request: DeltaRequest): void {
    const found = this.#flights.get(request.nonce)
    if (found === undefined) return
    this.#flights.delete(request.nonce)
    const { type, flight } = found
    if (request.error === undefined) this.accept(type, flight)
    else this.refuse(type, flight, flight, request.error.message)
  }

  #subscribed(type: TypeState, request: DeltaRequest): void {
    const { subscribe, unsubscribe, initialVersions } = request
    const opening = !type.asked
    type.asked = true
    if (opening) this.subscriptions.bring(type, initialVersions)
    // never having named anything means everything
    if (subscribe.includes(WILDCARD) || (opening && subscribe.length === 0 && unsubscribe.length === 0)) {
      type.greeting ||= !type.wildcard && initialVersions.size === 0
      this.subscriptions.setWildcard(type, true)
    }
    for (const name of unsubscribe) {
      if (name === WILDCARD) this.subscriptions.setWildcard(type, false)
      else this.subscriptions.unsubscribe(type, name)
    }
    for (const name of subscribe) {
      if (name === WILDCARD) continue
      const has = opening && initialVersions.has(name) && type.owed?.has(name) !== true
      this.subscriptions.subscribe(type, name, has)
    }
    type.owed = undefined
  }
}

const isFull = (type: TypeState): boolean =>
  type.unanswered >= MOST_UNANSWERED || type.unansweredNames >= MOST_UNANSWERED_NAMES

function decode(message: Uint8Array): DeltaRequest {
  try {
    return decodeDeltaRequest(message)
  } catch (error) {
    throw new SessionError(
      'malformed',
      `not a DeltaDiscoveryRequest: ${error instanceof Error ? error.message : 'unreadable'}`,
    )
  }
}
