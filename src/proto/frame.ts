/**
 * Discovery requests and responses by hand. A response is made of resources that were encoded once for everybody, so
 * only their frame is written for each stream; a request may carry a node of 60 kB, of which a few fields are read.
 */
import { BackwardWriter, WireReader } from './wire.ts'

export interface FramedResource {
  readonly name: string
  readonly version: string
  /** The serialised message, not yet in an Any. */
  readonly bytes: Uint8Array
}

export interface DeltaResponse {
  /** As `type.googleapis.com/envoy.config.cluster.v3.Cluster`; that of every resource too. */
  readonly typeUrl: string
  readonly nonce: string
  readonly resources: readonly FramedResource[]
  readonly removed: readonly string[]
  /** Only for debugging. */
  readonly systemVersion?: string | undefined
}

/** A serialised `envoy.service.discovery.v3.DeltaDiscoveryResponse`. */
export const encodeDeltaResponse = (response: DeltaResponse): Buffer => {
  const { typeUrl, resources, removed } = response
  const writer = new BackwardWriter(sizeOf(resources, typeUrl) + removed.length * 48)
  for (const name of removed.toReversed()) writer.string(6, name)
  writer.text(5, response.nonce)
  writer.text(4, typeUrl)
  for (let index = resources.length - 1; index >= 0; index--) {
    const resource = resources[index]
    if (resource === undefined) continue
    const mark = writer.written
    writer.text(3, resource.name)
    writeAny(writer, 2, typeUrl, resource.bytes)
    writer.text(1, resource.version)
    writer.close(2, mark)
  }
  writer.text(1, response.systemVersion ?? '')
  return writer.finish()
}

export interface StateResponse {
  readonly typeUrl: string
  /** Of the whole: state-of-the-world has no versions of single resources. */
  readonly version: string
  readonly nonce: string
  /** Serialised messages, not yet in an Any. */
  readonly resources: readonly Uint8Array[]
}

/** A serialised `envoy.service.discovery.v3.DiscoveryResponse`. */
export const encodeStateResponse = (response: StateResponse): Buffer => {
  const { typeUrl, resources } = response
  const size = resources.reduce((sum, bytes) => sum + bytes.length + typeUrl.length + 16, 256)
  const writer = new BackwardWriter(size)
  writer.text(5, response.nonce)
  writer.text(4, typeUrl)
  for (const bytes of resources.toReversed()) writeAny(writer, 2, typeUrl, bytes)
  writer.text(1, response.version)
  return writer.finish()
}

const sizeOf = (resources: readonly FramedResource[], typeUrl: string): number =>
  resources.reduce(
    (sum, { name, version, bytes }) => sum + bytes.length + name.length + version.length + typeUrl.length + 32,
    256,
  )

const writeAny = (writer: BackwardWriter, field: number, typeUrl: string, bytes: Uint8Array): void => {
  const mark = writer.written
  if (bytes.length > 0) writer.bytes(2, bytes)
  writer.text(1, typeUrl)
  writer.close(field, mark)
}

/** What is read of an `envoy.config.core.v3.Node`. */
export interface RequestNode {
  readonly id: string
  readonly cluster: string
  readonly userAgentName: string
  /** As `1.40.0`, from either of the two fields that hold it; empty if neither is set. */
  readonly userAgentVersion: string
  readonly clientFeatures: readonly string[]
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string }
  /** Only if it was asked for. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined
}

export interface DeltaRequest {
  /** Envoy sends it with the first request of a stream, or with each. */
  readonly node: RequestNode | undefined
  readonly typeUrl: string
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  /** What the client has from an earlier stream: version by name. */
  readonly initialVersions: ReadonlyMap<string, string>
  /** Of the response that this accepts or refuses; empty if it answers none. */
  readonly nonce: string
  /** Set if it refuses. */
  readonly error: RequestError | undefined
}

export interface StateRequest {
  readonly node: RequestNode | undefined
  readonly typeUrl: string
  /** Empty may mean all. */
  readonly names: readonly string[]
  /** The last version that the client accepted. */
  readonly version: string
  readonly nonce: string
  readonly error: RequestError | undefined
}

/** A `google.rpc.Status`. */
export interface RequestError {
  readonly code: number
  readonly message: string
}

export interface DecodeOptions {
  /** Read the node's metadata too. */
  readonly metadata?: boolean
}

/** From a serialised `DeltaDiscoveryRequest`. Throws if it is not one. */
export const decodeDeltaRequest = (bytes: Uint8Array, options: DecodeOptions = {}): DeltaRequest => {
  let node: RequestNode | undefined
  let typeUrl = ''
  const subscribe: string[] = []
  const unsubscribe: string[] = []
  const initialVersions = new Map<string, string>()
  let nonce = ''
  let error: RequestError | undefined
  const reader = new WireReader(bytes)
  while (reader.next()) {
    if (reader.field === 1) node = readNode(reader.message(), options)
    else if (reader.field === 2) typeUrl = reader.string()
    else if (reader.field === 3) subscribe.push(reader.string())
    else if (reader.field === 4) unsubscribe.push(reader.string())
    else if (reader.field === 5) initialVersions.set(...readVersion(reader.message()))
    else if (reader.field === 6) nonce = reader.string()
    else if (reader.field === 7) error = readError(reader.message())
    else reader.skip()
  }
  return { node, typeUrl, subscribe, unsubscribe, initialVersions, nonce, error }
}

/** From a serialised `DiscoveryRequest`. Throws if it is not one. */
export const decodeStateRequest = (bytes: Uint8Array, options: DecodeOptions = {}): StateRequest => {
  let node: RequestNode | undefined
  let typeUrl = ''
  const names: string[] = []
  let version = ''
  let nonce = ''
  let error: RequestError | undefined
  const reader = new WireReader(bytes)
  while (reader.next()) {
    if (reader.field === 1) version = reader.string()
    else if (reader.field === 2) node = readNode(reader.message(), options)
    else if (reader.field === 3) names.push(reader.string())
    else if (reader.field === 4) typeUrl = reader.string()
    else if (reader.field === 5) nonce = reader.string()
    else if (reader.field === 6) error = readError(reader.message())
    else reader.skip()
  }
  return { node, typeUrl, names, version, nonce, error }
}

const readNode = (reader: WireReader, options: DecodeOptions): RequestNode => {
  let id = ''
  let cluster = ''
  let userAgentName = ''
  let userAgentVersion = ''
  const clientFeatures: string[] = []
  let locality: RequestNode['locality'] = { region: '', zone: '', subZone: '' }
  let metadata: Readonly<Record<string, unknown>> | undefined
  while (reader.next()) {
    if (reader.field === 1) id = reader.string()
    else if (reader.field === 2) cluster = reader.string()
    else if (reader.field === 3 && options.metadata === true) metadata = readStruct(reader.message())
    else if (reader.field === 4) locality = readLocality(reader.message())
    else if (reader.field === 6) userAgentName = reader.string()
    else if (reader.field === 7) userAgentVersion = reader.string()
    else if (reader.field === 8) userAgentVersion = readBuildVersion(reader.message())
    else if (reader.field === 10) clientFeatures.push(reader.string())
    else reader.skip()
  }
  return { id, cluster, userAgentName, userAgentVersion, clientFeatures, locality, metadata }
}

const readLocality = (reader: WireReader): RequestNode['locality'] => {
  const parts = ['', '', '']
  while (reader.next()) {
    if (reader.field >= 1 && reader.field <= 3) parts[reader.field - 1] = reader.string()
    else reader.skip()
  }
  const [region = '', zone = '', subZone = ''] = parts
  return { region, zone, subZone }
}

/** BuildVersion holds a SemanticVersion of three numbers. */
const readBuildVersion = (reader: WireReader): string => {
  const numbers = [0, 0, 0]
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip()
      continue
    }
    const version = reader.message()
    while (version.next()) {
      if (version.field >= 1 && version.field <= 3) numbers[version.field - 1] = version.uint32()
      else version.skip()
    }
  }
  return numbers.join('.')
}

const readVersion = (reader: WireReader): [string, string] => {
  let name = ''
  let version = ''
  while (reader.next()) {
    if (reader.field === 1) name = reader.string()
    else if (reader.field === 2) version = reader.string()
    else reader.skip()
  }
  return [name, version]
}

const readError = (reader: WireReader): RequestError => {
  let code = 0
  let message = ''
  while (reader.next()) {
    if (reader.field === 1) code = reader.uint32()
    else if (reader.field === 2) message = reader.string()
    else reader.skip()
  }
  return { code, message }
}

const deepest = 32

const readStruct = (reader: WireReader, depth = 0): Record<string, unknown> => {
  if (depth > deepest) throw new Error(`node metadata is nested more than ${deepest} levels deep`)
  const out = new Map<string, unknown>()
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip()
      continue
    }
    const entry = reader.message()
    let key = ''
    let value: unknown = null
    while (entry.next()) {
      if (entry.field === 1) key = entry.string()
      else if (entry.field === 2) value = readValue(entry.message(), depth + 1)
      else entry.skip()
    }
    out.set(key, value)
  }
  return Object.fromEntries(out)
}

const readValue = (reader: WireReader, depth: number): unknown => {
  let value: unknown = null
  while (reader.next()) {
    if (reader.field === 2) value = reader.double()
    else if (reader.field === 3) value = reader.string()
    else if (reader.field === 4) value = reader.uint32() !== 0
    else if (reader.field === 5) value = readStruct(reader.message(), depth)
    else if (reader.field === 6) value = readList(reader.message(), depth + 1)
    else {
      reader.skip()
      value = null
    }
  }
  return value
}

const readList = (reader: WireReader, depth: number): unknown[] => {
  if (depth > deepest) throw new Error(`node metadata is nested more than ${deepest} levels deep`)
  const out: unknown[] = []
  while (reader.next()) {
    if (reader.field === 1) out.push(readValue(reader.message(), depth + 1))
    else reader.skip()
  }
  return out
}
