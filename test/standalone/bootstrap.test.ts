import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  proxyFiles,
  readTemplate,
  renderBootstrap,
  replaceFile,
  sidecarValues,
  writeProxyFiles,
} from '../../src/standalone/bootstrap.ts'
import { EnvoyProcess } from '../../src/standalone/envoy-process.ts'
import { loopbackIsolation } from '../../src/standalone/isolation/loopback.ts'
import { diesWithParent } from '../../src/standalone/processes.ts'
import { EmptyAds } from '../support/empty-ads.ts'
import { envoyBinary, validate } from '../support/envoy.ts'
import { eventually } from '../support/eventually.ts'
import { selfSigned } from '../support/self-signed.ts'

const CONTROL_PLANE = 'spiffe://example.org/ns/heddle-system/sa/heddle'
const LOCALITY = { region: 'north', zone: 'north-1', subZone: '' }

describe('templates', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'heddle-bootstrap-'))
    await writeFile(join(directory, 'token'), 'secret')
    await writeFile(join(directory, 'bundle.pem'), selfSigned(CONTROL_PLANE).cert)
    const token = { TOKEN_FILE: join(directory, 'token'), TOKEN_DIRECTORY: directory }
    const bundle = { BUNDLE_FILE: join(directory, 'bundle.pem'), BUNDLE_DIRECTORY: directory }
    await writeFile(join(directory, 'token.yaml'), renderBootstrap(await readTemplate('token.yaml'), token))
    await writeFile(join(directory, 'bundle.yaml'), renderBootstrap(await readTemplate('bundle.yaml'), bundle))
  })
  afterAll(() => rm(directory, { recursive: true }))

  const sidecar = () => ({
    namespace: 'shop',
    name: 'web',
    locality: LOCALITY,
    trustDomain: 'example.org',
    adminSocket: join(directory, 'admin.sock'),
    probeAddress: '::',
    tokenSds: join(directory, 'token.yaml'),
    bundleSds: join(directory, 'bundle.yaml'),
  })

  test.each([
    ['a Unix socket', { pipe: '/run/heddle/xds.sock' }],
    ['an address', { host: '127.0.0.1', port: 15012 }],
    ['a name', { host: 'heddle.heddle-system.svc', port: 15012 }],
  ])('Envoy accepts the sidecar with the control plane at %s', async (_, xds) => {
    const text = renderBootstrap(await readTemplate('sidecar.yaml'), sidecarValues({ ...sidecar(), xds }))
    expect(await validate(text)).toBeUndefined()
    expect(parse(text).node).toEqual({
      id: 'web.shop',
      cluster: 'shop',
      locality: { region: 'north', zone: 'north-1', sub_zone: '' },
    })
  })

  test('Envoy accepts the one for an Envoy of the user’s own', async () => {
    const values = {
      NODE_ID: 'edge.shop',
      XDS_HOST: '127.0.0.1',
      XDS_PORT: 15012,
      TRUST_DOMAIN: 'example.org',
      TOKEN_SDS: join(directory, 'token.yaml'),
      BUNDLE_SDS: join(directory, 'bundle.yaml'),
    }
    expect(await validate(renderBootstrap(await readTemplate('envoy.yaml'), values))).toBeUndefined()
  })

  test('a value cannot change the structure around it', () => {
    const rendered = renderBootstrap("a: 'x ${V}'\nb: ${V}\n", { V: "'}\nc: [" })
    expect(parse(rendered)).toEqual({ a: "x '}\nc: [", b: "'}\nc: [" })
  })

  test('a name without a value is a mistake of the caller', () => {
    expect(() => renderBootstrap('a: ${MISSING}', {})).toThrow('no value for ${MISSING}')
  })
})

describe('connection to the control plane', () => {
  const stack = new AsyncDisposableStack()
  const identity = selfSigned(CONTROL_PLANE)
  let directory: string
  let ads: EmptyAds
  let envoy: EnvoyProcess
  const files = () => proxyFiles(directory)
  const socket = () => join(directory, 'xds.sock')
  const lastToken = () => ads.streams.at(-1)?.authorization

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'heddle-bootstrap-'))
    stack.defer(() => rm(directory, { recursive: true }))
    stack.defer(() => ads[Symbol.asyncDispose]())
    ads = await EmptyAds.start(socket(), identity)
    const place = await loopbackIsolation(await diesWithParent()).place({
      namespace: 'shop',
      name: 'web',
      addresses: ['127.77.0.1'],
    })
    const sidecar = {
      namespace: 'shop',
      name: 'web',
      locality: LOCALITY,
      trustDomain: 'example.org',
      xds: { pipe: socket() },
    }
    await writeProxyFiles(
      files(),
      { ...sidecar, probeAddress: place.probeAddress },
      { token: 'first', bundle: identity.cert },
    )
    envoy = stack.use(await EnvoyProcess.start({ binary: await envoyBinary(), files: files(), place, directory }))
    await eventually(async () => expect(await envoy.isReady()).toBe(true))
  })
  afterAll(() => stack.disposeAsync())

  test('brings the token, and no more than one stream', () => {
    expect(ads.streams).toEqual([
      {
        authorization: 'Bearer first',
        path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      },
    ])
  })

  test.each([
    ['http://127.77.0.1:15021/healthz/ready', 200],
    ['http://127.77.0.1:15021/ready', 404],
    ['http://127.77.0.1:15021/healthz/ready/../../quitquitquit', 404],
    ['http://127.77.0.1:15090/stats/prometheus', 200],
    ['http://127.77.0.1:15090/config_dump', 404],
  ])('GET %s gives %d', async (url, status) => {
    expect((await fetch(url)).status).toBe(status)
    expect((await fetch(url, { method: 'POST' })).status).toBe(404)
  })

  test('a new token is used from the next connection on', async () => {
    await replaceFile(files().token, 'second')
    await eventually(() => {
      ads.disconnect()
      expect(lastToken()).toBe('Bearer second')
    })
  })

  test('a control plane with another identity, or of another issuer, gets nothing', async () => {
    await ads[Symbol.asyncDispose]()
    const wrong = selfSigned('spiffe://example.org/ns/shop/sa/heddle')
    await replaceFile(files().bundle, wrong.cert + identity.cert)
    ads = await EmptyAds.start(socket(), wrong)
    const failures = async () =>
      Number((await envoy.admin('GET', '/stats?filter=cluster.xds.ssl.fail_verify_san')).body.split(': ')[1])
    await eventually(async () => expect(await failures()).toBeGreaterThan(0))
    expect(ads.streams).toEqual([])
  })

  test('new trust anchors are used without a restart', async () => {
    await ads[Symbol.asyncDispose]()
    const other = selfSigned(CONTROL_PLANE)
    await replaceFile(files().bundle, other.cert)
    ads = await EmptyAds.start(socket(), other)
    await eventually(() => expect(lastToken()).toBe('Bearer second'))
  })

  test('a control plane that hangs is left for a new connection within 10 s', async () => {
    const before = ads.streams.length
    ads.freeze()
    const start = performance.now()
    await eventually(() => expect(ads.streams.length).toBeGreaterThan(before))
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})
