// Which instances a client uses first. Envoy's own zone-aware routing compares the zones of the instances with those of the clients,
// which it reads from a local cluster that a sidecar does not have; so the control plane, which knows where the client is, makes
// priorities and weights of it. Envoy leaves a priority as far as its healthy share, times the overprovisioning factor of 1.4, falls
// below 100 %: with 72 % of its instances healthy a priority still takes everything, with 50 % it passes on 30 %.
import type { Endpoint, Locality } from '../../../mesh/model.ts'
import { localShares, zoneOf, type ZoneAware } from './zone-shares.ts'

export type { ZoneAware } from './zone-shares.ts'

/** Instances of one locality at one priority, as a `LocalityLbEndpoints` holds them. */
export interface LocalityGroup {
  readonly locality: Locality
  /** 0 is used first; there are no gaps. */
  readonly priority: number
  /** Share of the locality in its priority, relative to the others; only where `preferLocal` makes the cluster look at it. */
  readonly weight: number | undefined
  readonly endpoints: readonly Endpoint[]
}

/**
 * Instances by locality, in the order in which a client turns to them: those of its zone (with `preferLocal`), what the failovers
 * of its place name, its region (with `preferLocal`), the rest. Those that are shutting down come after all others.
 */
export function prioritise(
  policy: ZoneAware | undefined,
  client: Locality,
  endpoints: readonly Endpoint[],
): readonly LocalityGroup[] {
  const serving = endpoints.filter(({ draining }) => !draining)
  const leaving = endpoints.filter(({ draining }) => draining)
  const shares = localShares(policy?.preferLocal, client, serving)
  // the first priority is whoever has a share; the others come as if those were gone
  const first = serving.filter((endpoint) => shares?.has(zoneOf(endpoint.locality)))
  const others = serving.filter((endpoint) => !shares?.has(zoneOf(endpoint.locality)))
  const levels = [first, ...tiers(policy, shares !== undefined, client, others), leaving].filter(
    (level) => level.length > 0,
  )
  const weighted = policy?.preferLocal !== undefined
  return levels.flatMap((level, priority) =>
    byLocality(level).map(([locality, members]) => ({
      locality,
      priority,
      weight: weighted ? weightOf(locality, members, level === first ? shares : undefined, level) : undefined,
      endpoints: members,
    })),
  )
}

/** Shares add up to about this, so that small ones survive rounding. */
const WHOLE = 1_000_000

/** By the share of its zone where one is set, divided among the localities of the zone; otherwise as much as its instances weigh. */
function weightOf(
  locality: Locality,
  members: readonly Endpoint[],
  shares: ReadonlyMap<string, number> | undefined,
  level: readonly Endpoint[],
): number {
  const own = totalWeight(members)
  if (shares === undefined || shares.size === 1) return own
  const zone = zoneOf(locality)
  const whole = totalWeight(level.filter((endpoint) => zoneOf(endpoint.locality) === zone))
  return Math.max(1, Math.round(((shares.get(zone) ?? 0) * WHOLE * own) / whole))
}

/** Region, zone and sub-zone, as far as they are named. */
type Place = readonly string[]

/** The order after the client's own zone; some tiers may be empty. */
function tiers(
  policy: ZoneAware | undefined,
  preferred: boolean,
  client: Locality,
  endpoints: readonly Endpoint[],
): Endpoint[][] {
  const places = failoversOf(policy, client).flatMap(({ from, to }): Place[] => [from, to])
  if (preferred) places.push([client.region])
  const found: Endpoint[][] = places.map(() => [])
  const rest: Endpoint[] = []
  for (const endpoint of endpoints) {
    const tier = found[places.findIndex((place) => liesIn(endpoint.locality, place))]
    if (tier === undefined) rest.push(endpoint)
    else tier.push(endpoint)
  }
  return [...found, rest]
}

/** Failovers whose place the client is in: those of the narrowest place first, those of one place in their order. */
function failoversOf(policy: ZoneAware | undefined, client: Locality): { from: Place; to: Place }[] {
  return (policy?.failover ?? [])
    .map(({ from, to }) => ({ from: from.split('/'), to: to.split('/') }))
    .filter(({ from }) => liesIn(client, from))
    .toSorted((a, b) => b.from.length - a.from.length)
}

function liesIn({ region, zone, subZone }: Locality, place: Place): boolean {
  const parts = [region, zone, subZone]
  return place.every((part, level) => part === parts[level])
}

/** In the order of their names, so that the same instances always give the same message. */
function byLocality(endpoints: readonly Endpoint[]): [Locality, readonly Endpoint[]][] {
  const groups = Map.groupBy(endpoints, ({ locality: { region, zone, subZone } }) =>
    JSON.stringify([region, zone, subZone]),
  )
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, members]): [Locality, readonly Endpoint[]][] => {
      const [first] = members
      return first === undefined ? [] : [[first.locality, members]]
    })
}

function totalWeight(endpoints: readonly Endpoint[]): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0)
}
