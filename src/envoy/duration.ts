// Durations from the form that people write (GEP-2257) to the one that Envoy's messages hold.
import { durationMs } from '../api/duration.ts'
import type { Duration } from '../proto/types.ts'

/** `250ms` becomes `0.25s`. */
export function toDuration(text: string): Duration {
  return `${durationMs(text) / 1000}s`
}

/** As `toDuration`; undefined for nothing and for zero, where Envoy takes only what is more than zero. */
export function positiveDuration(text: string | undefined): Duration | undefined {
  return text === undefined || durationMs(text) === 0 ? undefined : toDuration(text)
}
