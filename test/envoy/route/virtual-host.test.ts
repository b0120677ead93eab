/**
 * What routes and policies become: pairs of files under `cases/`, the input and the virtual hosts with the clusters they
 * need. `UPDATE=1` rewrites the expected ones and removes those without input. A real Envoy accepts all of them.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { REFUSED } from '../../../src/envoy/names.ts'
import { placeholderVirtualHost, refusedVirtualHost } from '../../../src/envoy/route/fixed-hosts.ts'
import { routeConfiguration } from '../../../src/envoy/route/route-configuration.ts'
import { testProtos } from '../../proto/protos.ts'
import { validate } from '../../support/envoy.ts'
import { layeredRuntime, listener } from './listener.ts'
import { objectsOf, virtualHosts } from './world.ts'

const folder = join(import.meta.dirname, 'cases')
const services = readFileSync(join(import.meta.dirname, 'services.yaml'), 'utf8')
const files = readdirSync(folder)
const names = files.filter((file) => file.endsWith('.in.yaml')).map((file) => file.slice(0, -'.in.yaml'.length))
const orphans = files.filter(
  (file) => file.endsWith('.out.yaml') && !names.includes(file.slice(0, -'.out.yaml'.length)),
)
const update = process.env['UPDATE'] === '1'

const hostsOf = (name: string) =>
  virtualHosts(objectsOf(services, readFileSync(join(folder, `${name}.in.yaml`), 'utf8'))).map(({ host }) => host)

describe('virtual hosts', () => {
  test.each(names)('%s', (name) => {
    const hosts = hostsOf(name)
    const actual = stringify(
      hosts.map(({ message, clusters }) => ({ clusters, virtual_host: message })),
      { aliasDuplicateObjects: false, lineWidth: 0 },
    )
    const path = join(folder, `${name}.out.yaml`)
    if (update) writeFileSync(path, actual)
    expect(actual).toBe(readFileSync(path, 'utf8'))
    expect(actual).not.toContain('undefined')
    expect(hosts).not.toEqual([])
  })

  test('no expectation is without input', () => {
    if (update) for (const orphan of orphans) rmSync(join(folder, orphan))
    expect(update ? [] : orphans).toEqual([])
  })

  test('all are messages, encoded as typed', () => {
    const protos = testProtos()
    for (const { message } of [
      ...names.flatMap(hostsOf),
      { message: placeholderVirtualHost() },
      { message: refusedVirtualHost(['10.0.0.1:80']) },
    ])
      expect(
        protos.decode('envoy.config.route.v3.VirtualHost', protos.encode('envoy.config.route.v3.VirtualHost', message)),
      ).toBeTypeOf('object')
    const configuration = routeConfiguration({ vhds: true })
    const bytes = protos.encode('envoy.config.route.v3.RouteConfiguration', configuration)
    expect(protos.decode('envoy.config.route.v3.RouteConfiguration', bytes)).toMatchObject({
      name: 'outbound',
      vhost_header: 'x-heddle-dst',
      request_headers_to_remove: ['x-heddle-dst', 'x-heddle-pass'],
    })
  })

  test('Envoy accepts them all', async () => {
    const fixed = [placeholderVirtualHost(), refusedVirtualHost(['10.0.0.1:80', '[fd00::1]:80'])]
    const listeners = names.map((name, index) =>
      listener(name, `/dev/null/${index}`, {
        ...routeConfiguration({
          vhds: false,
          virtualHosts: [...hostsOf(name).map(({ message }) => message), ...fixed],
        }),
        validate_clusters: false,
      }),
    )
    const cluster = { name: REFUSED, type: 'STATIC', load_assignment: { cluster_name: REFUSED } }
    const static_resources = { listeners, clusters: [cluster] }
    expect(await validate(JSON.stringify({ layered_runtime: layeredRuntime(), static_resources }))).toBeUndefined()
  })
})
