import { describe, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { ref, resourceOf } from './graph-source.ts'
import { DeltaHarness } from './harness.ts'
import { refuseText, start, withPolicy } from './scenes.ts'

describe('refusals', () => {
  it('tries what was refused together one by one, so that only the bad one is marked', () => {
    const at = new DeltaHarness({ judge: ({ resources }) => refuseText(resources, 'bad') })
    at.source.set(VIRTUAL_HOST, 'a', '1').set(VIRTUAL_HOST, 'b', 'bad').set(VIRTUAL_HOST, 'c', '1')
    at.source.list(VIRTUAL_HOST, 'a', 'b', 'c')
    at.peer.wildcard(VIRTUAL_HOST)
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +a +b +c', 'VirtualHost +a', 'VirtualHost +b', 'VirtualHost +c'])
    expect(at.peer.names(VIRTUAL_HOST)).toEqual(['a', 'c'])
    const version = resourceOf('b', { text: 'bad' }).version
    expect(at.source.refusals).toEqual([{ client: 'client', type: VIRTUAL_HOST, name: 'b', version, message: 'no: b' }])
    const resources = at.session.describe()[0]?.resources
    expect(resources?.find(({ name }) => name === 'b')?.refused).toEqual({
      version,
      message: 'no: b',
      at: at.clock.now(),
    })
  })

  it('does not send a refused version again, leaves the client at its last good one, and tries the next', () => {
    const at = new DeltaHarness({ judge: ({ resources }) => refuseText(resources, 'bad') })
    at.source.set(CLUSTER, 'a', 'good').list(CLUSTER, 'a')
    at.peer.wildcard(CLUSTER)
    at.pump()
    const good = at.source.get(CLUSTER, 'a')?.version
    at.source.set(CLUSTER, 'a', 'bad')
    at.commit().pump()
    at.source.set(CLUSTER, 'b', '1').list(CLUSTER, 'a', 'b')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a', 'Cluster +a', 'Cluster +b'])
    expect(at.peer.versions(CLUSTER)).toMatchObject({ a: good })
    expect(at.session.describe()[0]?.resources[0]).toMatchObject({ acknowledged: good, sent: good })
    // back to what the client has: nothing to send
    at.source.set(CLUSTER, 'a', 'good')
    at.commit().pump()
    expect(at.sent()).toEqual([])
    at.source.set(CLUSTER, 'a', 'better')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a'])
    expect(at.source.acceptances.at(-1)).toBe(`${CLUSTER} a ${at.source.get(CLUSTER, 'a')?.version}`)
    expect(at.session.describe()[0]?.resources[0]?.refused).toBeUndefined()
  })

  it('keeps what the last good version requires', () => {
    const at = new DeltaHarness({ judge: ({ resources }) => refuseText(resources, 'bad') })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    at.pump()
    at.sent()
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'bad', { requires: [ref(CLUSTER, 'x|v1')] })
    at.commit().pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    expect(at.peer.names(CLUSTER)).toEqual(['x', 'x|v1', 'x|v2'])
  })

  it('gives an answer again that was refused in company', () => {
    const at = new DeltaHarness({ judge: ({ resources }) => refuseText(resources, 'bad') })
    at.source.set(VIRTUAL_HOST, 'a', '1')
    at.peer.subscribe(VIRTUAL_HOST, 'a')
    at.pump()
    at.source.set(VIRTUAL_HOST, 'b', 'bad')
    at.peer.subscribe(VIRTUAL_HOST, 'a', 'b', 'missing')
    at.pump()
    expect(at.sent()).toEqual([
      'VirtualHost +a',
      'VirtualHost +a +b -missing',
      'VirtualHost +a',
      'VirtualHost +b',
      'VirtualHost -missing',
    ])
  })

  it('matches an answer to its response by nonce, in whatever order', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    at.source.set(ENDPOINTS, 'a', '1').set(CLUSTER, 'b', '1')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.peer.subscribe(CLUSTER, 'b')
    at.pump()
    at.source.set(ENDPOINTS, 'a', '2')
    at.commit().pump()
    at.peer.answerHeld()
    at.pump()
    const acknowledged = at.session
      .describe()
      .flatMap(({ resources }) => resources.map((resource) => resource.acknowledged))
    expect(acknowledged).toEqual([at.source.get(ENDPOINTS, 'a')?.version, at.source.get(CLUSTER, 'b')?.version])
    expect(at.sent()).toHaveLength(3)
  })

  it('tries once more what a client asks for anew', () => {
    let strict = true
    const at = new DeltaHarness({ judge: () => (strict ? 'no' : undefined) })
    at.source.set(CLUSTER, 'a', '1')
    at.peer.subscribe(CLUSTER, 'a')
    at.pump()
    strict = false
    at.peer.subscribe(CLUSTER, 'a')
    at.pump()
    expect(at.peer.names(CLUSTER)).toEqual(['a'])
  })
})
