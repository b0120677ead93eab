// What is typed wrong is told at once, in a line that says how to mend it.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkout } from '../support/envoy.ts'

let folder: string
let mesh: string
let taken: string
const holder = createServer()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-usage-'))
  mesh = join(folder, 'mesh.yaml')
  await writeFile(mesh, '')
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  const address = holder.address()
  taken = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
})
afterAll(async () => {
  holder.close()
  await rm(folder, { recursive: true })
})

const heddle = (...args: readonly string[]) =>
  promisify(execFile)(join(checkout, 'bin/heddle'), [...args], { env: { ...process.env, XDG_STATE_HOME: folder } })

test.each([
  ['a path that is not there', ['run', '/nowhere'], '/nowhere is not there or may not be read'],
  ['the same for up', ['up', '/nowhere'], '/nowhere is not there or may not be read'],
  ['no address', ['run', 'MESH', '--http', 'foo'], 'Expected HOST:PORT'],
  ['a port that is none', ['run', 'MESH', '--xds', '127.0.0.1:99999'], 'Expected HOST:PORT'],
  ['a level that is none', ['up', 'MESH', '--log-level', 'loud'], 'Allowed choices are'],
  ['an address in use', ['run', 'MESH', '--xds', '127.0.0.1:0', '--http', 'TAKEN'], 'choose another with --http'],
  ['no namespace', ['token', 'MESH', 'web'], "expected namespace/name, got 'web'"],
  ['an unknown command', ['upp'], "unknown command 'upp'"],
])('%s', async (_, args, message) => {
  const words = args.map((word) => ({ MESH: mesh, TAKEN: taken })[word] ?? word)
  await expect(heddle(...words)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(message) as string })
})

test('a token is made, and revoked', async () => {
  expect((await heddle('token', mesh, 'shop/web')).stdout).toMatch(/^hjt_[0-9a-f]{16}_\S+\n$/)
  expect((await heddle('token', mesh, 'shop/web', '--revoke')).stdout).toBe('1 token revoked\n')
  expect((await heddle('token', mesh, 'shop/web', '--revoke')).stdout).toBe('0 tokens revoked\n')
})
