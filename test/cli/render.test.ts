/** `heddle render`, as a process of its own. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { descriptorFile, loadProtos } from '../../src/proto/encode.ts'
import type { Rendered } from '../../src/render.ts'
import { goldenCases, renderCase } from '../support/golden-case.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const golden = fileURLToPath(new URL('../golden', import.meta.url))

const mesh = `apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: { name: web, namespace: shop }
spec: { address: 10.244.0.1, ports: [{ port: 8080, name: http }] }
---
apiVersion: heddle.dev/v1alpha1
kind: Workload
metadata: { name: db-0, namespace: shop }
spec: { address: 10.244.0.2, ports: [{ port: 5432, name: tcp }] }
`
const twins = `${mesh}---\n${mesh.replaceAll('shop', 'other').replaceAll('10.244.0', '10.244.1')}`
const broken = `${mesh}---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { ports: [{ port: none }] }
`
const secret = `${mesh}---
apiVersion: heddle.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { envoyPatch: { allowedNamespaces: [shop] } }
---
apiVersion: heddle.dev/v1alpha1
kind: EnvoyPatch
metadata: { name: credentials, namespace: shop }
spec:
  targetRefs: [{ kind: Namespace }]
  patches:
    - type: type.googleapis.com/envoy.config.route.v3.RouteConfiguration
      name: inbound/8080
      operation: { op: add, path: /request_headers_to_add, value: [{ header: { key: authorization, value: Bearer s3cret } }] }
    - type: type.googleapis.com/envoy.config.route.v3.RouteConfiguration
      name: inbound/8080
      operation: { op: remove, path: /vhds }
`

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-render-'))
  const files = {
    mesh,
    twins,
    broken,
    secret: secret.replace(/ {4}- type.*\n.*\n.*remove.*\n/, ''),
    refused: secret,
    empty: '',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, `${name}.yaml`), text)
})
afterAll(() => rm(folder, { recursive: true }))

interface Outcome {
  readonly status: number
  readonly out: string
  readonly err: string
}

function render(file: string, ...args: string[]): Promise<Outcome> {
  const { promise, resolve: end } = Promise.withResolvers<Outcome>()
  execFile(process.execPath, [main, 'render', resolve(folder, file), ...args], (error, out, err) =>
    end({ status: error === null ? 0 : Number(error.code), out, err }),
  )
  return promise
}

const names = (resources: readonly unknown[]): unknown[] => resources.map((each) => (each as { name?: unknown }).name)

test('prints what golden files hold', async () => {
  const [first] = goldenCases(golden).filter(({ name }) => name === 'service')
  if (first === undefined) throw new Error('there is no golden case called service')
  const protos = loadProtos(readFileSync(descriptorFile))
  const { full } = renderCase(protos, { ...first, settings: { ...first.settings, ipv6: true } })
  const { out, err } = await render(
    join('..', '..', join(first.folder, 'input.yaml')),
    '--workload',
    'web',
    '-o',
    'json',
  )
  expect(err).toBe('')
  expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(full)))
})

test('YAML and JSON say the same', async () => {
  const [yaml, json] = await Promise.all([
    render('mesh.yaml', '--workload', 'web'),
    render('mesh.yaml', '--workload', 'shop/web', '--output', 'json'),
  ])
  expect(yaml.status).toBe(0)
  expect(parse(yaml.out)).toEqual(JSON.parse(json.out))
  expect(names((JSON.parse(json.out) as Rendered).listeners)).toEqual(['again', 'inbound', 'outbound'])
})

test('isolation, protocol and what is dialled make a difference', async () => {
  const [loopback, world, dialled] = await Promise.all([
    render('mesh.yaml', '--workload', 'web', '--isolation', 'loopback', '-o', 'json'),
    render('mesh.yaml', '--workload', 'web', '--state-of-the-world', '-o', 'json'),
    render('mesh.yaml', '--workload', 'web', '-o', 'json', '--dial', '10.244.0.2:5432'),
  ])
  expect(names((JSON.parse(loopback.out) as Rendered).listeners)).toEqual(['again', 'inbound'])
  expect(names((JSON.parse(world.out) as Rendered).listeners)).toEqual(['inbound', 'outbound'])
  expect(names((JSON.parse(dialled.out) as Rendered).clusters)).toContain('tcp|10.244.0.2:5432')
})

describe('says what is wrong', () => {
  test.each([
    ['mesh.yaml', 'wbe', 'no Workload is called wbe; choose one of shop/db-0, shop/web'],
    ['twins.yaml', 'web', 'more than one Workload is called web; choose one of other/web, shop/web'],
    ['empty.yaml', 'web', 'no Workload is called web; '],
    ['gone.yaml', 'web', 'gone.yaml is not there or may not be read'],
  ])('%s, %s', async (file, workload, message) => {
    const { status, out, err } = await render(file, '--workload', workload)
    expect({ status, out }).toEqual({ status: 1, out: '' })
    expect(err).toMatch(/^heddle: [^\n]+\n$/)
    expect(err).toContain(message)
  })

  test('of a name in two namespaces one can be chosen', async () => {
    const { status, out } = await render('twins.yaml', '--workload', 'other/web')
    expect(status).toBe(0)
    expect(out).toContain('spiffe://cluster.local/')
  })

  test('of files, and prints what is in force nevertheless', async () => {
    const { status, out, err } = await render('broken.yaml', '--workload', 'web')
    expect(status).toBe(0)
    expect(err).toMatch(/broken\.yaml:\d+:\d+: error: Service shop\/cart: spec\.ports\[0\]\.port: got "none"/)
    expect(out).toContain('inbound/8080')
  })

  test('of patches', async () => {
    const { status, err } = await render('refused.yaml', '--workload', 'web')
    expect(status).toBe(0)
    expect(err).toMatch(/^error: EnvoyPatch shop\/credentials: spec\.patches\[1\]\.operation\.path: /)
  })
})

test('never prints a secret', async () => {
  const { status, out, err } = await render('secret.yaml', '--workload', 'web')
  expect({ status, err }).toEqual({ status: 0, err: '' })
  expect(out).toContain('key: authorization')
  expect(out).toContain('[redacted]')
  expect(out).not.toContain('s3cret')
})
