// Which part of a view a resource's content can follow: streams that agree in that part share one cell. All of it for a proxy with
// patches of its own.
import { parseBackendName } from '../mesh/http.ts'
import {
  AGAIN,
  CLUSTER,
  ENDPOINTS,
  EXTERNAL,
  INBOUND,
  LISTENER,
  OUTBOUND,
  parseInboundName,
  REFUSED_HOST,
  ROUTES,
  SECRET,
  VIRTUAL_HOST,
} from './names.ts'
import { BUNDLE } from './tls.ts'
import type { View } from './view.ts'

type Part = readonly (keyof View)[]

const NOTHING: Part = []
const NAMESPACE: Part = ['namespace']
const PLACE: Part = ['namespace', 'locality']
const REFUSALS: Part = ['workload']
const OUTBOUND_LISTENER: Part = ['namespace', 'interception', 'ipv6', 'stateOfTheWorld']
const OUTBOUND_ROUTES: Part = ['namespace', 'stateOfTheWorld']
const INSTANCE: Part = ['workload', 'interception', 'appAddress', 'ipv6', 'stateOfTheWorld']
const IDENTITY: Part = ['namespace', 'serviceAccount']
const EVERYTHING: Part = [
  'workload',
  'namespace',
  'serviceAccount',
  'locality',
  'interception',
  'appAddress',
  'ipv6',
  'stateOfTheWorld',
]

function partOf(type: string, name: string, stateOfTheWorld: boolean): Part {
  switch (type) {
    case CLUSTER:
      return name === INBOUND || parseInboundName(name) !== undefined ? INSTANCE : NAMESPACE
    case ENDPOINTS:
      return PLACE
    case VIRTUAL_HOST:
      return name === REFUSED_HOST ? REFUSALS : NAMESPACE
    case LISTENER:
      if (name === OUTBOUND) return OUTBOUND_LISTENER
      return name === AGAIN || parseBackendName(name) !== undefined ? NOTHING : INSTANCE
    case ROUTES:
      if (name === OUTBOUND) return stateOfTheWorld ? OUTBOUND_ROUTES : NOTHING
      if (name === EXTERNAL) return NAMESPACE
      return parseBackendName(name) === undefined ? INSTANCE : NOTHING
    case SECRET:
      return name === BUNDLE ? NOTHING : IDENTITY
    default:
      return INSTANCE
  }
}

/** What may change of a view while its stream goes on. */
export interface Circumstances {
  /** It has patches of its own. */
  readonly patched: boolean
  /** Its namespace sees something differently from the others (`Mesh.hasOwnView`). */
  readonly ownView: boolean
}

/** The keys of one view. */
export class Scopes {
  readonly #view: View
  readonly #patched: boolean
  /** The view as far as the outbound side follows it: all namespaces without a view of their own are one. */
  readonly #outbound: View
  readonly #texts = new Map<Part, string>()

  constructor(view: View, { patched, ownView }: Circumstances) {
    this.#view = view
    this.#patched = patched
    this.#outbound = ownView ? view : { ...view, namespace: '' }
  }

  /** Key of a cell of `Resources.resource`. */
  key(type: string, name: string): string {
    const part = this.#patched ? EVERYTHING : partOf(type, name, this.#view.stateOfTheWorld)
    let text = this.#texts.get(part)
    if (text === undefined) {
      const from = part === IDENTITY || part === EVERYTHING ? this.#view : this.#outbound
      text = JSON.stringify(Object.fromEntries(part.map((field) => [field, from[field]])))
      this.#texts.set(part, text)
    }
    return `${type}\n${name}\n${text}`
  }
}
