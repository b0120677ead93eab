// How much of a client's traffic each zone takes with `preferLocal`. The arithmetic is that of Envoy's zone-aware routing; where Envoy
// counts the clients of each zone, they are taken here to be spread evenly over the zones that have instances.
import type { LoadBalancer } from '../../../api/heddle/traffic/load-balancer.ts'
import type { Endpoint, Locality } from '../../../mesh/model.ts'

export type ZoneAware = NonNullable<LoadBalancer['zoneAware']>
type PreferLocal = NonNullable<ZoneAware['preferLocal']>

/** Zones of different regions may have one name. */
export const zoneOf = ({ region, zone }: Locality): string => `${region}/${zone}`

/**
 * Shares of the zones that take part at first, adding up to 1. Undefined where zones are not looked at: the client says none, its zone
 * has no instance, or there are fewer instances than the policy asks for.
 */
export function localShares(
  prefer: PreferLocal | undefined,
  client: Locality,
  serving: readonly Endpoint[],
): ReadonlyMap<string, number> | undefined {
  if (prefer === undefined || client.zone === '' || serving.length < prefer.minEndpointsThreshold) return undefined
  const own = zoneOf(client)
  const zones = Map.groupBy(serving, ({ locality }) => zoneOf(locality))
  const local = zones.get(own)
  if (local === undefined) return undefined
  const weigh = (endpoints: readonly Endpoint[]): number => endpoints.reduce((sum, { weight }) => sum + weight, 0)
  const whole = weigh(serving)
  const capacity = new Map([...zones].map(([zone, endpoints]) => [zone, weigh(endpoints) / whole]))

  const even = 1 / zones.size
  const forced = prefer.force !== undefined && local.length >= prefer.force.minEndpointsInZoneThreshold
  const kept = forced ? 1 : Math.min(1, (capacity.get(own) ?? 0) / even)
  // what the zone cannot bear goes where there is more than the clients there need
  const spare = new Map([...capacity].map(([zone, share]) => [zone, zone === own ? 0 : Math.max(0, share - even)]))
  const allSpare = [...spare.values()].reduce((sum, share) => sum + share, 0)

  const looking = prefer.percentageEnabled / 100
  const shares = new Map<string, number>()
  for (const [zone, share] of capacity) {
    const aware = zone === own ? kept : allSpare === 0 ? 0 : ((1 - kept) * (spare.get(zone) ?? 0)) / allSpare
    const total = looking * aware + (1 - looking) * share
    if (total > 0) shares.set(zone, total)
  }
  return shares
}
