/**
 * The reference: one page for each kind of our own, with all fields, defaults, bounds and rules, and an example that is
 * checked; and an index of all kinds and versions that are read.
 */
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { allKinds, apiVersionOf, diagnosticText, findKind, type Kind, parse } from '../../src/api/index.ts'
import { durationPattern } from '../../src/api/duration.ts'
import { structural, type Structural } from './structural.ts'

const notice = '<!-- Generated from src/api by `make generate`; edit it there. -->\n'

/** Stanzas that the Mesh has as defaults are described with the kind they belong to. */
const elsewhere = new Map([['Mesh spec.defaults', 'the stanzas of a [TrafficPolicy](trafficpolicy.md)']])

/** The page of a kind. `example` is YAML of one or more objects. */
export function referencePage(kind: Kind, example: string): string {
  checkExample(kind, example)
  const rows: string[] = []
  const rules: string[] = []
  const { properties = {}, required = [] } = structural(kind.schema)
  collect(kind, 'spec', properties['spec'] ?? {}, required.includes('spec'), rows)
  collectRules(z.toJSONSchema(kind.schema, { io: 'input' }), '', rules, kind)
  const head = [
    `# ${kind.kind}`,
    kind.description,
    `\`apiVersion: ${apiVersionOf(kind, kind.version)}\`, ${kind.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}${short(kind)}.`,
    '## Example',
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
    '## Fields',
    'Durations are written as Gateway API has them (GEP-2257): `250ms`, `15s`, `1h30m`. Fields marked * are required where what contains them is there.',
  ]
  const table = ['| field | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n')
  const listed = rules.length === 0 ? [] : ['## Rules between fields', rules.map((rule) => `- ${rule}`).join('\n')]
  return `${notice}\n${[...head, table, ...listed].join('\n\n')}\n`
}

/** The index of all kinds. */
export function referenceIndex(): string {
  return `${notice}
# Reference

All kinds that Heddle reads. Objects of other kinds are passed over. Unknown fields are ignored with a warning; wrong
values are refused with the path of the field, what it holds and what was expected, and the last good version stays in force.

## Heddle's own

${indexTable(allKinds.filter(({ ours }) => ours))}

## Kubernetes and Gateway API

Gateway API kinds are refused where the custom resource definitions of its experimental channel, v1.6, refuse them. Of
Kubernetes' own kinds only what a mesh needs is read.

${indexTable(allKinds.filter(({ ours }) => !ours))}

## In an editor

\`schemas/heddle.json\` checks and completes all of these while one types. With an editor that runs yaml-language-server,
begin a file with \`# yaml-language-server: $schema=PATH/TO/schemas/heddle.json\`.
`
}

function indexTable(kinds: readonly Kind[]): string {
  return ['| kind | versions | what for |', '|---|---|---|', ...kinds.map(indexRow)].join('\n')
}

function indexRow(kind: Kind): string {
  const name = kind.ours ? `[${kind.kind}](${pageName(kind)})` : kind.kind
  const versions = kind.versions.map((version) => `\`${apiVersionOf(kind, version)}\``).join(', ')
  return `| ${name} | ${versions} | ${kind.description} |`
}

export function pageName(kind: Kind): string {
  return `${kind.kind.toLowerCase()}.md`
}

function short(kind: Kind): string {
  return kind.shortNames.length === 0 ? '' : `, short ${kind.shortNames.map((name) => `\`${name}\``).join(', ')}`
}

function collect(kind: Kind, path: string, schema: Structural, required: boolean, rows: string[]): void {
  const link = elsewhere.get(`${kind.kind} ${path}`)
  const below = schema.items ?? schema
  if (path !== 'spec') {
    const preset = link !== undefined || schema.type === 'object' ? undefined : schema.default
    const shown = preset === undefined ? '' : `\`${presetText(preset)}\``
    const meaning = [schema.description, link].filter((part) => part !== undefined).join(' See ')
    rows.push(
      `| \`${path.slice('spec.'.length)}\`${required ? ' *' : ''} | ${typeText(schema)} | ${cell(shown)} | ${cell(meaning)} |`,
    )
  }
  if (link !== undefined) return
  for (const [name, property] of Object.entries(below.properties ?? {})) {
    const inner = schema.items === undefined ? path : `${path}[]`
    collect(kind, `${inner}.${name}`, property, below.required?.includes(name) ?? false, rows)
  }
}

function presetText(preset: unknown): string {
  return preset === '' ? '""' : JSON.stringify(preset).replaceAll('"', '')
}

function typeText(schema: Structural): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${presetText(value)}\``).join(', ')
  switch (schema.type) {
    case 'array': {
      const items = schema.items?.enum === undefined ? plural(schema.items) : typeText(schema.items)
      return `list of ${items}${range(schema.minItems, schema.maxItems)}`
    }
    case 'object':
      return schema.additionalProperties === undefined ? 'object' : `map to ${typeText(schema.additionalProperties)}`
    case 'integer':
    case 'number':
      return `${schema.type}${range(schema.minimum, schema.maximum)}`
    case 'string':
      return schema.pattern === durationPattern.source ? 'duration' : 'string'
    case undefined:
      return 'any value'
    default:
      return schema.type
  }
}

function plural(schema: Structural | undefined): string {
  const [first = '', rest = ''] = schema === undefined ? [] : [schema.type, range(schema.minimum, schema.maximum)]
  return `${first}s${rest}`
}

function range(least: number | undefined, most: number | undefined): string {
  const bounded = most !== undefined && most < 2 ** 31 - 1
  if (least === undefined) return bounded ? `, at most ${most}` : ''
  return bounded ? `, ${least} to ${most}` : `, at least ${least}`
}

function collectRules(schema: unknown, path: string, found: string[], kind: Kind): void {
  if (typeof schema !== 'object' || schema === null || elsewhere.has(`${kind.kind} ${path}`)) return
  const { properties, items, additionalProperties, rules } = schema as Readonly<Record<string, unknown>>
  const place = path === '' ? 'the object' : `\`${path.replace(/^spec\./, '')}\``
  if (Array.isArray(rules)) found.push(...rules.map((rule) => `${place}: ${String(rule)}`))
  for (const [name, property] of Object.entries(properties ?? {})) {
    if (name !== 'metadata') collectRules(property, path === '' ? name : `${path}.${name}`, found, kind)
  }
  collectRules(items, `${path}[]`, found, kind)
  collectRules(additionalProperties, `${path}.*`, found, kind)
}

/** An example that Heddle would refuse, or warn of, is a mistake of ours. */
function checkExample(kind: Kind, example: string): void {
  for (const document of parseAllDocuments(example)) {
    const raw = document.toJS() as { readonly apiVersion: string; readonly kind: string }
    const parsed = parse(findKind(raw.apiVersion, raw.kind) ?? kind, raw)
    const findings = parsed.ok ? parsed.warnings : parsed.errors
    if (findings.length > 0) throw new Error(`example of ${kind.kind}: ${findings.map(diagnosticText).join('; ')}`)
  }
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}
