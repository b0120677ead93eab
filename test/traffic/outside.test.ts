// Hosts outside the mesh: who may be reached, who really is dialled, and with whom TLS is spoken. Outside are machines with addresses
// of their own, and names that proxies look up in their hosts file.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { selfSigned } from '../support/self-signed.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'

const WORLD = '198.51.100.1'
const OTHER = '198.51.100.2'
/** Where nobody is: whoever gets an answer from here was not dialled here. */
const NOWHERE = '198.51.100.99'

const settings = (unknownDestinations: 'Passthrough' | 'Refuse'): string =>
  stringify({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { outbound: { unknownDestinations } },
  })

const external = (name: string, spec: object): string =>
  stringify({
    apiVersion: 'heddle.dev/v1alpha1',
    kind: 'ExternalService',
    metadata: { name, namespace: 'default' },
    spec,
  })

const server = selfSigned('pay.example.com')
const visitor = selfSigned('visitor.example.com')

const HTTP = { port: 80, name: 'http' }
/** Dialled in plaintext at 80, TLS from the proxy on. */
const SECURED = { port: 80, name: 'http', targetPort: 443 }

const EXTERNALS = documents(
  external('by-name', {
    hosts: ['world.example.com'],
    ports: [HTTP, { port: 443, name: 'tls' }],
  }),
  external('wild', {
    hosts: ['*.wild.example.com'],
    ports: [HTTP, { port: 443, name: 'tls' }],
    resolution: 'Passthrough',
  }),
  external('by-address', {
    hosts: ['numbered.example.com'],
    addresses: ['198.51.100.50'],
    ports: [HTTP, { port: 443, name: 'tls' }, { port: 9000, name: 'tcp' }, { port: 9001, name: 'tcp-banner' }],
    resolution: 'Static',
    endpoints: [{ address: OTHER }],
  }),
  external('verified', {
    hosts: ['pay.example.com'],
    ports: [SECURED],
    tls: { caCertificates: server.cert, clientCertificateRef: { name: 'visitor' } },
  }),
  external('named-otherwise', {
    hosts: ['alias.example.com'],
    ports: [SECURED],
    tls: { caCertificates: server.cert, sni: 'pay.example.com' },
  }),
  external('wrong-name', {
    hosts: ['wrong-name.example.com'],
    ports: [SECURED],
    tls: { caCertificates: server.cert },
  }),
  external('wrong-authority', {
    hosts: ['wrong-authority.example.com'],
    ports: [SECURED],
    tls: { caCertificates: visitor.cert, sni: 'pay.example.com' },
  }),
  external('without-authority', {
    hosts: ['without-authority.example.com'],
    ports: [SECURED],
    tls: { caCertificateRefs: [{ kind: 'ConfigMap', name: 'nothing' }], sni: 'pay.example.com' },
  }),
  stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'visitor', namespace: 'default' },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': visitor.cert, 'tls.key': visitor.key },
  }),
)

const INSIDE_TLS = 'GET /inside HTTP/1.1\r\nHost: x\r\nconnection: close\r\n\r\n'

describe.runIf(isolations.includes('netns'))('hosts outside', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start([
      documents(echoWorkload('client'), echoWorkload('inside'), service('inside')),
      EXTERNALS,
      settings('Passthrough'),
    ])
    const ports = ['http:80', 'tls:443', 'tcp:9000', 'banner:9001']
    await mesh.addOutside('world', [WORLD], ports, { TLS_KEY: server.key, TLS_CERT: server.cert })
    await mesh.addOutside('other', [OTHER], ports)
    await mesh.setOutsideHosts([
      ...['world', 'a.wild', 'pay', 'alias', 'wrong-name', 'wrong-authority', 'without-authority'].map((name) => ({
        name: `${name}.example.com`,
        addresses: [WORLD],
      })),
      { name: 'b.wild.example.com', addresses: [OTHER] },
    ])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const at = (address: string, host: string, path = '/') =>
    mesh.request('client', `http://${address}${path}`, { headers: { host } })
  const tls = (address: string, sni: string) =>
    mesh.tcp('client', address, 443, { sni, send: INSIDE_TLS, until: '\n}\n', timeout: 5000 })

  describe('unknown ones', () => {
    const reached = async (): Promise<string[]> => [
      (await mesh.request('client', `http://${OTHER}/`)).echo?.instance ?? 'refused',
      (await tls(OTHER, 'unknown.example.com')).peer?.includes('other.example.com') === true ? 'other' : 'refused',
      (await mesh.tcp('client', OTHER, 9000, { send: 'hello\n', until: 'hello' })).data.split(':')[0] || 'refused',
      (await mesh.tcp('client', OTHER, 9001, { until: 'ready' })).data.split(' ')[1] ?? 'refused',
    ]

    test('pass or are refused as the Mesh says, at once after it says otherwise', async () => {
      expect(await reached()).toEqual(['other', 'other', 'other', 'other'])
      await mesh.apply(settings('Refuse'), '2.yaml')
      await mesh.eventually(async () => expect(await reached()).toEqual(['refused', 'refused', 'refused', 'refused']))
      expect(await mesh.request('client', `http://${OTHER}/`)).toMatchObject({ status: 502 })
      // what is allowed by name, and the mesh itself, stay
      expect((await at(NOWHERE, 'world.example.com')).echo?.instance).toBe('world')
      expect((await tls(NOWHERE, 'world.example.com')).data).toContain('"instance": "world"')
      expect(await mesh.request('client', 'http://inside/')).toMatchObject({ status: 200 })
      await mesh.apply(settings('Passthrough'), '2.yaml')
      await mesh.eventually(async () => expect(await reached()).toEqual(['other', 'other', 'other', 'other']))
    })

    test('a forward proxy is one of them, and may be asked to CONNECT', async () => {
      const forward = `require('node:http').createServer().on('connect', (request, socket) =>
        socket.end('HTTP/1.1 200 OK\\r\\n\\r\\ntunnel to ' + request.url)).listen(3128)`
      void mesh.exec('outside/other', [process.execPath, '-e', forward])
      await mesh.eventually(async () => {
        await using connection = await mesh.connect('client', OTHER, 3128)
        const answer = await connection.turn({
          send: 'CONNECT world.example.com:443 HTTP/1.1\r\nHost: world.example.com:443\r\n\r\n',
          until: 'tunnel to',
          timeout: 2000,
        })
        expect(answer.data).toMatch(/^HTTP\/1\.1 200 /)
        expect(answer.data).toContain('tunnel to world.example.com:443')
      })
    })
  })

  describe('that an ExternalService names', () => {
    test('are found by Host, and dialled where the proxy finds them, not where the client says', async () => {
      for (const address of [NOWHERE, OTHER])
        expect(await at(address, 'world.example.com', '/host')).toMatchObject({
          status: 200,
          echo: { instance: 'world', path: '/host', headers: { host: 'world.example.com' } },
        })
    })

    test('a Host with a port changes nothing', async () => {
      expect((await at(NOWHERE, 'world.example.com:80')).echo?.instance).toBe('world')
    })

    test('are found by SNI, likewise', async () => {
      for (const address of [NOWHERE, OTHER]) {
        const answer = await tls(address, 'world.example.com')
        expect(answer.peer).toContain('pay.example.com')
        expect(answer.data).toContain('"instance": "world"')
      }
    })

    test('a wildcard goes to what each name stands for', async () => {
      expect((await at(NOWHERE, 'a.wild.example.com')).echo?.instance).toBe('world')
      expect((await at(NOWHERE, 'b.wild.example.com')).echo?.instance).toBe('other')
      expect((await tls(NOWHERE, 'b.wild.example.com')).data).toContain('"instance": "other"')
      expect(await at(NOWHERE, 'unheard.wild.example.com')).toMatchObject({ status: 503 })
    })

    test('are found by the address that stands for them', async () => {
      expect((await mesh.request('client', 'http://198.51.100.50/')).echo?.instance).toBe('other')
      expect((await tls('198.51.100.50', 'whatever.example.com')).data).toContain('"instance": "other"')
      const answer = await mesh.tcp('client', '198.51.100.50', 9000, { send: 'hello\n', until: 'hello' })
      expect(answer.data).toBe('other: hello\n')
      const banner = await mesh.tcp('client', '198.51.100.50', 9001, { until: 'ready' })
      expect(banner.data).toBe('220 other ready\r\n')
    })
  })

  describe('with TLS from the proxy', () => {
    test('are verified, and shown the certificate of a Secret', async () => {
      expect(await at(NOWHERE, 'pay.example.com', '/secured')).toMatchObject({
        status: 200,
        echo: { instance: 'world', port: 443, path: '/secured', certificate: 'DNS:visitor.example.com' },
      })
    })

    test('a name of its own for SNI', async () => {
      expect(await at(NOWHERE, 'alias.example.com')).toMatchObject({ status: 200, echo: { port: 443 } })
    })

    test.each(['wrong-name', 'wrong-authority', 'without-authority'])('%s: nothing is sent', async (name) => {
      const answer = await at(NOWHERE, `${name}.example.com`, `/${name}`)
      expect(answer).toMatchObject({ status: 503, echo: undefined })
      expect(mesh.received('outside/world')).not.toContainEqual(expect.objectContaining({ path: `/${name}` }))
    })
  })

  test('what is added, changed and removed is in force at once', async () => {
    await mesh.apply(
      external('new', {
        hosts: ['new.example.com'],
        ports: [HTTP],
        resolution: 'Static',
        endpoints: [{ address: WORLD }],
      }),
    )
    await mesh.eventually(async () => expect((await at(OTHER, 'new.example.com')).echo?.instance).toBe('world'))
    await mesh.apply(
      external('new', {
        hosts: ['new.example.com'],
        ports: [HTTP],
        resolution: 'Static',
        endpoints: [{ address: OTHER }],
      }),
    )
    await mesh.eventually(async () => expect((await at(WORLD, 'new.example.com')).echo?.instance).toBe('other'))
    await mesh.delete()
    await mesh.eventually(async () => expect((await at(WORLD, 'new.example.com')).echo?.instance).toBe('world'))
  })
})
