import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: string
const good = 'apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 80}]}\n'
const bad = good.replace('port: 80', 'port: none')
const warned = good
  .replace('kind: Service', 'kind: Service\nmetadatum: 1')
  .replace('v1', 'heddle.dev/v1alpha1')
  .replace('kind: Service', 'kind: Workload')
  .replace('{ports: [{port: 80}]}', '{}')
const unread = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\n'
const dangling = `apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r, namespace: shop}
spec:
  rules:
  - backendRefs:
    - {name: no, port: 80}
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-validate-'))
  const files = {
    good,
    bad,
    warned,
    unread,
    dangling,
    secret: good.replace(/spec.*/s, 'data: "s3cret').replace('Service', 'Secret'),
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, `${name}.yaml`), text)
})
afterAll(() => rm(folder, { recursive: true }))

interface Outcome {
  readonly status: number
  readonly out: string
  readonly err: string
}

function heddle(...args: string[]): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const script = `import { validateCommand } from './src/cli/validate.ts'
    await validateCommand().parseAsync(process.argv.slice(1), { from: 'user' })`
  execFile(process.execPath, ['--input-type=module-typescript', '--eval', script, '--', ...args], (error, out, err) =>
    resolve({ status: error === null ? 0 : Number(error.code), out, err }),
  )
  return promise
}

const file = (name: string): string => join(folder, `${name}.yaml`)

describe('exit status', () => {
  test.each<[string, number, () => string[]]>([
    ['all is well', 0, () => [file('good')]],
    ['kinds that are not read', 0, () => [file('unread')]],
    ['errors', 1, () => [file('good'), file('bad')]],
    ['warnings', 0, () => [file('dangling')]],
    ['warnings, strict', 1, () => ['--strict', file('dangling')]],
    ['warnings, strict, references not looked at', 0, () => ['--strict', '--no-references', file('dangling')]],
    ['unknown fields, strict', 1, () => ['--strict', file('warned')]],
    ['no path', 2, () => []],
    ['an option that is not there', 2, () => ['--fast', file('good')]],
    ['a path that is not there', 2, () => [file('none')]],
    ['help', 0, () => ['--help']],
  ])('%s: %i', async (_name, status, args) => {
    expect(await heddle(...args())).toMatchObject({ status })
  })
})

test('a line a problem, and a summary', async () => {
  const { out } = await heddle(file('bad'), file('dangling'), file('unread'))
  expect(out.replaceAll(`${folder}/`, '').split('\n')).toEqual([
    'bad.yaml:4:17: error: Service shop/cart: spec.ports[0].port: got "none"; expected a number',
    expect.stringMatching(
      /^dangling\.yaml:7:7: warning: TCPRoute shop\/r: spec\.rules\[0\]\.backendRefs\[0\]: refers to Service shop\/no/,
    ),
    'unread.yaml:2:1: note: Deployment default/cart: kind: apps/v1 Deployment is no kind that Heddle reads; passed over',
    '1 object, 1 error, 1 warning, 1 note',
    '',
  ])
})

test('as JSON', async () => {
  const { out } = await heddle('-o', 'json', folder)
  const { problems, summary } = JSON.parse(out) as { problems: object[]; summary: object }
  expect(summary).toMatchObject({ objects: 2, errors: 3, notes: 1 })
  expect(problems).toContainEqual(
    expect.objectContaining({
      severity: 'error',
      code: 'wrong-type',
      source: file('bad'),
      line: 4,
      kind: 'Service',
      name: 'cart',
      path: ['spec', 'ports', 0, 'port'],
    }),
  )
})

test('secrets are not printed', async () => {
  const { status, out, err } = await heddle(file('secret'))
  expect(status).toBe(1)
  expect(out).toContain('Secret shop/cart')
  expect(out + err).not.toContain('s3cret')
})
