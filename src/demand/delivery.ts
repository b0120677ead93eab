// Between the streams and the translation: which content a name has for a proxy, which names it gets unasked, and what its asking
// tells about it. Everything that a stream does to the model goes through here.
import { type Graph, type Reader, type Watch } from '../engine/graph.ts'
import { collectorClusters } from '../envoy/collectors.ts'
import {
  AGAIN,
  CLUSTER,
  EXTENSION,
  INBOUND,
  inboundName,
  LISTENER,
  OUTBOUND,
  parseClusterName,
  PASSTHROUGH,
  PLACEHOLDER_HOST,
  REFUSED,
  REFUSED_HOST,
  upstreamName,
  VIRTUAL_HOST,
} from '../envoy/names.ts'
import type { Resources } from '../envoy/resources.ts'
import { type Circumstances, Scopes } from '../envoy/scope.ts'
import type { View } from '../envoy/view.ts'
import { visibleClusters, visibleVirtualHosts } from '../envoy/visible.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { socketName } from '../mesh/model.ts'
import { sameJson } from '../mesh/same.ts'
import type { Refusal, Resource, ResourceSource, Watched } from '../xds/source.ts'
import type { RefusedNames } from './refused.ts'
import type { WarmSet } from './warm-set.ts'

export interface DeliveryOptions {
  readonly graph: Graph
  readonly mesh: Mesh
  readonly resources: Resources
  readonly warm: WarmSet
  readonly refusedNames: RefusedNames
  /** Asks for a commit soon: something outside a source has changed the model. */
  readonly changed: () => void
  /** Told of each refusal, for conditions and metrics. */
  readonly onRefused?: (view: View, refusal: Refusal) => void
}

/** Names of TLS that a stream is answered for one address: an application may make up as many as it likes, at 30 kB each in its Envoy. */
const MOST_TLS_NAMES = 256

/** Where a workload's uses are kept: what outlives its instances. */
export function warmKey(mesh: Mesh, view: View): string {
  const owner = mesh.services.workload.get(view.workload)?.owner ?? view.workload
  return `${view.namespace}/${view.serviceAccount}/${owner}`
}

export class Delivery implements ResourceSource<View> {
  readonly #options: DeliveryOptions
  readonly #names: Reader<readonly string[]>
  /** By `circumstancesKey`. */
  readonly #circumstances: Reader<Circumstances>
  readonly #streams = new Map<View, Stream>()
  /** Number of streams by workload. */
  readonly #counts = new Map<string, number>()

  constructor(options: DeliveryOptions) {
    this.#options = options
    const { graph, mesh } = options
    this.#circumstances = graph.derive(
      'demand.circumstances',
      (key) => {
        const { workload, namespace } = JSON.parse(key) as Pick<View, 'workload' | 'namespace'>
        return { patched: mesh.patches.get(workload).length > 0, ownView: mesh.hasOwnView.get(namespace) }
      },
      sameJson,
    )
    this.#names = options.graph.derive('demand.names', (key) => namesOf(options, key), sameJson)
  }

  watch(view: View, type: string, name: string, changed: () => void): Watched<Resource | undefined> {
    const stream = this.#streamOf(view)
    const { graph, resources, refusedNames } = this.#options
    const begin = (told: () => void): Watch<Resource | undefined> => {
      stream.scopes ??= new Scopes(view, stream.circumstances.value)
      return graph.watch(resources.resource, stream.scopes.key(type, name), told)
    }
    const cluster = type === CLUSTER ? parseClusterName(name) : undefined
    if (cluster?.kind === 'tls' && !view.stateOfTheWorld) {
      const address = socketName(cluster.address, cluster.port)
      const names = stream.tlsNames.get(address) ?? new Set()
      stream.tlsNames.set(address, names)
      // a name answered before keeps its answer; one too many is nobody's until others are given up
      if (!names.has(name) && names.size >= MOST_TLS_NAMES) return NOTHING
      names.add(name)
      return new StreamWatch(stream, begin, changed, () => names.delete(name))
    }
    if (cluster?.kind !== 'http') return new StreamWatch(stream, begin, changed)
    const watch: StreamWatch = new StreamWatch(stream, begin, () => {
      if (watch.value !== undefined) refusedNames.delete(view.workload, name)
      changed()
    })
    return watch
  }

  /** What all watches of a stream share: how much of what it gets is shared with others. */
  #streamOf(view: View): Stream {
    let stream = this.#streams.get(view)
    if (stream === undefined) {
      const { graph } = this.#options
      const began: Stream = {
        watches: new Set(),
        tlsNames: new Map(),
        scopes: undefined,
        circumstances: graph.watch(this.#circumstances, circumstancesKey(view), () => {
          began.scopes = undefined
          for (const watch of began.watches) watch.swap()
        }),
      }
      stream = began
      this.#streams.set(view, stream)
    }
    return stream
  }

  watchNames(view: View, type: string, changed: () => void): Watched<readonly string[]> {
    const { graph, mesh, warm } = this.#options
    const { workload, namespace, interception, stateOfTheWorld } = view
    const key = JSON.stringify({ type, workload, namespace, interception, stateOfTheWorld })
    const inner = graph.watch(this.#names, key, changed)
    if (type !== CLUSTER || stateOfTheWorld) return inner
    // what it used before this stream; what it uses from now on it asks for by name
    const before = warm.names(warmKey(mesh, view))
    return {
      get value() {
        return [...new Set([...inner.value, ...before])]
      },
      [Symbol.dispose]: () => inner[Symbol.dispose](),
    }
  }

  asked(view: View, type: string, name: string, found: boolean): void {
    const { mesh, warm, refusedNames, changed } = this.#options
    if (type !== CLUSTER) return
    if (found) return warm.used(warmKey(mesh, view), name)
    if (parseClusterName(name)?.kind !== 'http') return
    refusedNames.add(view.workload, name)
    changed()
  }

  answersLater(view: View, type: string, name: string): boolean {
    return type === CLUSTER && this.#options.refusedNames.isFresh(view.workload, name)
  }

  refused(view: View, refusal: Refusal): void {
    this.#options.onRefused?.(view, refusal)
  }

  accepted(): void {
    // what was accepted is with the stream's own state; nobody else asks yet
  }

  released(): void {
    // a name given up stays in the warm set until it has aged: it may be in use again tomorrow
  }

  connected(view: View): void {
    const { mesh, changed } = this.#options
    this.#counts.set(view.workload, (this.#counts.get(view.workload) ?? 0) + 1)
    if (!mesh.services.workload.get(view.workload)) return
    // an authenticated proxy stands before it from now on; that it is away for a moment must not bring plaintext back
    if (!mesh.meshed.has(view.workload)) {
      mesh.meshed.set(view.workload, true)
      changed()
    }
  }

  disconnected(view: View): void {
    this.#streams.get(view)?.circumstances[Symbol.dispose]()
    this.#streams.delete(view)
    const left = (this.#counts.get(view.workload) ?? 1) - 1
    if (left > 0) this.#counts.set(view.workload, left)
    else {
      this.#counts.delete(view.workload)
      this.#options.refusedNames.forget(view.workload)
    }
  }
}

interface Stream {
  readonly watches: Set<StreamWatch>
  /** By address and port: the names of TLS clusters that it watches. */
  readonly tlsNames: Map<string, Set<string>>
  readonly circumstances: Watch<Circumstances>
  /** Undefined until it is needed again. */
  scopes: Scopes | undefined
}

const circumstancesKey = ({ workload, namespace }: View): string => JSON.stringify({ workload, namespace })

/** The watch of a name that is not there and will not come. */
const NOTHING: Watched<undefined> = { value: undefined, [Symbol.dispose]: () => undefined }

/** A watch whose content moves to another key while it goes on. */
class StreamWatch implements Watched<Resource | undefined> {
  readonly #stream: Stream
  readonly #begin: (told: () => void) => Watch<Resource | undefined>
  readonly #changed: () => void
  readonly #ended: () => void
  #inner: Watch<Resource | undefined>

  constructor(
    stream: Stream,
    begin: (told: () => void) => Watch<Resource | undefined>,
    changed: () => void,
    ended: () => void = () => undefined,
  ) {
    this.#ended = ended
    this.#stream = stream
    this.#begin = begin
    this.#changed = changed
    this.#inner = begin(changed)
    stream.watches.add(this)
  }

  get value(): Resource | undefined {
    return this.#inner.value
  }

  swap(): void {
    const old = this.#inner
    this.#inner = this.#begin(this.#changed)
    old[Symbol.dispose]()
    this.#changed()
  }

  [Symbol.dispose](): void {
    this.#stream.watches.delete(this)
    this.#ended()
    this.#inner[Symbol.dispose]()
  }
}

/** The names that a wildcard gets, for a key made by `watchNames`. */
function namesOf({ mesh, refusedNames }: DeliveryOptions, key: string): readonly string[] {
  const { type, workload, namespace, interception, stateOfTheWorld } = JSON.parse(key) as View & { type: string }
  const instance = mesh.services.workload.get(workload)
  const everything = stateOfTheWorld || mesh.discovery.get(namespace) === 'Eager'
  const redirected = interception === 'Redirect'
  switch (type) {
    case LISTENER:
      return [
        ...(stateOfTheWorld ? [] : [AGAIN]),
        ...(redirected ? [OUTBOUND] : []),
        INBOUND,
        ...(instance?.upstreams ?? []).map(({ localPort }) => upstreamName(localPort)),
      ]
    case CLUSTER:
      return [
        PASSTHROUGH,
        REFUSED,
        ...(redirected ? [INBOUND] : []),
        ...(instance?.ports ?? []).map(({ port }) => inboundName(port)),
        ...collectorClusters(mesh.settings.get('')).flatMap(({ name }) => name ?? []),
        ...(everything ? visibleClusters(mesh, namespace, stateOfTheWorld) : []),
      ]
    case VIRTUAL_HOST:
      return [
        PLACEHOLDER_HOST,
        ...(refusedNames.reader.get(workload).length > 0 ? [REFUSED_HOST] : []),
        ...(everything ? visibleVirtualHosts(mesh, namespace) : []),
      ]
    case EXTENSION:
      return []
    default:
      return []
  }
}
