// What the folder source tells of itself.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface FileMetrics {
  /** Changes were brought in, this long after they were first seen. */
  reloaded(seconds: number): void
  /** Files that are read, and those whose last good content stays because the new cannot be read. */
  files(read: number, held: number): void
  /** A change that was not taken. */
  refused(): void
}

export function fileMetrics(registry: Registry): FileMetrics {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'heddle_source_reload_seconds',
    help: 'Time from the first sight of a change in a folder to its being in the catalog',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const read = new Gauge({ name: 'heddle_source_files', help: 'Files of objects that are read', registers })
  const held = new Gauge({
    name: 'heddle_source_files_held',
    help: 'Files whose last good content stays in force because the new cannot be read',
    registers,
  })
  const refused = new Counter({
    name: 'heddle_source_refused_total',
    help: 'Changes of a file that were not taken because it cannot be read or looks unfinished',
    registers,
  })
  return {
    reloaded: (duration) => seconds.observe(duration),
    files(count, heldCount) {
      read.set(count)
      held.set(heldCount)
    },
    refused: () => refused.inc(),
  }
}
