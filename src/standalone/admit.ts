/**
 * Fills in what the API server would: addresses of Services, Workloads and ExternalServices that name none. Objects are raw
 * here, before validation: whatever does not look right passes as it is, for the catalog to refuse.
 */
import { AddressAllocator, type AddressRanges } from './addresses.ts'

export interface AdmitOptions {
  readonly allocator: AddressAllocator
  /** Ranges, given the spec of the Mesh (raw; empty where there is none). */
  readonly ranges: (mesh: Readonly<Record<string, unknown>>) => AddressRanges
  /** Told of an object that gets no address: a range that is no range, or is used up. */
  readonly onError: (object: string, error: unknown) => void
}

type Fields = Readonly<Record<string, unknown>>

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

/** The same object again for an object that needs nothing, or was given the same before. */
export function createAdmit({
  allocator,
  ranges,
  onError,
}: AdmitOptions): (objects: readonly unknown[]) => readonly unknown[] {
  const filled = new WeakMap<object, { readonly addresses: string; readonly object: unknown }>()
  let range = ''

  const fill = (raw: object, addresses: readonly string[], patch: (spec: Fields) => Fields): unknown => {
    const known = filled.get(raw)
    const wanted = addresses.join()
    if (known?.addresses === wanted) return known.object
    const object = { ...raw, spec: patch(fields(fields(raw)['spec'])) }
    filled.set(raw, { addresses: wanted, object })
    return object
  }

  return (objects) => {
    const mesh = objects.find((object) => fields(object)['kind'] === 'Mesh')
    const wanted = ranges(fields(fields(mesh)['spec']))
    if (JSON.stringify(wanted) !== range) {
      try {
        allocator.setRanges(wanted)
        range = JSON.stringify(wanted)
      } catch (error) {
        onError('Mesh default', error)
      }
    }
    const needs: { readonly at: number; readonly run: () => unknown; readonly name: string }[] = []
    const answer = [...objects]
    // what people chose comes first, so that nobody is given an address that another object names
    for (const [at, raw] of objects.entries()) {
      const object = fields(raw)
      const metadata = fields(object['metadata'])
      const spec = fields(object['spec'])
      const name = text(metadata['name'])
      if (typeof raw !== 'object' || raw === null || name === undefined) continue
      const key = `${text(metadata['namespace']) ?? 'default'}/${name}`
      switch (object['kind']) {
        case 'Service': {
          if (spec['type'] === 'ExternalName' || spec['clusterIP'] === 'None') break
          const chosen = texts(spec['clusterIPs'])
          const own = text(spec['clusterIP'])
          const given = chosen.length > 0 ? chosen : own === undefined ? [] : [own]
          if (given.length > 0) allocator.reserve('Service', key, given)
          else
            needs.push({
              at,
              name: `Service ${key}`,
              run: () => {
                const addresses = allocator.allocate('Service', key)
                return fill(raw, addresses, (own_) => ({ ...own_, clusterIP: addresses[0], clusterIPs: addresses }))
              },
            })
          break
        }
        case 'Workload': {
          const own = text(spec['address'])
          if (own !== undefined) allocator.reserve('Workload', key, [own])
          else
            needs.push({
              at,
              name: `Workload ${key}`,
              run: () => {
                const addresses = allocator.allocate('Workload', key)
                return fill(raw, addresses, (own_) => ({ ...own_, address: addresses[0] }))
              },
            })
          break
        }
        case 'ExternalService': {
          const owner = `external.${key}`
          const chosen = texts(spec['addresses'])
          if (chosen.length > 0) allocator.reserve('Service', owner, chosen)
          // a name that stands for many has no address that could stand for it
          else if (texts(spec['hosts']).some((host) => !host.startsWith('*')))
            needs.push({
              at,
              name: `ExternalService ${key}`,
              run: () => {
                const addresses = allocator.allocate('Service', owner)
                return fill(raw, addresses, (own_) => ({ ...own_, addresses }))
              },
            })
          break
        }
        default:
      }
    }
    for (const { at, run, name } of needs) {
      try {
        answer[at] = run()
      } catch (error) {
        onError(name, error)
      }
    }
    return answer
  }
}

/** The ranges that a Mesh's raw spec names, or the defaults; Workloads' own where the isolation dictates it. */
export function rangesOf(mesh: Fields, workloads?: string): AddressRanges {
  return {
    Service: [text(mesh['serviceRange']) ?? '10.96.0.0/16'],
    Workload: [workloads ?? text(mesh['workloadRange']) ?? '10.244.0.0/16'],
  }
}
