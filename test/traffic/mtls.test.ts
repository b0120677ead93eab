/** Mutual TLS through a whole mesh: who is seen at either end, what is refused, and how modes and certificates change under load. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { selfSigned } from '../support/self-signed.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { heddle, put } from './objects.ts'

const ID = 'spiffe://cluster.local/ns'
/** What the server is told of its client: one element, made by its own proxy. */
const SERVED = new RegExp(`^By=${ID}/default/sa/server;Hash=[0-9a-f]{64};URI=${ID}/default/sa/client$`)
const HELLO = 'GET /raw HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'

describe.runIf(isolations.includes('netns'))('mutual TLS', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        heddle('Mesh', 'default', 'mtls: { certificate: { lifetime: 30s } }\naddressRanges: [10.88.0.20/32]'),
        echoWorkload('client'),
        echoWorkload('guest', { namespace: 'guests' }),
        echoWorkload('server', { ports: ['http:8080', 'tcp:9000', 'grpc:9090'] }),
        service('server', { ports: ['http:80:8080', 'tcp:9000', 'grpc:9090'] }),
        echoWorkload('impostor'),
        // on 7777 it listens without saying so
        echoWorkload('closed', { ports: ['http:8080', 'tcp:9000', 'hidden=http:7777'] }).replace(
          / +- name: hidden\n +port: 7777\n/,
          '',
        ),
        service('closed', { ports: ['http:80:8080', 'tcp:9000'] }),
      ),
    )
    await mesh.addOutside('plain', ['10.88.0.9'])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const addressOf = (workload: string): string => mesh.runner.place(`default/${workload}`)?.addresses[0] ?? ''
  const xfcc = async (from: string, url: string, headers: Record<string, string> = {}): Promise<string> => {
    const { echo } = await mesh.request(from, url, { headers })
    return String(echo?.headers['x-forwarded-client-cert'])
  }
  /** What a client without the mesh gets on a port: its data, or nothing. */
  const plainly = async (workload: string, port: number): Promise<string> =>
    (await mesh.tcp('outside/plain', addressOf(workload), port, { send: HELLO, timeout: 3000 })).data.slice(0, 15)

  test('every kind of connection has it, and each end knows the other', async () => {
    expect(await xfcc('client', 'http://server/')).toMatch(SERVED)
    expect(await xfcc('guests/guest', 'http://server.default/')).toContain(`URI=${ID}/guests/sa/guest`)
    expect((await mesh.grpc('client', 'server:9090')).messages[0]).toMatchObject({
      metadata: { 'x-forwarded-client-cert': expect.stringContaining(`URI=${ID}/default/sa/client`) },
    })
    expect((await mesh.tcp('client', 'server', 9000, { send: 'hi\n', until: 'hi' })).data).toContain('server')
    const handshakes = async (port: number) => {
      const stats = await mesh.admin('client', `/stats?filter=^cluster\\.server\\.default\\.${port}\\.ssl`)
      expect(stats).toMatch(/ssl\.versions\.TLSv1\.3: [1-9]/)
      expect(stats).not.toMatch(/ssl\.versions\.TLSv1(\.[012])?:/)
      expect(stats).toMatch(/ssl\.handshake: [1-9]/)
    }
    for (const port of [80, 9000, 9090]) await handshakes(port)
    // all that the server's proxy took so far came over TLS
    const inbound = await mesh.admin('server', '/stats?filter=ssl.handshake')
    expect(inbound).toMatch(/listener.*ssl\.handshake: [1-9]/)
  })

  test('a client cannot say who it is by itself', async () => {
    const forged = `By=${ID}/default/sa/server;URI=${ID}/default/sa/admin`
    expect(await xfcc('client', 'http://server/', { 'x-forwarded-client-cert': forged })).toMatch(SERVED)
    const raw = `GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-client-cert: ${forged}\r\nconnection: close\r\n\r\n`
    const { data } = await mesh.tcp('outside/plain', addressOf('server'), 8080, { send: raw, timeout: 5000 })
    expect(data).toContain('200 OK')
    expect(data).not.toContain('sa/admin')
  })

  test('a server with another identity than is expected there is refused', async () => {
    await put(
      mesh,
      'vault',
      heddle(
        'Workload',
        'vault',
        'serviceAccount: banker\naddress: 10.244.199.7\nports: [{ name: http, port: 8080 }]',
      ).replace('name: vault,', 'name: vault, labels: { app: vault },'),
      service('vault'),
      heddle('MeshTLS', 'vault', 'targetRefs: [{ kind: Workload, name: vault }]\nmode: Strict'),
    )
    // the network betrays the client: what it dials as the vault is a workload of the same mesh, with another identity
    const rule = ['-d', '10.244.199.7', '-p', 'tcp', '-j', 'DNAT', '--to-destination', `${addressOf('impostor')}:8080`]
    expect(await mesh.exec('client', ['iptables', '-t', 'nat', '-I', 'OUTPUT', ...rule])).toMatchObject({ status: 0 })
    expect((await mesh.request('client', 'http://vault/')).status).toBe(503)
    expect(await mesh.stat('client', 'cluster.vault.default.80.ssl.fail_verify_san')).toBeGreaterThan(0)
    expect(mesh.received('impostor')).toEqual([])
    await mesh.exec('client', ['iptables', '-t', 'nat', '-D', 'OUTPUT', ...rule])
  })

  test('a client without a certificate of the mesh is refused where it speaks mesh TLS', async () => {
    const own = selfSigned('client.example.com')
    for (const identity of [undefined, own])
      for (const alpn of [['heddle-http'], ['heddle-tcp']]) {
        const asked = { sni: 'x', alpn, send: HELLO, timeout: 5000, ...(identity && { identity }) }
        const { data, error } = await mesh.tcp('outside/plain', addressOf('server'), 8080, asked)
        expect(data).toBe('')
        expect(error).toBeDefined()
      }
  })

  describe('modes', () => {
    const strict = (name: string, target: string, more = 'mode: Strict', namespace?: string): string =>
      heddle('MeshTLS', name, `targetRefs: [${target}]\n${more}`, namespace)

    test('permissive takes both, on every port', async () => {
      expect(await plainly('closed', 8080)).toBe('HTTP/1.1 200 OK')
      expect(await plainly('closed', 9000)).toContain('closed')
      expect(await plainly('closed', 7777)).toBe('HTTP/1.1 200 OK')
      expect((await mesh.request('client', 'http://closed/')).status).toBe(200)
    })

    const levels: [string, () => string][] = [
      ['workload', () => strict('closed', '{ kind: Workload, name: closed }')],
      ['label', () => strict('closed', '{ kind: Pod, selector: { matchLabels: { app: closed } } }')],
      ['namespace', () => strict('closed', '{ kind: Namespace }')],
      ['mesh', () => strict('closed', '{ kind: Mesh }', 'mode: Strict', 'heddle-system')],
    ]
    test.each(levels)(
      'strict by %s refuses plaintext, on undeclared ports too, and the mesh goes on',
      async (_, object) => {
        await put(mesh, 'strict', object())
        await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe(''))
        expect(await plainly('closed', 9000)).toBe('')
        expect(await plainly('closed', 7777)).toBe('')
        expect((await mesh.request('client', 'http://closed/')).status).toBe(200)
        expect((await mesh.tcp('client', 'closed', 9000, { send: 'hi\n', until: 'hi' })).data).toContain('closed')
        await mesh.delete('strict.yaml')
        await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe('HTTP/1.1 200 OK'))
      },
    )

    test('a port may differ from the rest, either way', async () => {
      await put(
        mesh,
        'strict',
        strict('closed', '{ kind: Workload, name: closed }', 'ports: [{ port: 9000, mode: Strict }]'),
      )
      await mesh.eventually(async () => expect(await plainly('closed', 9000)).toBe(''))
      expect(await plainly('closed', 8080)).toBe('HTTP/1.1 200 OK')
      await put(
        mesh,
        'strict',
        strict('closed', '{ kind: Workload, name: closed }', 'mode: Strict\nports: [{ port: 9000, mode: Permissive }]'),
      )
      await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe(''))
      expect(await plainly('closed', 9000)).toContain('closed')
      await mesh.delete('strict.yaml')
      await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe('HTTP/1.1 200 OK'))
    })

    test('from permissive to strict and back under load, without a lost request', async () => {
      const load = await mesh.load('client', 'http://closed/', {
        concurrency: 3,
        pause: 2,
        request: { keepAlive: true },
      })
      const fresh = await mesh.load('client', 'http://closed/', { concurrency: 1, pause: 5 })
      for (let i = 0; i < 3; i += 1) {
        await put(mesh, 'strict', strict('closed', '{ kind: Workload, name: closed }'))
        await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe(''))
        await mesh.delete('strict.yaml')
        await mesh.eventually(async () => expect(await plainly('closed', 8080)).toBe('HTTP/1.1 200 OK'))
      }
      const answers = [...(await load.stop()).answers, ...(await fresh.stop()).answers]
      expect(answers.length).toBeGreaterThan(100)
      expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    })

    test('to a strict destination nothing is sent in plaintext, though its proxy has never been seen', async () => {
      // a machine that listens in plaintext where a strict workload should be: it must see a TLS handshake or nothing
      await mesh.addOutside('sniffer', ['10.88.0.20'], ['tcp:8080'])
      const workload = heddle(
        'Workload',
        'unseen',
        'serviceAccount: unseen\naddress: 10.88.0.20\nports: [{ name: http, port: 8080 }]',
      )
      const labelled = workload.replace('name: unseen,', 'name: unseen, labels: { app: unseen },')
      await put(mesh, 'unseen', labelled, service('unseen'), strict('unseen', '{ kind: Workload, name: unseen }'))
      expect((await mesh.request('client', 'http://unseen/secret', { timeout: 8000 })).status).toBe(503)
      const { data } = await mesh.tcp('client', '10.88.0.20', 8080, {
        send: 'secret\n',
        until: 'secret',
        timeout: 4000,
      })
      expect(data).not.toContain('secret')
      expect(await mesh.stat('client', 'cluster.unseen.default.80.plaintext.total_match_count')).toBe(0)
      expect(await mesh.stat('client', 'cluster.unseen.default.80.mesh.total_match_count')).toBeGreaterThan(0)
    })
  })

  test('TLS 1.1 is refused, 1.2 is let in, 1.3 is used', async () => {
    const shake = (version: string) =>
      mesh.exec('outside/plain', [
        process.execPath,
        '-e',
        `require('tls').connect({host:'${addressOf('server')}',port:8080,rejectUnauthorized:false,minVersion:'${version}',maxVersion:'${version}',ALPNProtocols:['heddle-http'],ciphers:'DEFAULT@SECLEVEL=0'})
          .on('secureConnect',function(){console.log(this.getProtocol());process.exit()}).on('error',(e)=>{console.log(e.code);process.exit()})`,
      ])
    expect((await shake('TLSv1.1')).stdout).toContain('PROTOCOL_VERSION')
    // the handshake is over for a TLS 1.3 client before the server has asked for its certificate in vain
    expect((await shake('TLSv1.3')).stdout).toContain('TLSv1.3')
    expect((await shake('TLSv1.2')).stdout).not.toContain('PROTOCOL_VERSION')
  })

  test('certificates that live for 30 seconds are renewed under load, and no request fails', async () => {
    const serial = async (workload: string): Promise<string> => {
      const { certificates } = JSON.parse(await mesh.admin(workload, '/certs'))
      return certificates
        .map((one: { cert_chain: { serial_number: string }[] }) => one.cert_chain[0]?.serial_number)
        .toSorted()
        .join()
    }
    const load = await mesh.load('client', 'http://server/', { concurrency: 2, pause: 5, request: { keepAlive: true } })
    const fresh = await mesh.load('client', 'http://server/', { concurrency: 1, pause: 20 })
    const seen = { client: new Set<string>(), server: new Set<string>() }
    await mesh.eventually(async () => {
      seen.client.add(await serial('client'))
      seen.server.add(await serial('server'))
      expect(Math.min(seen.client.size, seen.server.size)).toBeGreaterThanOrEqual(3)
    }, 50_000)
    const answers = [...(await load.stop()).answers, ...(await fresh.stop()).answers]
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(answers.length).toBeGreaterThan(500)
    expect(await xfcc('client', 'http://server/')).toContain(`URI=${ID}/default/sa/client`)
  })
})
