/**
 * Durations as Gateway API writes them (GEP-2257): up to four groups of at most five digits, each with a unit,
 * such as `1h30m` or `250ms`. They stay strings in the objects, as they do in the API server.
 */
import { z } from 'zod'

const unitMilliseconds = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

export const durationPattern = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/

/** A duration string of GEP-2257, e.g. `15s`, `1h30m`, `250ms`. */
export const duration = z.string().regex(durationPattern, 'a duration such as 250ms, 15s or 1h30m (GEP-2257)').max(32)

/**
 * Milliseconds of a GEP-2257 duration.
 * @param text a string that `duration` accepts; anything else gives `NaN`.
 */
export function durationMs(text: string): number {
  if (!durationPattern.test(text)) return Number.NaN
  let total = 0
  for (const [, count, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    total += Number(count) * unitMilliseconds[unit as keyof typeof unitMilliseconds]
  }
  return total
}
