/** Authorization as a real Envoy enforces it: who gets through, with what, and what is counted. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  HTTP_RBAC_ALLOW,
  HTTP_RBAC_DENY,
  httpRbac,
  httpRbacFilters,
  networkRbac,
} from '../../../src/envoy/filters/rbac.ts'
import { any, extension } from '../../../src/proto/types.ts'
import { type Answer, send, type Sending, talk } from '../client.ts'
import { authority, idOf, TRUST_DOMAIN } from '../identities.ts'
import { StaticEnvoy } from '../static-envoy.ts'
import { authorizationOf, policy } from './authorized.ts'
import { tcpListener, webListener } from './listeners.ts'

const context = { trustDomain: TRUST_DOMAIN }
const issue = authority()
const server = issue(idOf('shop/cart'))
const as = {
  web: issue(idOf('shop/web')),
  website: issue(idOf('shop/website')),
  shopping: issue(idOf('shopping/web')),
  partner: issue('spiffe://partner.example/ns/shop/sa/web'),
}

const source = (type: string, field: string) => `{type: ${type}, ${field}}`
const WEB = source('ServiceAccount', 'serviceAccount: {name: web}')

/** Sets of policies, each with a listener of its own. */
const sets = {
  open: '',
  'service-account': policy('web', 'ALLOW', `[{sources: [${WEB}]}]`),
  'all-accounts': policy('all', 'ALLOW', `[{sources: [${source('ServiceAccount', "serviceAccount: {name: '*'}")}]}]`),
  namespace: policy('shop', 'ALLOW', `[{sources: [${source('Namespace', 'namespace: shop')}]}]`),
  exact: policy('exact', 'ALLOW', `[{sources: [${source('SPIFFE', `spiffe: '${idOf('shop/web')}'`)}]}]`),
  prefix: policy('prefix', 'ALLOW', `[{sources: [${source('SPIFFE', "spiffe: 'spiffe://cluster.local/ns/shop/*'")}]}]`),
  'trust-domain': policy('domain', 'ALLOW', `[{sources: [${source('TrustDomain', 'trustDomain: partner.example')}]}]`),
  authenticated: policy('known', 'ALLOW', '[{sources: [{type: Authenticated}]}]'),
  cidr: policy('near', 'ALLOW', `[{sources: [${source('CIDR', 'cidr: 127.0.0.64/26')}]}]`),
  'not-sources': policy('others', 'ALLOW', `[{notSources: [${WEB}]}]`),
  nobody: policy('nobody', 'ALLOW', '[]'),
  both:
    policy('everyone', 'ALLOW', '[{}]') + policy('not-web', 'DENY', `[{sources: [${WEB}], http: {methods: [DELETE]}}]`),
  paths: policy('admin', 'DENY', '[{http: {paths: [{type: PathPrefix, value: /admin}, {value: /exact}]}}]'),
  request: policy(
    'request',
    'ALLOW',
    "[{http: {hosts: ['cart.shop', '*.example.com', 'other:8080'], headers: [{name: X-Tenant, value: acme}], notHeaders: [{name: x-debug, type: Present}]}}]",
  ),
  regex: policy('items', 'ALLOW', "[{http: {paths: [{type: RegularExpression, value: '/items/[0-9]+'}]}}]"),
  'wrong-port': policy('port', 'ALLOW', '[{networkAttributes: {ports: [1]}}]'),
  'not-port': policy('port', 'DENY', '[{networkAttributes: {notPorts: [1]}}]'),
  dry:
    policy('deletes', 'DENY', '[{http: {methods: [DELETE]}}]', { dryRun: true }) +
    policy('web', 'ALLOW', `[{sources: [${WEB}]}]`, { dryRun: true }),
}
type Set = keyof typeof sets

let envoy: StaticEnvoy
beforeAll(async () => {
  const perRoute = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute'
  const network = 'envoy.extensions.filters.network.rbac.v3.RBAC'
  const listeners = Object.entries(sets).flatMap(([name, policies]) => {
    const authorization = authorizationOf(policies)
    const { deny, allow } = httpRbac(authorization, context)
    const work = { [HTTP_RBAC_DENY]: any(perRoute, { rbac: deny }), [HTTP_RBAC_ALLOW]: any(perRoute, { rbac: allow }) }
    const tcp = networkRbac(authorization, context)
    const filters = [extension('deny', network, tcp.deny), extension('allow', network, tcp.allow)]
    return [
      webListener(name, { filters: httpRbacFilters(), work, tls: server }),
      webListener(`${name}-plain`, { filters: httpRbacFilters(), work }),
      tcpListener(`${name}-tcp`, { filters, tls: server }),
      tcpListener(`${name}-tcp-plain`, { filters }),
    ]
  })
  const bare = webListener('bare', { filters: httpRbacFilters() })
  envoy = await StaticEnvoy.start([...listeners, bare])
})
afterAll(() => envoy[Symbol.asyncDispose]())

const ask = (set: Set, sending: Sending = {}): Promise<Answer> =>
  send(envoy.port(sending.as === undefined ? `${set}-plain` : set), sending)

describe('who may send a request', () => {
  const passes: [Set, string, Sending][] = [
    ['open', 'anyone where nobody says anything', {}],
    ['service-account', 'that account', { as: as.web }],
    ['all-accounts', 'any account of the namespace', { as: as.website }],
    ['namespace', 'a namespace', { as: as.website }],
    ['exact', 'an identity', { as: as.web }],
    ['prefix', 'below a prefix', { as: as.website }],
    ['trust-domain', 'another trust domain', { as: as.partner }],
    ['authenticated', 'anyone with an identity', { as: as.partner }],
    ['cidr', 'an address in the range', { from: '127.0.0.65' }],
    ['not-sources', 'anyone else', { as: as.website }],
    ['not-sources', 'anyone without identity too', {}],
    ['both', 'whom the DENY does not mean', { as: as.website, method: 'DELETE' }],
    ['both', 'what the DENY does not mean', { as: as.web }],
  ]
  test.each(passes)('%s: %s', async (set, _, sending) => {
    expect(await ask(set, sending)).toMatchObject({ status: 200, body: 'passed' })
  })

  const refused: [Set, string, Sending][] = [
    ['service-account', 'a name that only begins alike', { as: as.website }],
    ['service-account', 'the same name in another namespace', { as: as.shopping }],
    ['service-account', 'the same in another trust domain', { as: as.partner }],
    ['service-account', 'plaintext', {}],
    [
      'service-account',
      'plaintext that says it is',
      { headers: { 'x-forwarded-client-cert': `URI=${idOf('shop/web')}` } },
    ],
    ['all-accounts', 'a namespace that only begins alike', { as: as.shopping }],
    ['namespace', 'a namespace that only begins alike', { as: as.shopping }],
    ['prefix', 'a namespace that only begins alike', { as: as.shopping }],
    ['exact', 'an identity that only begins alike', { as: as.website }],
    ['trust-domain', 'the own trust domain', { as: as.web }],
    ['authenticated', 'plaintext', {}],
    ['cidr', 'an address outside', { from: '127.0.0.1' }],
    ['cidr', 'an address outside that names another', { headers: { 'x-forwarded-for': '127.0.0.65' } }],
    ['not-sources', 'whom it names', { as: as.web }],
    ['nobody', 'anyone', { as: as.web }],
    ['both', 'what the DENY means, though all are allowed', { as: as.web, method: 'DELETE' }],
    ['wrong-port', 'anyone on another port', { as: as.web }],
    ['not-port', 'anyone on other ports', { as: as.web }],
  ]
  test.each(refused)('%s: not %s', async (set, _, sending) => {
    expect(await ask(set, sending)).toMatchObject({ status: 403, body: 'RBAC: access denied' })
  })

  test('nobody, where routes lack the rules', async () => {
    expect(await send(envoy.port('bare'))).toMatchObject({ status: 403 })
  })
})

describe('what may be asked for', () => {
  test.each(['/', '/administration', '/a/admin', '/?/admin', '/exact/', '/admi%6', '/x?next=%2fadmin'])(
    'a DENY of paths lets %s pass',
    async (path) => expect((await ask('paths', { path })).status).toBe(200),
  )
  test.each([
    '/admin',
    '/admin/',
    '/admin/users?id=1',
    '/admin?x',
    '/x/../admin',
    '/./admin',
    '/%61dmin',
    '/x\\..\\admin',
    '/exact',
    '/exact?x',
  ])('a DENY of paths refuses %s', async (path) => expect((await ask('paths', { path })).status).toBe(403))
  test.each(['/x%2f..%2fadmin', '/x/..%2Fadmin', '/x%5c..%5cadmin', '/harmless%5C', '/a%2fb?x'])(
    'where paths are looked at, none may hold an escaped slash: %s',
    async (path) => expect((await ask('paths', { path })).status).toBe(403),
  )
  test('elsewhere it may', async () => {
    expect((await ask('open', { path: '/a%2fb' })).status).toBe(200)
  })

  test.each(['/items/7', '/items/7?page=/items/x'])('a regular expression is for the whole path: %s', async (path) =>
    expect((await ask('regex', { path })).status).toBe(200),
  )
  test.each(['/items/7/secret', '/x/items/7', '/items/'])('and not for a part: %s', async (path) =>
    expect((await ask('regex', { path })).status).toBe(403),
  )

  const tenant = { 'x-tenant': 'acme' }
  test.each([
    'cart.shop',
    'CART.Shop',
    'cart.shop.',
    'cart.shop:8080',
    'a.example.com',
    'a.b.example.com:1',
    'other:8080',
  ])('host %s is allowed', async (host) =>
    expect((await ask('request', { headers: { ...tenant, host } })).status).toBe(200),
  )
  test.each(['cart.shop.evil', 'xcart.shop', 'cartxshop', 'example.com', 'other', 'other:80', 'a.example.com:1:2'])(
    'host %s is not',
    async (host) => expect((await ask('request', { headers: { ...tenant, host } })).status).toBe(403),
  )
  test.each([
    ['without the header', {}],
    ['with another value', { 'x-tenant': 'other' }],
    ['with more than the value', { 'x-tenant': 'acme2' }],
    ['with a forbidden header', { ...tenant, 'x-debug': '' }],
  ])('not %s', async (_, headers) =>
    expect((await ask('request', { headers: { ...headers, host: 'cart.shop' } })).status).toBe(403),
  )
})

describe('who may open a connection', () => {
  const text = 'hello'
  test.each([
    ['open', undefined, true],
    ['service-account', as.web, true],
    ['service-account', as.website, false],
    ['service-account', undefined, false],
    ['nobody', as.web, false],
    // what an ALLOW asks of requests is not met
    ['regex', as.web, false],
    ['request', as.web, false],
    // what a DENY asks of requests is taken for met, from whom it means
    ['paths', as.web, false],
    ['both', as.web, false],
    ['both', as.website, true],
    ['wrong-port', as.web, false],
    ['not-port', as.web, false],
    // dry runs refuse nothing
    ['dry', as.website, true],
  ] as const)('%s (%#)', async (set, who, passes) => {
    const port = envoy.port(who === undefined ? `${set}-tcp-plain` : `${set}-tcp`)
    expect(await talk(port, text, who)).toBe(passes ? text : '')
  })

  test('dry runs are counted', async () => {
    const before = await envoy.stats()
    await talk(envoy.port('dry-tcp'), text, as.website)
    const after = await envoy.stats()
    const grew = [...after].filter(([name, value]) => name.includes('rbac') && value > (before.get(name) ?? 0))
    expect(Object.fromEntries(grew.map(([name, value]) => [name, value - (before.get(name) ?? 0)]))).toEqual({
      'tcp.deny.rbac.dry_run_deny.shadow_denied': 1,
      'tcp.allow.rbac.dry_run_allow.shadow_denied': 1,
    })
  })
})

describe('what is counted and logged', () => {
  const grown = async (act: () => Promise<unknown>): Promise<Record<string, number>> => {
    const before = await envoy.stats()
    await act()
    return Object.fromEntries(
      [...(await envoy.stats())]
        .map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
        .filter(([name, value]) => name.includes('rbac') && value > 0),
    )
  }

  test('who decided is in the statistics', async () => {
    expect(await grown(() => ask('both', { as: as.web, method: 'DELETE' }))).toEqual({
      'http.both.rbac.deny.denied': 1,
      'http.both.rbac.deny.policy.shop/not-web[0].denied': 1,
    })
  })

  test('a dry run refuses nothing, and counts what it would have refused', async () => {
    expect(
      await grown(async () => expect((await ask('dry', { as: as.website, method: 'DELETE' })).status).toBe(200)),
    ).toEqual({
      'http.dry.rbac.dry_run_deny.shadow_denied': 1,
      'http.dry.rbac.dry_run_deny.policy.shop/deletes[0].shadow_denied': 1,
      'http.dry.rbac.dry_run_allow.shadow_denied': 1,
    })
    expect(await grown(() => ask('dry', { as: as.web }))).toEqual({
      'http.dry.rbac.dry_run_deny.shadow_allowed': 1,
      'http.dry.rbac.dry_run_allow.shadow_allowed': 1,
      'http.dry.rbac.dry_run_allow.policy.shop/web[0].shadow_allowed': 1,
    })
  })
})
