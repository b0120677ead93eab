// What only Envoy can say: that it is given what it asks for in an order that it can work with, and loses no request over it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { eventually } from '../support/eventually.ts'
import { EnvoyWorld } from './envoy-world.ts'

const to = (cluster: string) => ({ match: { prefix: '/' }, route: { cluster, timeout: '0s' } }) as const

describe('an Envoy that asks on demand', () => {
  let world: EnvoyWorld

  beforeAll(async () => {
    world = await EnvoyWorld.start('DELTA_GRPC')
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('gets a cluster at its first use', async () => {
    world
      .endpoints('10.0.0.1:80', await world.application('plain'))
      .plain('10.0.0.1:80')
      .commit()
    expect(await world.get('10.0.0.1:80')).toEqual({ status: 200, body: 'plain', policy: 'none' })
  })

  it('gets a virtual host before the cluster that leads through it', async () => {
    const port = await world.application('routed')
    world.endpoints('10.0.0.2:80|v1', port).cluster('10.0.0.2:80|v1')
    world.policy('10.0.0.2:80', [to('10.0.0.2:80|v1')], ['10.0.0.2:80|v1']).commit()
    expect(await world.get('10.0.0.2:80')).toEqual({ status: 200, body: 'routed', policy: 'applied' })
    const first = await world.stat('http.again.downstream_rq_total')
    expect(await world.get('10.0.0.2:80')).toEqual({ status: 200, body: 'routed', policy: 'applied' })
    expect([first, await world.stat('http.again.downstream_rq_total')]).toEqual([1, 1])
  })

  it('gets new endpoints', async () => {
    world.endpoints('10.0.0.1:80', await world.application('other')).commit()
    await eventually(async () => expect((await world.get('10.0.0.1:80')).body).toBe('other'))
  })

  it('gets the endpoints of a cluster that changed, though they are the same', async () => {
    const updates = await world.stat('cluster_manager.cluster_modified')
    world.cluster('10.0.0.1:80', 'renamed').commit()
    // taken at once: without its endpoints a cluster would warm for a second, and then have none
    await eventually(async () => expect(await world.stat('cluster_manager.cluster_modified')).toBe(updates + 1))
    expect((await world.get('10.0.0.1:80')).body).toBe('other')
    await eventually(async () => expect(await world.stat('cluster_manager.warming_clusters')).toBe(0))
  })

  it('loses no request when a policy comes, changes, and goes', async () => {
    const [one, two] = [await world.application('one'), await world.application('two')]
    const at = '10.0.0.3:80'
    world.endpoints(at, one).plain(at).commit()
    await world.get(at)
    const stop = new AbortController()
    const seen = new Set<string>()
    const traffic = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        const { status, body, policy } = await world.get(at)
        expect(status).toBe(200)
        seen.add(`${body} ${policy}`)
      }
    }
    const running = Promise.all([traffic(), traffic(), traffic()])
    const steps: [string, () => unknown][] = [
      ['one none', () => {}],
      [
        'one applied',
        () =>
          world
            .endpoints(`${at}|v1`, one)
            .cluster(`${at}|v1`)
            .policy(at, [to(`${at}|v1`)], [`${at}|v1`]),
      ],
      [
        'two applied',
        () =>
          world
            .endpoints(`${at}|v2`, two)
            .cluster(`${at}|v2`)
            .policy(at, [to(`${at}|v2`)], [`${at}|v2`]),
      ],
      ['one none', () => world.plain(at)],
    ]
    for (let round = 0; round < 5; round++) {
      for (const [expected, step] of steps) {
        step()
        world.commit()
        seen.clear()
        await eventually(() => expect(seen).toContain(expected))
      }
    }
    stop.abort()
    await running
    // what only the policy needed is gone
    await eventually(async () => expect((await world.admin('/clusters')).body).not.toContain(`${at}|v`))
  })

  it('keeps a service that vanishes, without instances, and goes on with it when it is back', async () => {
    const at = '10.0.0.4:80'
    const port = await world.application('back')
    world.endpoints(at, port).plain(at).commit()
    expect((await world.get(at)).status).toBe(200)
    world.source.remove(CLUSTER, at)
    world.endpoints(at).commit()
    await eventually(async () => expect((await world.get(at)).status).toBe(503))
    world.endpoints(at, port).cluster(at).commit()
    await eventually(async () => expect((await world.get(at)).body).toBe('back'))
  })

  it('is told at once that an address has nobody, and is given it when it does', async () => {
    const at = '10.0.0.5:80'
    const before = performance.now()
    expect((await world.get(at)).status).toBe(503)
    expect(performance.now() - before).toBeLessThan(4_000)
    world
      .endpoints(at, await world.application('late'))
      .plain(at)
      .commit()
    await eventually(async () => expect((await world.get(at)).body).toBe('late'))
  })

  it('takes the good of what it refuses, keeps the last good of the bad, and says why', async () => {
    const names = ['10.0.0.6:80', '10.0.0.7:80', '10.0.0.8:80']
    for (const name of names) {
      world.cluster(name).endpoints(name)
      world.virtualHost(name, [{ match: { prefix: '/' }, direct_response: { status: 201 } }])
    }
    world.source.list(VIRTUAL_HOST, 'outbound/placeholder.invalid', ...names.map((name) => `outbound/${name}`))
    world.commit()
    await eventually(async () => expect((await world.get('10.0.0.8:80')).status).toBe(201))
    for (const name of names) {
      const match = name === '10.0.0.7:80' ? { safe_regex: { regex: '(' } } : { prefix: '/' }
      world.virtualHost(name, [{ match, direct_response: { status: 202 } }])
    }
    world.commit()
    await eventually(async () => {
      const answers = await Promise.all(names.map((name) => world.get(name)))
      expect(answers.map(({ status }) => status)).toEqual([202, 201, 202])
    })
    expect(world.source.refusals).toMatchObject([{ type: VIRTUAL_HOST, name: 'outbound/10.0.0.7:80' }])
    expect(world.source.refusals[0]?.message).toMatch(/missing \)|regex/)
    world.virtualHost('10.0.0.7:80', [{ match: { prefix: '/' }, direct_response: { status: 203 } }]).commit()
    await eventually(async () => expect((await world.get('10.0.0.7:80')).status).toBe(203))
  })

  it('is served by another control plane without a lost request, and is resent nothing', async () => {
    const at = '10.0.0.1:80'
    const stop = new AbortController()
    const traffic = async (): Promise<void> => {
      while (!stop.signal.aborted) expect((await world.get(at)).status).toBe(200)
    }
    const running = traffic()
    await world.stopServing()
    await world.serve()
    await eventually(() => {
      const types = world.server?.clients()[0]?.types.map(({ type, resources }) => `${type} ${resources.length > 0}`)
      expect(types).toEqual(expect.arrayContaining([CLUSTER, ENDPOINTS, VIRTUAL_HOST].map((type) => `${type} true`)))
    })
    world.endpoints(at, await world.application('moved')).commit()
    await eventually(async () => expect((await world.get(at)).body).toBe('moved'))
    stop.abort()
    await running
    const pushes = await world.registry.getSingleMetric('heddle_xds_pushes_total')?.get()
    expect(pushes?.values.map(({ labels, value }) => [labels['type'], value])).toEqual([['ClusterLoadAssignment', 1]])
    // and what it asks for from now on comes as ever
    world
      .endpoints('10.0.0.9:80', await world.application('new'))
      .plain('10.0.0.9:80')
      .commit()
    expect((await world.get('10.0.0.9:80')).body).toBe('new')
  })
})

describe('an Envoy that speaks state of the world', () => {
  it('is sent everything ahead, and what changes', async () => {
    await using world = await EnvoyWorld.start('GRPC')
    const [one, two] = [await world.application('one'), await world.application('two')]
    world.endpoints('10.0.0.1:80', one).plain('10.0.0.1:80').endpoints('10.0.0.2:80', two).plain('10.0.0.2:80')
    world.source.list(CLUSTER, '10.0.0.1:80', '10.0.0.2:80')
    world.commit()
    await eventually(async () => expect((await world.get('10.0.0.2:80')).body).toBe('two'))
    world.endpoints('10.0.0.1:80', two).cluster('10.0.0.2:80', 'renamed').commit()
    await eventually(async () => expect((await world.get('10.0.0.1:80')).body).toBe('two'))
    expect((await world.get('10.0.0.2:80')).body).toBe('two')
    world.source.list(CLUSTER, '10.0.0.1:80')
    world.commit()
    await eventually(async () => expect((await world.get('10.0.0.2:80')).status).toBe(503))
    expect(world.source.refusals).toEqual([])
  })
})
