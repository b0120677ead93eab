// Services and instances as the mesh sees them, and what an address that an application dials stands for.
import { proxyAnnotationPrefix } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader, Table } from '../engine/graph.ts'
import { canonicalAddress } from './address.ts'
import { byAge } from './age.ts'
import { type Lookup, serviceAddresses } from './lookup.ts'
import {
  type Destination,
  type Endpoint,
  keyOf,
  type Locality,
  NO_LOCALITY,
  parseSocketName,
  type Service,
  splitKey,
  type Workload,
} from './model.ts'
import { protocolOf } from './protocol.ts'
import { sameJson } from './same.ts'

const INTERCEPTION: Readonly<Record<string, Workload['interception']>> = { redirect: 'Redirect', none: 'None' }

export interface Services {
  /** By `namespace/name`. */
  readonly service: Reader<Service | undefined>
  /** By `namespace/name`. */
  readonly workload: Reader<Workload | undefined>
  /** By `address:port`. */
  readonly destination: Reader<Destination | undefined>
  /** By `namespace/name:port`: what stands behind a Service's port. */
  readonly endpoints: Reader<readonly Endpoint[]>
  /** By `namespace/name:port`: the accounts that its instances run as, sorted; whether they have a proxy is not asked. */
  readonly identities: Reader<readonly Account[]>
  /** Keys of the Workloads that a label selector picks, by `namespace|label=value,…`. */
  readonly selected: Reader<readonly string[]>
}

export interface Account {
  readonly namespace: string
  readonly name: string
}

export interface ServicesOptions {
  /** Workloads before which an authenticated proxy has been seen, by key; never told from labels. */
  readonly meshed: Table<true>
  /** Workloads that do not serve yet, by key. */
  readonly unready: Table<true>
  /** By `namespace/name:port`: the instance accepts mesh TLS only. */
  readonly strict: (workload: string, port: number) => boolean
}

export function buildServices(graph: Graph, catalog: Catalog, lookup: Lookup, options: ServicesOptions): Services {
  const services = catalog.table('Service')
  const workloads = catalog.table('Workload')
  const slices = catalog.table('EndpointSlice')

  const service = graph.derive<Service | undefined>(
    'mesh.service',
    (key) => {
      const object = services.get(key)
      if (object === undefined) return undefined
      const { spec } = object
      const selector = spec.selector
      return {
        key,
        ...splitKey(key),
        addresses: spec.type === 'ExternalName' ? [] : serviceAddresses(spec),
        ports: (spec.ports ?? [])
          .filter((port) => (port.protocol ?? 'TCP') === 'TCP')
          .map((port) => ({
            name: port.name ?? '',
            port: port.port,
            targetPort: port.targetPort ?? port.port,
            protocol: protocolOf(port),
          })),
        selector: selector === undefined || Object.keys(selector).length === 0 ? undefined : selector,
        clientAffinity:
          spec.sessionAffinity === 'ClientIP'
            ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800)
            : undefined,
        publishNotReady: spec.publishNotReadyAddresses ?? false,
      }
    },
    sameJson,
  )

  const workload = graph.derive<Workload | undefined>(
    'mesh.workload',
    (key) => {
      const object = workloads.get(key)
      if (object === undefined) return undefined
      const { spec, metadata } = object
      return {
        key,
        ...splitKey(key),
        owner: metadata.name,
        serviceAccount: spec.serviceAccount,
        labels: metadata.labels ?? {},
        addresses: spec.address === undefined ? [] : [canonicalAddress(spec.address)],
        locality: { ...NO_LOCALITY, ...spec.locality },
        ports: (spec.ports ?? [])
          .filter((port) => (port.protocol ?? 'TCP') === 'TCP')
          .map((port) => ({ name: port.name ?? '', port: port.port, protocol: protocolOf(port) })),
        weight: spec.weight ?? 1,
        upstreams: (spec.upstreams ?? []).map((upstream) => ({
          kind: upstream.service.kind,
          service: keyOf(upstream.service.namespace ?? splitKey(key).namespace, upstream.service.name),
          servicePort: upstream.service.port,
          localPort: upstream.port,
        })),
        interception: INTERCEPTION[metadata.annotations?.[`${proxyAnnotationPrefix}interception`] ?? ''],
      }
    },
    sameJson,
  )

  // a conflict of two objects over one address goes to the older, as everywhere
  const oldest = (
    keys: readonly string[],
    table: Table<{ readonly metadata: { readonly creationTimestamp?: string | undefined } }>,
  ) =>
    keys.length < 2 ? keys[0] : keys.toSorted((a, b) => byAge(table.get(a)?.metadata, a, table.get(b)?.metadata, b))[0]

  // several Workloads may have the address of one host: those that declare the port, or all where none does
  const workloadsAt = (address: string, port: number): readonly string[] => {
    const all = lookup.workloadsByAddress.get(address)
    if (all.length < 2) return all
    const declaring = all.filter((key) => workload.get(key)?.ports.some((own) => own.port === port))
    return declaring.length > 0 ? declaring : all
  }

  const destination = graph.derive<Destination | undefined>(
    'mesh.destination',
    (name) => {
      const dialled = parseSocketName(name)
      if (dialled === undefined) return undefined
      const { address, port } = dialled
      const key = oldest(lookup.servicesByAddress.get(address), services)
      const found = key === undefined ? undefined : service.get(key)
      if (found !== undefined) {
        const servicePort = found.ports.find((candidate) => candidate.port === port)
        return servicePort === undefined ? undefined : { kind: 'service', service: found, port: servicePort, address }
      }
      const instance = oldest(workloadsAt(address, port), workloads)
      const direct = instance === undefined ? undefined : workload.get(instance)
      if (direct === undefined) return undefined
      const declared = direct.ports.find((candidate) => candidate.port === port)
      return { kind: 'workload', workload: direct, port, protocol: declared?.protocol ?? 'auto', address }
    },
    sameJson,
  )

  const selected = graph.derive<readonly string[]>(
    'mesh.selected',
    (selector) => {
      const at = selector.indexOf('|')
      const namespace = selector.slice(0, at)
      const pairs = selector.slice(at + 1)
      // the index answers one label, the others are read off the few that have it
      const [first = '', ...rest] = pairs === '' ? [''] : pairs.split(',')
      const wanted = rest.map((pair) => pair.split('=') as [string, string])
      return lookup.workloadsByLabel.get(`${namespace}|${first}`).filter((key) => {
        if (wanted.length === 0) return true
        const labels = workload.get(key)?.labels ?? {}
        return wanted.every(([label, value]) => labels[label] === value)
      })
    },
    sameJson,
  )

  const endpoints = graph.derive<readonly Endpoint[]>(
    'mesh.endpoints',
    (key) => {
      const at = key.lastIndexOf(':')
      const owner = service.get(key.slice(0, at))
      const port = owner?.ports.find((candidate) => candidate.port === Number(key.slice(at + 1)))
      if (owner === undefined || port === undefined) return []
      const found = new Map<string, Endpoint>()
      const add = (address: string, target: number, more: Partial<Endpoint>): void => {
        const instanceKey = more.workload ?? oldest(workloadsAt(address, target), workloads)
        const instance = instanceKey === undefined ? undefined : workload.get(instanceKey)
        const endpoint: Endpoint = {
          address,
          port: target,
          locality: instance?.locality ?? NO_LOCALITY,
          weight: instance?.weight ?? 1,
          workload: instanceKey,
          serviceAccount: instance && { namespace: instance.namespace, name: instance.serviceAccount },
          tls:
            instanceKey !== undefined &&
            (options.meshed.get(instanceKey) === true || options.strict(instanceKey, target)),
          draining: false,
          ...more,
        }
        found.set(`${address}|${target}`, endpoint)
      }
      for (const sliceKey of lookup.slicesByService.get(owner.key)) {
        const slice = slices.get(sliceKey)
        const target = slice?.ports.find(({ name, protocol }) => name === port.name && protocol === 'TCP')?.port
        // names are for DNS to resolve: nobody can dial them
        if (slice === undefined || target === undefined || slice.addressType === 'FQDN') continue
        for (const endpoint of slice.endpoints) {
          const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {}
          const draining = !ready && serving && terminating
          if (!ready && !draining && !owner.publishNotReady) continue
          const zone: Locality | undefined =
            endpoint.zone === undefined ? undefined : { ...NO_LOCALITY, zone: endpoint.zone }
          const [address] = endpoint.addresses
          if (address !== undefined)
            add(canonicalAddress(address), target, { draining, ...(zone && { locality: zone }) })
        }
      }
      if (owner.selector !== undefined) {
        for (const instanceKey of selected.get(selectorRow(owner.namespace, owner.selector))) {
          if (!owner.publishNotReady && options.unready.get(instanceKey) === true) continue
          const instance = workload.get(instanceKey)
          const address = instance?.addresses[0]
          if (instance === undefined || address === undefined) continue
          const target =
            typeof port.targetPort === 'number'
              ? port.targetPort
              : instance.ports.find((candidate) => candidate.name === port.targetPort)?.port
          if (target !== undefined) add(address, target, { workload: instanceKey })
        }
      }
      const all = [...found.values()].toSorted((a, b) => compare(a.address, b.address) || a.port - b.port)
      const ready = all.filter((endpoint) => !endpoint.draining)
      return ready.length > 0 ? ready : all
    },
    sameJson,
  )

  const identities = graph.derive<readonly Account[]>(
    'mesh.identities',
    (key) => {
      const accounts = new Map<string, Account>()
      for (const { serviceAccount } of endpoints.get(key))
        if (serviceAccount !== undefined)
          accounts.set(keyOf(serviceAccount.namespace, serviceAccount.name), serviceAccount)
      return [...accounts].toSorted(([a], [b]) => compare(a, b)).map(([, account]) => account)
    },
    sameJson,
  )

  return { service, workload, destination, endpoints, identities, selected }
}

/** The key under which `selected` finds the instances of a label selector. */
export function selectorRow(namespace: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .toSorted()
  return `${namespace}|${pairs.join(',')}`
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
