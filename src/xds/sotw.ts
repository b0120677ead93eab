// The state-of-the-world variant: a request names all that the client wants, a response of listeners or clusters holds all that
// it has, and of the other types what changed. At most one response a type is unanswered, so a nonce that is not the latest is stale.
// See "Streaming gRPC subscriptions" of Envoy's xDS protocol page.
import { createHash } from 'node:crypto'
import { decodeStateRequest, encodeStateResponse, type StateRequest } from '../proto/frame.ts'
import { available, type Entry, expectedVersion, GONE, isPending, type TypeState } from './entry.ts'
import { type Flight, type Item, Session, SessionError, type SessionOptions } from './session.ts'
import type { Resource } from './source.ts'
import { typeOfUrl } from './types.ts'

const WILDCARD = '*'

/** What this variant holds for a type beyond what both share. */
interface Exchange {
  /** Of the latest response. */
  nonce: string
  /** What the latest response changed, until it is answered. */
  flight: { readonly items: readonly Item[]; readonly sent: Flight; readonly trial: boolean } | undefined
  /** Groups that were refused together, to be tried one after the other. */
  trials: Entry[][]
  /** What a response that holds everything repeats: the last version that the client took. */
  readonly good: Map<Entry, Resource>
  /** The client has taken a response on this stream; until then it may hold anything. */
  known: boolean
  /** The version of everything that the client says it has from an earlier stream. */
  claimed: string
}

export class StateSession<Client> extends Session<Client> {
  readonly #exchanges = new Map<TypeState, Exchange>()

  constructor(options: SessionOptions<Client>) {
    super(options, (traits) => traits.wholeState)
  }

  receive(message: Uint8Array): void {
    const request = decode(message)
    const name = typeOfUrl(request.typeUrl)
    if (name === undefined) throw new SessionError('malformed', 'type_url is not of type.googleapis.com')
    const type = this.subscriptions.type(name)
    const exchange = this.#exchange(type)
    // overtaken by a response: the client will send another request when it has read that
    if (exchange.nonce !== '' && request.nonce !== exchange.nonce) return
    this.#answered(type, exchange, request)
    this.#subscribed(type, exchange, request)
    this.wake()
  }

  protected send(type: TypeState, entries: readonly Entry[]): boolean {
    const exchange = this.#exchange(type)
    if (exchange.flight !== undefined) return false
    const trial = this.#nextTrial(exchange)
    const going = trial ?? entries.filter((entry) => isPending(entry) && this.mayGo(entry))
    if (going.length === 0) return false
    this.#respond(type, exchange, going, trial !== undefined)
    return true
  }

  protected greet(type: TypeState): void {
    if (type.traits.wholeState) this.#respond(type, this.#exchange(type), [], false)
  }

  #exchange(type: TypeState): Exchange {
    let exchange = this.#exchanges.get(type)
    if (exchange === undefined) {
      exchange = { nonce: '', flight: undefined, trials: [], good: new Map(), known: false, claimed: '' }
      this.#exchanges.set(type, exchange)
    }
    return exchange
  }

  #nextTrial(exchange: Exchange): Entry[] | undefined {
    for (;;) {
      const group = exchange.trials[0]
      if (group === undefined) return undefined
      const going = group.filter((entry) => isPending(entry) && this.mayGo(entry))
      if (going.length > 0) return going
      exchange.trials.shift()
    }
  }

  #respond(type: TypeState, exchange: Exchange, going: readonly Entry[], trial: boolean): void {
    const items = going.map((entry): Item => ({ entry, resource: available(entry) }))
    const resources = type.traits.wholeState
      ? whole(type, exchange, items)
      : items.flatMap(({ resource }) => resource ?? [])
    const version = versionOf(resources)
    const { claimed } = exchange
    exchange.claimed = ''
    if (claimed !== '' && claimed === version) {
      this.#take(type, exchange, items)
      return
    }
    exchange.nonce = this.nextNonce()
    const bytes = resources.map((resource) => resource.bytes)
    const message = encodeStateResponse({ typeUrl: type.url, version, nonce: exchange.nonce, resources: bytes })
    exchange.flight = { items, sent: this.respond(type, items, message), trial }
  }

  /** The client has exactly this from an earlier stream. */
  #take(type: TypeState, exchange: Exchange, items: readonly Item[]): void {
    type.greeting = false
    exchange.known = true
    for (const { entry, resource } of items) {
      if (resource === undefined) continue
      exchange.good.set(entry, resource)
      this.subscriptions.holds(entry, resource.version, resource.requires)
      entry.due = false
      entry.first = false
      this.subscriptions.touch(entry)
    }
  }

  #answered(type: TypeState, exchange: Exchange, request: StateRequest): void {
    const { flight } = exchange
    if (flight === undefined || request.nonce === '') return
    exchange.flight = undefined
    const { items, sent } = flight
    if (request.error === undefined) {
      exchange.known = true
      if (flight.trial) exchange.trials.shift()
      if (type.traits.wholeState) {
        for (const { entry, resource } of items) {
          if (resource === undefined) exchange.good.delete(entry)
          else exchange.good.set(entry, resource)
        }
      }
      this.accept(type, sent)
      return
    }
    // only what differs from what the client had can be what it refuses
    const suspects = sent.filter(({ version, before }) => version !== (before ?? GONE))
    const entries = suspects.map(({ entry }) => entry)
    const trials = suspects.length > 1 ? divide(entries, request.error.message) : []
    if (!exchange.known && items.length > 0) type.greeting = true
    exchange.trials.splice(0, flight.trial ? 1 : 0, ...trials)
    this.refuse(type, sent, suspects, request.error.message)
  }

  #subscribed(type: TypeState, exchange: Exchange, request: StateRequest): void {
    const names = new Set(request.names)
    const fresh = request.names.filter((name) => type.entries.get(name)?.explicit !== true)
    this.checkBounds(fresh, 0)
    const opening = !type.asked
    type.asked = true
    const wildcard = names.delete(WILDCARD) || (names.size === 0 && !type.named)
    if (request.names.length > 0) type.named = true
    if (opening && wildcard && names.size === 0 && type.traits.wholeState) exchange.claimed = request.version
    type.greeting ||= opening
    this.subscriptions.setWildcard(type, wildcard)
    for (const entry of type.entries.values()) {
      if (entry.explicit && !names.has(entry.name)) this.subscriptions.unsubscribe(type, entry.name)
    }
    for (const name of fresh) if (names.has(name)) this.subscriptions.subscribe(type, name, false)
  }
}

/** Everything that the client is to have: what changes now, and the rest as it was. */
function whole(type: TypeState, exchange: Exchange, items: readonly Item[]): readonly Resource[] {
  const changing = new Map(items.map((item) => [item.entry, item.resource]))
  const resources: Resource[] = []
  for (const entry of type.entries.values()) {
    const resource = changing.has(entry) ? changing.get(entry) : exchange.good.get(entry)
    if (resource !== undefined && (changing.has(entry) || expectedVersion(entry) !== undefined))
      resources.push(resource)
  }
  for (const entry of exchange.good.keys()) if (type.entries.get(entry.name) !== entry) exchange.good.delete(entry)
  return resources
}

/**
 * Smaller groups to try. A response that holds everything takes what it leaves out away from the client for a moment, so as few
 * as possible are made: Envoy often names what it refuses, and where it does not, halving finds it. The name is a hint only.
 */
function divide(entries: readonly Entry[], message: string): Entry[][] {
  const named = entries.filter((entry) => message.includes(entry.name))
  if (named.length > 0 && named.length < entries.length) {
    return [entries.filter((entry) => !named.includes(entry)), ...named.map((entry) => [entry])]
  }
  const middle = entries.length >> 1
  return [entries.slice(0, middle), entries.slice(middle)]
}

function versionOf(resources: readonly Resource[]): string {
  const hash = createHash('sha256')
  const parts = resources.map((resource) => `${resource.name}=${resource.version}\n`).toSorted()
  for (const part of parts) hash.update(part)
  return hash.digest('base64url').slice(0, 22)
}

function decode(message: Uint8Array): StateRequest {
  try {
    return decodeStateRequest(message)
  } catch (error) {
    throw new SessionError(
      'malformed',
      `not a DiscoveryRequest: ${error instanceof Error ? error.message : 'unreadable'}`,
    )
  }
}
