/** AuthorizationPolicies through a whole mesh: who gets through and who does not, and tricks that must not help. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWebSocket } from '../support/connection.ts'
import { TestMesh } from '../support/mesh.ts'
import { isolations } from '../support/netns.ts'
import { documents, echoWorkload, service } from '../support/yaml.ts'
import { heddle, put } from './objects.ts'

describe.runIf(isolations.includes('netns'))('authorization', () => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await TestMesh.start(
      documents(
        echoWorkload('good'),
        echoWorkload('bad'),
        echoWorkload('guest', { namespace: 'guests' }),
        echoWorkload('server', { ports: ['http:8080', 'other=http:8081', 'tcp:9000', 'auto=http:7000'] }),
        service('server', { ports: ['http:80:8080', 'http-other:81:8081', 'tcp:9000', 'auto:7000'] }),
      ),
    )
    await mesh.addOutside('plain', ['10.88.0.9'])
  })
  afterAll(() => mesh[Symbol.asyncDispose]())

  const SERVER = 'targetRefs: [{ kind: Workload, name: server }]\n'
  const policy = (name: string, action: string, rules: string, more = ''): string =>
    heddle('AuthorizationPolicy', name, `${SERVER}action: ${action}\n${more}rules: ${rules}`)
  const addressOf = (workload: string): string => mesh.runner.place(`default/${workload}`)?.addresses[0] ?? ''

  type Who = 'good' | 'bad' | 'guests/guest' | 'plain'
  const EVERYONE: readonly Who[] = ['good', 'bad', 'guests/guest', 'plain']
  async function status(
    who: Who,
    path = '/',
    init: { method?: string; headers?: Record<string, string>; port?: number } = {},
  ) {
    const { port = 80, ...rest } = init
    const url =
      who === 'plain'
        ? `http://${addressOf('server')}:${port === 80 ? 8080 : 8081}${path}`
        : `http://server.default:${port}${path}`
    return (await mesh.request(who === 'plain' ? 'outside/plain' : who, url, rest)).status
  }
  const connects = async (who: Who) => {
    const host = who === 'plain' ? addressOf('server') : 'server.default'
    const from = who === 'plain' ? 'outside/plain' : who
    return (await mesh.tcp(from, host, 9000, { send: 'hi\n', until: 'hi', timeout: 5000 })).data.includes('server')
  }
  /** Waits until exactly these get through. */
  const allowed = async (names: readonly Who[]) => {
    await mesh.eventually(async () => {
      for (const who of EVERYONE) {
        expect([who, await status(who)]).toEqual([who, names.includes(who) ? 200 : 403])
        expect([who, await connects(who)]).toEqual([who, names.includes(who)])
      }
    })
  }
  const apply = (...texts: readonly string[]) => put(mesh, 'policies', ...texts)

  const sources: [string, string, readonly Who[]][] = [
    ['service account', '{ type: ServiceAccount, serviceAccount: { name: good } }', ['good']],
    [
      'service account elsewhere',
      '{ type: ServiceAccount, serviceAccount: { namespace: guests, name: guest } }',
      ['guests/guest'],
    ],
    ['all of a namespace', "{ type: ServiceAccount, serviceAccount: { name: '*' } }", ['good', 'bad']],
    ['namespace', '{ type: Namespace, namespace: guests }', ['guests/guest']],
    ['SPIFFE ID', '{ type: SPIFFE, spiffe: spiffe://cluster.local/ns/default/sa/bad }', ['bad']],
    ['beginning of a SPIFFE ID', "{ type: SPIFFE, spiffe: 'spiffe://cluster.local/ns/default/sa/go*' }", ['good']],
    ['trust domain', '{ type: TrustDomain, trustDomain: cluster.local }', ['good', 'bad', 'guests/guest']],
    ['another trust domain', '{ type: TrustDomain, trustDomain: example.org }', []],
    ['any identity', '{ type: Authenticated }', ['good', 'bad', 'guests/guest']],
    ['address', '{ type: CIDR, cidr: 10.88.0.0/24 }', ['plain']],
  ]
  describe.each(sources)('by %s', (_, source, names) => {
    test('ALLOW lets through whom it names, and DENY whom it does not', async () => {
      expect.hasAssertions()
      await apply(policy('by', 'ALLOW', `[{ sources: [${source}] }]`))
      await allowed(names)
      await apply(policy('by', 'DENY', `[{ sources: [${source}] }]`))
      await allowed(EVERYONE.filter((who) => !names.includes(who)))
    })
  })

  test('DENY comes before ALLOW, an ALLOW without rules allows nobody, and exceptions are exceptions', async () => {
    expect.hasAssertions()
    await apply(
      policy('all', 'ALLOW', '[{}]'),
      policy('not-bad', 'DENY', '[{ sources: [{ type: ServiceAccount, serviceAccount: { name: bad } }] }]'),
    )
    await allowed(['good', 'guests/guest', 'plain'])
    await apply(policy('nobody', 'ALLOW', '[]'))
    await allowed([])
    await apply(policy('except', 'ALLOW', '[{ notSources: [{ type: Namespace, namespace: default }] }]'))
    await allowed(['guests/guest', 'plain'])
    await apply(policy('empty', 'DENY', '[{ sources: [] }]'))
    await allowed(EVERYONE)
  })

  test('a namespace, the mesh and its default', async () => {
    expect.hasAssertions()
    const ofNamespace = heddle(
      'AuthorizationPolicy',
      'ns',
      'targetRefs: [{ kind: Namespace }]\naction: DENY\nrules: [{ sources: [{ type: Namespace, namespace: guests }] }]',
    )
    await apply(ofNamespace)
    await allowed(['good', 'bad', 'plain'])
    const ofMesh = (namespace: string) =>
      heddle(
        'AuthorizationPolicy',
        'mesh',
        'targetRefs: [{ kind: Mesh }]\naction: DENY\nrules: [{ notSources: [{ type: Authenticated }] }]',
        namespace,
      )
    await apply(ofMesh('heddle-system'))
    await allowed(['good', 'bad', 'guests/guest'])
    await apply(ofMesh('guests'))
    await allowed(EVERYONE)
    const closed = heddle('Mesh', 'default', 'authorization: { default: Deny }')
    await apply(closed)
    await allowed([])
    await apply(
      closed,
      policy('good', 'ALLOW', '[{ sources: [{ type: ServiceAccount, serviceAccount: { name: good } }] }]'),
    )
    await allowed(['good'])
  })

  test('a dry run refuses nobody, and counts', async () => {
    await apply(policy('dry', 'DENY', '[{ sources: [{ type: Namespace, namespace: default }] }]', 'dryRun: true\n'))
    await allowed(EVERYONE)
    await mesh.eventually(async () => {
      await status('good')
      expect(await mesh.admin('server', '/stats?filter=dry_run_deny.shadow_denied')).toMatch(/shadow_denied: [1-9]/)
    })
  })

  test('by port, method, path, header and host', async () => {
    await apply(
      policy(
        'http',
        'ALLOW',
        `
    - { networkAttributes: { ports: [8081] } }
    - { http: { methods: [GET], paths: [{ value: /exact }, { type: PathPrefix, value: /tree }, { type: RegularExpression, value: '/v[0-9]+/.+' }] } }
    - { http: { headers: [{ name: x-pass, value: 'yes' }], notPaths: [{ type: PathPrefix, value: /never }] } }
    - { http: { hosts: ['*.example.com'] } }`,
      ),
    )
    const cases: [number, string, Parameters<typeof status>[2]?][] = [
      [403, '/'],
      [200, '/exact'],
      [200, '/exact?query=1'],
      [403, '/exact/'],
      [403, '/exact', { method: 'POST' }],
      [200, '/tree'],
      [200, '/tree/leaf'],
      [403, '/trees'],
      [200, '/v1/x'],
      [403, '/v1'],
      [403, '/a/v1/x'],
      [200, '/', { headers: { 'x-pass': 'yes' } }],
      [403, '/', { headers: { 'x-pass': 'yesterday' } }],
      [403, '/never/x', { headers: { 'x-pass': 'yes' } }],
      [200, '/', { headers: { host: 'www.example.com' } }],
      [200, '/', { headers: { host: 'WWW.example.com:80' } }],
      [403, '/', { headers: { host: 'example.com' } }],
      [200, '/', { port: 81 }],
    ]
    await mesh.eventually(async () => expect(await status('good')).toBe(403))
    for (const [wanted, path, init] of cases)
      expect([path, init, await status('good', path, init)]).toEqual([path, init, wanted])
    // what asks for something of a request lets no connection through that has none
    expect(await connects('good')).toBe(false)
  })

  describe('tricks with paths', () => {
    /** Sends the path as it stands, and says the status. */
    const raw = async (path: string) => {
      const send = `GET ${path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n`
      const { data } = await mesh.tcp('good', 'server', 80, { send, timeout: 5000 })
      return Number(/^HTTP\/1\.1 (\d+)/.exec(data)?.[1] ?? 0)
    }
    const tricks = [
      '/admin/x',
      '//admin/x',
      '/./admin/x',
      '/a/../admin/x',
      '/a/%2e%2e/admin/x',
      '/%2e/admin/x',
      '/a/..//admin/x',
      '/%61dmin/x',
      '/admin%2fx',
      '/admin%2Fx',
      '/a%2f..%2fadmin/x',
      '/a/..%2fadmin/x',
      '/a%5c..%5cadmin/x',
      '/a\\..\\admin/x',
      '/admin\\x',
      '/admin//x',
      '/admin/./x',
      '/admin?/../public',
      'http://server/admin/x',
      'http://server//admin/x',
      // servers of the Servlet API take parameters off before they look at dots
      '/a/..;/admin/x',
      '/a/..;b=c/admin',
      '/.;/admin',
      '/a;b/../admin/x',
    ]

    test('none passes a DENY', async () => {
      await apply(policy('deny', 'DENY', '[{ http: { paths: [{ type: PathPrefix, value: /admin }] } }]'))
      await mesh.eventually(async () => expect([await raw('/admin/x'), await raw('/public')]).toEqual([403, 200]))
      for (const path of tricks) expect([path, [400, 403, 404].includes(await raw(path))]).toEqual([path, true])
      expect(mesh.received('server').filter((line) => line.kind === 'http' && line.path.includes('admin'))).toEqual([])
    })

    test('parameters are part of their segment, and an expression can allow for them', async () => {
      await apply(policy('deny', 'DENY', '[{ http: { paths: [{ type: PathPrefix, value: /admin }] } }]'))
      await mesh.eventually(async () => expect([await raw('/admin'), await raw('/admin;a=b/x')]).toEqual([403, 200]))
      const lenient = "[{ http: { paths: [{ type: RegularExpression, value: '(?i)/(;[^/]*/)*admin([;/].*)?' }] } }]"
      await apply(policy('deny', 'DENY', lenient))
      await mesh.eventually(async () => expect([await raw('/admin'), await raw('/admin;a=b/x')]).toEqual([403, 403]))
      for (const path of ['/ADMIN/x', '/;a=b/admin/x', '/admin;']) expect([path, await raw(path)]).toEqual([path, 403])
      for (const path of ['/public', '/administration']) expect([path, await raw(path)]).toEqual([path, 200])
    })

    test('none passes an ALLOW', async () => {
      await apply(policy('allow', 'ALLOW', '[{ http: { paths: [{ type: PathPrefix, value: /public }] } }]'))
      await mesh.eventually(async () => expect([await raw('/admin/x'), await raw('/public')]).toEqual([403, 200]))
      expect(await raw('/public/x;y')).toBe(200)
      for (const path of [
        ...tricks,
        '/public/../admin/x',
        '/public/%2e%2e/admin/x',
        '/public/..%2fadmin/x',
        '/public%2f..%2fadmin/x',
        '/public//../admin/x',
        '/public/.%2e/admin',
        '/publicity',
        '/PUBLIC/x',
        '/public\\..\\admin',
        '/public/..;/admin',
        '/public/..;a=b/admin',
        '/public/.;/..;/admin',
        '/public;/../admin',
      ]) {
        const answer = await raw(path)
        if (answer !== 200) continue
        const last = mesh.received('server').findLast((line) => line.kind === 'http')
        // what got through is below /public for whoever reads it
        expect([path, last?.kind === 'http' ? new URL(last.path, 'http://x').pathname : '']).toEqual([
          path,
          expect.stringMatching(/^\/public(\/|$)(?!.*(%2f|%5c|\.\.))/),
        ])
      }
    })
  })

  test('on connections without HTTP, a DENY with HTTP fields denies', async () => {
    await apply(policy('deny', 'DENY', '[{ http: { paths: [{ value: /secret }] } }]'))
    await mesh.eventually(async () => expect(await connects('good')).toBe(false))
    expect(await status('good')).toBe(200)
    await apply(
      policy('deny', 'DENY', '[{ networkAttributes: { ports: [8080] }, http: { paths: [{ value: /secret }] } }]'),
    )
    await mesh.eventually(async () => expect(await connects('good')).toBe(true))
  })

  test('a policy that cannot be read denies what it may be about, until it can be read', async () => {
    expect.hasAssertions()
    await apply(policy('none', 'DENY', '[]'))
    await allowed(EVERYONE)
    await mesh.apply(policy('odd', 'ALLOW', '[{ sources: [{ type: Nonsense }] }]'), 'odd.yaml')
    await allowed([])
    await mesh.apply(policy('odd', 'ALLOW', '[{ sources: [{ type: Authenticated }] }]'), 'odd.yaml')
    await allowed(['good', 'bad', 'guests/guest'])
    // what was good once stays in force
    await mesh.apply(policy('odd', 'ALLOW', '[{ sources: [{ type: Nonsense }] }]'), 'odd.yaml')
    await mesh.standalone.settled()
    await allowed(['good', 'bad', 'guests/guest'])
    await mesh.delete('odd.yaml')
    await allowed(EVERYONE)
  })

  test('long requests, WebSockets and connections outlive a change of policy, which counts for new ones at once', async () => {
    await apply(policy('none', 'DENY', '[]'))
    await using tcp = await mesh.connect('good', 'server', 9000)
    expect(await tcp.say('one\n', 'one')).toContain('server: one')
    await using web = await mesh.connect('good', 'server', 80)
    const socket = await openWebSocket(web, 'server')
    expect(await socket('one')).toBe('one')
    const slow = mesh.request('good', 'http://server/slow', { headers: { 'x-echo-delay': '2500' } })
    await mesh.eventually(() =>
      expect(mesh.received('server')).toContainEqual(expect.objectContaining({ path: '/slow' })),
    )
    await apply(policy('deny', 'DENY', '[{ sources: [{ type: Namespace, namespace: default }] }]'))
    await mesh.eventually(async () => expect(await status('good')).toBe(403))
    expect((await slow).status).toBe(200)
    expect(await connects('good')).toBe(false)
    expect(await socket('two')).toBe('two')
    expect(await tcp.say('two\n', 'two')).toContain('two')
    await apply(policy('none', 'DENY', '[]'))
    await mesh.eventually(async () => expect(await status('good')).toBe(200))
  })
})
