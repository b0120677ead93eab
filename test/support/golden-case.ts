/**
 * Golden cases: a folder with `input.yaml`, and `expected.yaml` with what a proxy is sent for it. The input says in its first
 * lines what it shows, then, after an empty comment line, whose proxy it is about and which resources are worth reading:
 *
 *     # A plain Service needs a cluster and nothing else.
 *     #
 *     # workload: web
 *     # show: { clusters: '10.96.0.10:80' }
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { z } from 'zod'
import type { Diagnostic } from '../../src/api/index.ts'
import { buildCore, type Core } from '../../src/core.ts'
import { systemClock } from '../../src/engine/clock.ts'
import { CLUSTER, LISTENER, VIRTUAL_HOST } from '../../src/envoy/names.ts'
import type { View } from '../../src/envoy/view.ts'
import type { Protos } from '../../src/proto/encode.ts'
import { render, type Rendered } from '../../src/render.ts'
import { AddressAllocator, LOOPBACK_WORKLOADS } from '../../src/standalone/addresses.ts'
import { createAdmit, rangesOf } from '../../src/standalone/admit.ts'
import { viewOf } from '../../src/standalone/views.ts'
import { upsert } from '../catalog/world.ts'

/** Patterns of names, in which `*` is anything; or by pattern the paths (`a.*.b`) that are worth reading in such resources. */
const selection = z.union([z.string(), z.array(z.string()), z.record(z.string(), z.array(z.string()))])

const types = ['clusters', 'endpoints', 'listeners', 'routes', 'virtual_hosts', 'extensions'] as const

const settings = z.strictObject({
  /** `name`, or `namespace/name`. */
  workload: z.string(),
  isolation: z.enum(['netns', 'loopback']).default('netns'),
  /** As for a client that does not speak delta. */
  stateOfTheWorld: z.boolean().default(false),
  /** Whether the host has IPv6. */
  ipv6: z.boolean().default(false),
  /** Workloads without a proxy. */
  unmeshed: z.array(z.string()).default([]),
  /** What the application dials besides Services: `address:port`, `address:port sni`, or the name of a cluster. */
  dials: z.array(z.string()).default([]),
  show: z.union([z.literal('all'), z.partialRecord(z.enum(types), selection)]),
  /** Also shows the names of what the proxy is sent without asking for it by name. */
  sentAhead: z.boolean().default(false),
})

export type GoldenSettings = z.infer<typeof settings>

export interface GoldenCase {
  readonly name: string
  readonly folder: string
  readonly settings: GoldenSettings
  /** What the sources held, one after the other: more than one where a change is the point. */
  readonly steps: readonly (readonly unknown[])[]
}

const INPUT = 'input.yaml'
export const EXPECTED = 'expected.yaml'
/** What the same file holds afterwards, in a case about a change. */
const AFTERWARDS = 'afterwards.yaml'

export function goldenCases(folder: string): readonly GoldenCase[] {
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, INPUT)))
    .toSorted()
    .map((name) => readCase(join(folder, name), name))
}

/** Folders without input, and files that no case reads. */
export function orphans(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const own = join(folder, name)
    if (!existsSync(join(own, INPUT))) return [own]
    return readdirSync(own)
      .filter((file) => ![INPUT, AFTERWARDS, EXPECTED].includes(file))
      .map((file) => join(own, file))
  })
}

function readCase(folder: string, name: string): GoldenCase {
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
  const afterwards = existsSync(join(folder, AFTERWARDS)) ? [read(AFTERWARDS)] : []
  return parseCase(name, folder, [read(INPUT), ...afterwards])
}

/** A case from the texts of its steps, the first of which begins with its settings. */
export function parseCase(name: string, folder: string, texts: readonly string[]): GoldenCase {
  const head = /^(?:#.*\n)+/.exec(texts[0] ?? '')?.[0] ?? ''
  const lines = head.split('\n').map((line) => line.replace(/^# ?/, ''))
  const gap = lines.indexOf('')
  if (gap < 1) throw new Error(`${name}: begin ${INPUT} with a comment that says what it shows, "#", and the settings`)
  const given: unknown = parse(lines.slice(gap + 1).join('\n'))
  return {
    name,
    folder,
    settings: settings.parse(given),
    steps: texts.map((text) =>
      parseAllDocuments(text)
        .map((document): unknown => document.toJS())
        .filter((object) => object !== null),
    ),
  }
}

export interface GoldenResult {
  /** Everything, for Envoy to judge. */
  readonly full: Rendered
  /** `expected.yaml`. */
  readonly text: string
}

/** What becomes of a case, from a core of its own. */
export function renderCase(protos: Protos, { settings, steps }: GoldenCase): GoldenResult {
  const refusedPatches = new Map<string, Diagnostic>()
  using core = buildCore({
    protos,
    clock: systemClock(),
    onError: (_, error) => {
      throw error
    },
    onPatchRefused: ({ object, diagnostic }) => refusedPatches.set(`EnvoyPatch ${object}`, diagnostic),
  })
  const loopback = settings.isolation === 'loopback'
  const ranges = (mesh: Readonly<Record<string, unknown>>) => rangesOf(mesh, loopback ? LOOPBACK_WORKLOADS : undefined)
  const admit = createAdmit({
    allocator: new AddressAllocator(ranges({})),
    ranges,
    onError: (_, error) => {
      throw error
    },
  })
  for (const objects of steps) {
    const declared = admit(objects).map((object, index) => upsert(object, INPUT, index))
    core.catalog.replaceAll(INPUT, declared)
    core.flush()
    // what is bad is told by the difference between two states, so each is looked at
    const view = viewFor(core, settings)
    if (view !== undefined) render(core, view)
  }
  const view = viewFor(core, settings)
  if (view === undefined) throw new Error(`no Workload is called ${settings.workload}`)
  const full = render(core, view, { destinations: settings.dials })
  const problems = [
    ...core.catalog
      .problems()
      .map(({ severity, text }) => `${severity}: ${text}`)
      .toSorted(),
    ...[...refusedPatches].map(([object, { field, message }]) => `${object}: ${field}: ${message}`),
  ]
  const shown = {
    ...(problems.length > 0 && { problems }),
    ...(settings.sentAhead && { sent_ahead: sentAhead(core, view) }),
    ...show(full, settings.show),
  }
  return { full, text: stringify(shown, { aliasDuplicateObjects: false, lineWidth: 0 }) }
}

function sentAhead(core: Core, view: View): Record<string, readonly string[]> {
  const names = (type: string): readonly string[] => {
    using watch = core.delivery.watchNames(view, type, () => undefined)
    return watch.value.toSorted()
  }
  return { clusters: names(CLUSTER), listeners: names(LISTENER), virtual_hosts: names(VIRTUAL_HOST) }
}

function viewFor(
  core: Core,
  { workload, isolation, ipv6, stateOfTheWorld, unmeshed }: GoldenSettings,
): View | undefined {
  const keys = [...core.catalog.table('Workload').entries()].map(([key]) => key)
  const named = (name: string) => (key: string) => key === name || key.endsWith(`/${name}`)
  for (const key of keys) if (!unmeshed.some((name) => named(name)(key))) core.mesh.meshed.set(key, true)
  const key = keys.find(named(workload))
  const interception = isolation === 'loopback' ? 'None' : 'Redirect'
  return key === undefined
    ? undefined
    : viewOf(core.mesh, key, { interception, ipv6 }, stateOfTheWorld ? 'sotw' : 'delta')
}

function show(full: Rendered, wanted: GoldenSettings['show']): Partial<Rendered> {
  if (wanted === 'all') return full
  const shown: Partial<Record<keyof Rendered, readonly unknown[]>> = {}
  for (const [type, selected] of Object.entries(wanted) as [keyof Rendered, z.infer<typeof selection>][]) {
    const all = full[type]
    const patterns: readonly (readonly [string, readonly string[]])[] =
      typeof selected === 'string'
        ? [[selected, []]]
        : Array.isArray(selected)
          ? selected.map((pattern) => [pattern, []] as const)
          : Object.entries(selected)
    shown[type] = all.flatMap((resource) => {
      const found = patterns.find(([pattern]) => matches(pattern, nameOf(resource)))
      if (found === undefined) return []
      const [, paths] = found
      return [
        paths.length === 0
          ? resource
          : project(
              resource,
              ['name', 'cluster_name', ...paths].map((path) => path.split('.')),
            ),
      ]
    })
    for (const [pattern] of patterns)
      if (!pattern.startsWith('!') && !all.some((resource) => matches(pattern, nameOf(resource))))
        throw new Error(`no ${type} is called ${pattern}; there are ${all.map(nameOf).join(', ')}`)
  }
  return shown
}

/** `!name` says that there shall be none of that name. */
function matches(pattern: string, name: string): boolean {
  if (pattern.startsWith('!')) {
    if (matches(pattern.slice(1), name)) throw new Error(`there is a resource called ${name}`)
    return false
  }
  const regex = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${regex.join('.*')}$`).test(name)
}

export function nameOf(resource: unknown): string {
  const { name, cluster_name: cluster } = resource as { readonly name?: string; readonly cluster_name?: string }
  return name ?? cluster ?? ''
}

/** What stands at any of the paths, in its place. */
function project(value: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.some((path) => path.length === 0) || typeof value !== 'object' || value === null) return value
  const below = (key: string) => paths.filter(([first]) => first === '*' || first === key).map((path) => path.slice(1))
  if (Array.isArray(value))
    return value.flatMap((item: unknown, index) => {
      const wanted = below(String(index))
      return wanted.length === 0 ? [] : [project(item, wanted)]
    })
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]): [string, unknown][] =>
      below(key).length === 0 ? [] : [[key, project(item, below(key))]],
    ),
  )
}
