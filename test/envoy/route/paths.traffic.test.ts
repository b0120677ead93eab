// Matches, redirections and rewrites, as a client and an application see them through a real Envoy.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documents, route, service } from './objects.ts'
import { Stage } from './stage.ts'

const to = (name: string) => `backendRefs: [{name: ${name}, port: 80}]`
const redirect = (path: string, what: string) => `
    - matches: [{path: {value: ${path}}}]
      filters: [{type: RequestRedirect, requestRedirect: ${what}}]`
const replaces = (prefix: string, replacement: string) => `
    - matches: [{path: {value: ${prefix}}}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: '${replacement}'}}}]
      ${to('a')}`

const yaml = documents(
  service('a', '10.96.1.1'),
  service('b', '10.96.1.2'),
  service('match', '10.96.0.1'),
  route(
    'match',
    `
    - matches:
        - path: {type: Exact, value: /exact}
        - path: {value: /prefix/}
        - path: {type: RegularExpression, value: '/[a-z]+/[0-9]+'}
        - path: {value: /method}
          method: PUT
        - path: {value: /header}
          headers: [{name: X-Canary, value: 'yes'}]
        - path: {value: /header-regex}
          headers: [{name: x-canary, type: RegularExpression, value: 'y.*'}]
        - path: {value: /host}
          headers: [{name: Host, value: www.example.com}]
        - path: {value: /query}
          queryParams: [{name: v, value: '2'}]
        - path: {value: /query-regex}
          queryParams: [{name: v, type: RegularExpression, value: '[23]'}]
      ${to('a')}`,
  ),
  service('redirect', '10.96.0.2'),
  route(
    'redirect',
    [
      redirect('/same', '{}'),
      redirect('/https', '{scheme: https, statusCode: 301}'),
      redirect('/host', '{hostname: example.com, statusCode: 303}'),
      redirect('/port', '{port: 8080, statusCode: 307}'),
      redirect('/port-443', '{scheme: https, port: 443, hostname: example.com, statusCode: 308}'),
      redirect('/port-8443', '{scheme: https, port: 8443, hostname: example.com}'),
      redirect('/full', '{path: {type: ReplaceFullPath, replaceFullPath: /new}}'),
      redirect('/prefix', '{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}}'),
      redirect('/gone', "{path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}"),
    ].join(''),
  ),
  service('redirect-8080', '10.96.0.3', 8080),
  route('redirect-8080', redirect('/same', '{}') + redirect('/host', '{hostname: example.com}')),
  service('rewrite', '10.96.0.4'),
  route(
    'rewrite',
    [
      replaces('/foo', '/xyz'),
      replaces('/slash/', '/xyz/'),
      replaces('/empty', ''),
      replaces('/root', '/'),
      replaces('/dots.1', '/'),
      `
    - matches: [{path: {value: /full}}]
      filters: [{type: URLRewrite, urlRewrite: {hostname: other.example.com, path: {type: ReplaceFullPath, replaceFullPath: '/new\\1'}}}]
      ${to('a')}`,
    ].join(''),
  ),
  service('nest', '10.96.0.5'),
  route('nest', replaces('/', '/below')),
)

let stage: Stage
beforeAll(async () => (stage = await Stage.start(yaml)))
afterAll(() => stage[Symbol.asyncDispose]())

describe('matches', () => {
  test.each([
    ['/exact', {}],
    ['/exact?x=1', {}],
    ['/prefix', {}],
    ['/prefix/', {}],
    ['/prefix/below', {}],
    ['/some/42', {}],
    ['/some/42?x=1', {}],
    ['/method', { method: 'PUT' }],
    ['/header', { headers: { 'X-CANARY': 'yes' } }],
    ['/header-regex', { headers: { 'x-canary': 'yes, please' } }],
    ['/host', { headers: { host: 'www.example.com' } }],
    ['/query?u=1&v=2', {}],
    ['/query-regex?v=3', {}],
  ])('%s %j', async (path, sending) => {
    expect((await stage.send('match', path, sending)).arrival).toMatchObject({ backend: 'a.shop:80', path })
  })

  test.each([
    ['/exact/', {}],
    ['/Exact', {}],
    ['/prefixes', {}],
    ['/Prefix', {}],
    ['/some/42/more', {}],
    ['/method', {}],
    ['/header', { headers: { 'x-canary': 'YES' } }],
    ['/header-regex', { headers: { 'x-canary': 'oh yes' } }],
    ['/host', {}],
    ['/query?v=22', {}],
    ['/query-regex?v=22', {}],
    ['/', {}],
  ])('%s %j is no match', async (path, sending) => {
    const answer = await stage.send('match', path, sending)
    expect(answer).toMatchObject({
      status: 404,
      body: 'no rule of this service matches the request\n',
      arrival: undefined,
    })
  })
})

describe('redirections', () => {
  test.each([
    ['redirect', '/same/x?q=1', 'svc', 302, 'http://svc/same/x?q=1'],
    ['redirect', '/https/x', 'svc', 301, 'https://svc/https/x'],
    // the port of the Host is not that of the new scheme; Envoy can only say the right one
    ['redirect', '/https/x', 'svc:8888', 301, 'https://svc:443/https/x'],
    ['redirect', '/host/x', 'svc', 303, 'http://example.com/host/x'],
    ['redirect', '/port/x', 'svc', 307, 'http://svc:8080/port/x'],
    ['redirect', '/port/x', 'svc:80', 307, 'http://svc:8080/port/x'],
    ['redirect', '/port-443/x', 'svc', 308, 'https://example.com/port-443/x'],
    ['redirect', '/port-8443/x', 'svc', 302, 'https://example.com:8443/port-8443/x'],
    ['redirect', '/full/x?q=1', 'svc', 302, 'http://svc/new?q=1'],
    ['redirect', '/prefix/x?q=1', 'svc', 302, 'http://svc/new/x?q=1'],
    ['redirect', '/prefix', 'svc', 302, 'http://svc/new'],
    ['redirect', '/gone/x', 'svc', 302, 'http://svc/x'],
    ['redirect', '/gone', 'svc', 302, 'http://svc/'],
    ['redirect', '/gone?q=1', 'svc', 302, 'http://svc/?q=1'],
    // the port that was dialled
    ['redirect-8080', '/same/x', 'svc', 302, 'http://svc:8080/same/x'],
    ['redirect-8080', '/same/x', 'svc:8080', 302, 'http://svc:8080/same/x'],
    ['redirect-8080', '/same/x', 'localhost:9001', 302, 'http://localhost:9001/same/x'],
    ['redirect-8080', '/host/x', 'svc:8080', 302, 'http://example.com:8080/host/x'],
  ])('%s%s of %s', async (name, path, host, status, location) => {
    const answer = await stage.send(name, path, { headers: { host } })
    expect(answer).toMatchObject({ status, headers: { location }, arrival: undefined })
  })
})

describe('rewrites', () => {
  test.each([
    // the table of HTTPPathModifier.replacePrefixMatch
    ['rewrite', '/foo/bar', '/xyz/bar'],
    ['rewrite', '/slash/bar', '/xyz/bar'],
    ['rewrite', '/foo', '/xyz'],
    ['rewrite', '/foo/', '/xyz/'],
    ['rewrite', '/empty/bar', '/bar'],
    ['rewrite', '/empty/', '/'],
    ['rewrite', '/empty', '/'],
    ['rewrite', '/root/bar', '/bar'],
    ['rewrite', '/root/', '/'],
    ['rewrite', '/root', '/'],
    // and beyond
    ['rewrite', '/foo?q=1', '/xyz?q=1'],
    ['rewrite', '/empty?q=/empty', '/?q=/empty'],
    ['rewrite', '/empty/empty/x', '/empty/x'],
    ['rewrite', '/dots.1/x', '/x'],
    ['rewrite', '/full/x?q=1', String.raw`/new\1?q=1`],
    ['nest', '/', '/below/'],
    ['nest', '/x?q=1', '/below/x?q=1'],
  ])('%s%s arrives as %s', async (name, path, arrives) => {
    expect((await stage.send(name, path)).arrival?.path).toBe(arrives)
  })

  test('of the host', async () => {
    expect((await stage.send('rewrite', '/full')).arrival?.headers).toMatchObject({ host: 'other.example.com' })
    expect((await stage.send('rewrite', '/foo')).arrival?.headers).toMatchObject({ host: 'rewrite' })
  })
})
