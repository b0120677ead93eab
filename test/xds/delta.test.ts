import { describe, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { encodeDeltaAsk } from '../support/discovery.ts'
import { resourceOf, ref } from './graph-source.ts'
import { DeltaHarness } from './harness.ts'

describe('subscriptions', () => {
  it('answers an empty first request with everything that is listed', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').set(CLUSTER, 'other', '1').list(CLUSTER, 'a', 'b')
    at.peer.wildcard(CLUSTER)
    at.pump()
    expect(at.sent()).toEqual(['Cluster +a +b'])
    expect(at.peer.names(CLUSTER)).toEqual(['a', 'b'])
  })

  it('answers a wildcard that holds nothing, since the start of Envoy waits for an answer', () => {
    const at = new DeltaHarness()
    at.peer.wildcard(LISTENER)
    at.pump()
    expect(at.sent()).toEqual(['Listener'])
    at.source.set(LISTENER, 'l', '1').list(LISTENER, 'l')
    at.commit().pump()
    expect(at.sent()).toEqual(['Listener +l'])
  })

  it('follows the list of a wildcard', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a')
    at.peer.wildcard(CLUSTER)
    at.pump()
    at.source.list(CLUSTER, 'b')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a', 'Cluster +b', 'Cluster -a'])
  })

  it('takes names beside a wildcard, as on-demand discovery asks', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'warm', '1').set(CLUSTER, '10.96.0.1:80', '1').list(CLUSTER, 'warm')
    at.peer.wildcard(CLUSTER)
    at.pump()
    at.peer.subscribe(CLUSTER, '10.96.0.1:80')
    at.pump()
    expect(at.sent()).toEqual(['Cluster +warm', 'Cluster +10.96.0.1:80'])
    expect(at.source.asks).toEqual([`+ ${CLUSTER} 10.96.0.1:80 found`])
    at.source.list(CLUSTER)
    at.commit().pump()
    expect(at.peer.names(CLUSTER)).toEqual(['10.96.0.1:80'])
  })

  it('says at once that a name does not exist, and sends it when it does', () => {
    const at = new DeltaHarness()
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'later')
    at.pump()
    expect(at.sent()).toEqual(['Cluster -later'])
    expect(at.source.asks).toEqual([`+ ${CLUSTER} later missing`])
    at.source.set(CLUSTER, 'later', '1')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +later'])
  })

  it('answers a name that is asked for again, though the client should have it', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'a', '1')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a', 'ClusterLoadAssignment +a'])
    expect(at.source.asks).toHaveLength(1)
  })

  it('sends nothing of what a client gave up', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'a', '1')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.peer.unsubscribe(ENDPOINTS, 'a')
    at.pump()
    at.source.set(ENDPOINTS, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a'])
    expect(at.source.watches).toBe(0)
    expect(at.source.asks.at(-1)).toBe(`- ${ENDPOINTS} a`)
  })

  it('tells a client with a wildcard, when it gives up a name, whether the wildcard gives it', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'listed', '1').set(CLUSTER, 'asked', '1').list(CLUSTER, 'listed')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'listed', 'asked')
    at.pump()
    at.sent()
    at.peer.unsubscribe(CLUSTER, 'listed', 'asked')
    at.pump()
    expect(at.sent()).toEqual(['Cluster +listed', 'Cluster -asked'])
  })

  it('forgets the wildcard when it is given up, and keeps the names', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a', 'b')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'a')
    at.pump()
    at.peer.noWildcard(CLUSTER)
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'a', '2').set(CLUSTER, 'b', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a'])
    expect(at.source.watches).toBe(1)
  })

  it('serves types that it does not know', () => {
    const at = new DeltaHarness()
    at.source.set('example.v1.Thing', 'x', '1')
    at.peer.subscribe('example.v1.Thing', 'x')
    at.pump()
    expect(at.sent()).toEqual(['Thing +x'])
  })

  it('ends a stream that asks for more names than one may', () => {
    const at = new DeltaHarness()
    at.peer.subscribe(CLUSTER, ...Array.from({ length: 1_001 }, (_, index) => `c${index}`))
    expect(() => at.pump()).toThrow('more than 1000 names')
  })

  it('ends a stream that brings more names than one may, or names that nobody would give', () => {
    const many = new Map(Array.from({ length: 1_001 }, (_, index) => [`c${index}`, '1']))
    const at = new DeltaHarness()
    expect(() => at.session.receive(encodeDeltaAsk({ type: CLUSTER, has: many }))).toThrow('more than 1000 names')
    const long = encodeDeltaAsk({ type: CLUSTER, subscribe: ['x'.repeat(5_000)] })
    expect(() => at.session.receive(long)).toThrow('a name of more than 4096')
  })

  it('refuses what is not a request', () => {
    const at = new DeltaHarness()
    expect(() => at.session.receive(Buffer.from([0xff, 0xff, 0xff]))).toThrow('not a DeltaDiscoveryRequest')
  })
})

describe('versions', () => {
  it('sends what changed and nothing else', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    at.peer.subscribe(ENDPOINTS, 'a', 'b')
    at.pump()
    at.source.set(ENDPOINTS, 'a', '2').set(ENDPOINTS, 'b', '1')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a +b', 'ClusterLoadAssignment +a'])
  })

  it('sends the latest content when several versions came before the client read', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'a', '1')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.sent()
    at.source.set(ENDPOINTS, 'a', '2').commit().set(ENDPOINTS, 'a', '3')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a'])
    expect(at.peer.versions(ENDPOINTS)).toEqual({ a: at.source.get(ENDPOINTS, 'a')?.version })
  })

  it('resends nothing that a client has when it comes back', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').set(CLUSTER, 'c', '1').list(CLUSTER, 'a', 'b')
    at.source.set(ENDPOINTS, 'c', '1')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'c')
    at.peer.subscribe(ENDPOINTS, 'c')
    at.pump()
    at.reconnect().pump()
    expect(at.sent()).toEqual([])
    at.reconnect()
    at.source.set(CLUSTER, 'b', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +b'])
  })

  it('removes what a returning client has and nobody has any more, but not a name that it asked for on demand', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'listed', '1').set(CLUSTER, 'asked', '1').list(CLUSTER, 'listed')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'asked')
    at.pump()
    at.sent()
    at.source.remove(CLUSTER, 'listed').remove(CLUSTER, 'asked').list(CLUSTER).commit()
    at.reconnect().pump()
    // only when it has asked for everything, for something of another type may be using it
    expect(at.sent()).toEqual([])
    at.clock.advance(1_000)
    at.pump()
    expect(at.sent()).toEqual(['Cluster -listed'])
    expect(at.peer.names(CLUSTER)).toEqual(['asked'])
  })

  it('keeps what a returning client had by the wildcard, listed or not, as long as it exists', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'warm', '1').list(CLUSTER, 'warm')
    at.peer.wildcard(CLUSTER)
    at.pump()
    at.source.list(CLUSTER).commit()
    // this server has not heard that the client uses it; only the stream that listed it would take it away
    at.reconnect().pump()
    at.source.set(CLUSTER, 'warm', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +warm'])
    at.source.remove(CLUSTER, 'warm')
    at.commit().pump()
    at.clock.advance(1_000)
    at.pump()
    expect(at.sent()).toEqual(['Cluster -warm'])
    // that of the list
    expect(at.source.watches).toBe(1)
  })

  it('asks for nothing to be remembered of names that are gone', () => {
    const at = new DeltaHarness()
    for (let round = 0; round < 20; round++) {
      at.source.set(CLUSTER, `c${round}`, '1').list(CLUSTER, `c${round}`)
      if (round === 0) at.peer.wildcard(CLUSTER)
      at.commit().pump()
    }
    expect(at.session.describe().find(({ type }) => type === CLUSTER)?.resources).toHaveLength(1)
    expect(at.source.watches).toBe(2)
  })
})

describe('clusters and their endpoints', () => {
  it('sends endpoints again after each new version of their cluster', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(ENDPOINTS, 'a', '1').list(CLUSTER, 'a')
    at.peer.wildcard(CLUSTER)
    at.pump()
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a', 'ClusterLoadAssignment +a'])
    at.source.set(CLUSTER, 'a', '3').set(ENDPOINTS, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +a', 'ClusterLoadAssignment +a'])
  })

  it('sends them again where a resource says which, and not where it says none', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'shared', '1').set(ENDPOINTS, 'loop', '1').list(CLUSTER, 'tcp', 'loop')
    const clusters = (text: string) =>
      at.source
        .set(CLUSTER, 'tcp', text, { followedBy: [ref(ENDPOINTS, 'shared')] })
        .set(CLUSTER, 'loop', text, { followedBy: [] })
    clusters('1')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(ENDPOINTS, 'shared', 'loop')
    at.pump()
    at.sent()
    clusters('2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +tcp +loop', 'ClusterLoadAssignment +shared'])
  })

  it('sends endpoints to a returning client whose cluster changed, though it has them', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1').set(CLUSTER, 'b', '1')
    at.source.list(CLUSTER, 'a', 'b')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(ENDPOINTS, 'a', 'b')
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'a', '2').commit()
    at.reconnect().pump()
    expect(at.sent()).toEqual(['Cluster +a', 'ClusterLoadAssignment +a'])
  })

  it('does so too if the client asks for endpoints only after its cluster was sent', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(ENDPOINTS, 'a', '1').list(CLUSTER, 'a')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'a', '2').commit()
    at.reconnect().step()
    at.session.flush()
    at.pump()
    expect(at.sent()).toEqual(['Cluster +a', 'ClusterLoadAssignment +a'])
  })

  it('sends endpoints to a client that asks for clusters only after they have warmed', () => {
    const at = new DeltaHarness()
    at.source.set(ENDPOINTS, 'a', '1')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a'])
  })

  it('keeps a cluster that was asked for on demand when it vanishes, and goes on with its endpoints', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'a', '1').set(ENDPOINTS, 'a', '1')
    at.peer.wildcard(CLUSTER)
    at.peer.subscribe(CLUSTER, 'a')
    at.peer.subscribe(ENDPOINTS, 'a')
    at.pump()
    at.sent()
    at.source.remove(CLUSTER, 'a').set(ENDPOINTS, 'a', 'none')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a'])
    at.source.set(CLUSTER, 'a', '1').set(ENDPOINTS, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment +a'])
  })
})

describe('order', () => {
  it('is clusters, endpoints, listeners, routes, virtual hosts, with removals last', () => {
    const at = new DeltaHarness()
    const types = [VIRTUAL_HOST, ROUTES, LISTENER, ENDPOINTS, CLUSTER, SECRET]
    for (const type of types) at.source.set(type, 'old', '1').list(type, 'old')
    for (const type of types) at.peer.wildcard(type)
    at.pump()
    const first = ['Secret +old', 'Cluster +old', 'ClusterLoadAssignment +old', 'Listener +old']
    expect(at.sent()).toEqual([...first, 'RouteConfiguration +old', 'VirtualHost +old'])
    for (const type of types) at.source.set(type, 'new', '1').list(type, 'new')
    at.commit().pump()
    const sent = at.sent()
    expect(sent.slice(0, 6).map((line) => line.split(' ')[1])).toEqual(Array(6).fill('+new'))
    expect(sent.slice(6)).toEqual([
      'VirtualHost -old',
      'RouteConfiguration -old',
      'Listener -old',
      'ClusterLoadAssignment -old',
      'Cluster -old',
      'Secret -old',
    ])
  })

  it('answers a first use with policy in one burst: its clusters, its virtual host, the cluster that was asked for', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    at.peer.wildcard(CLUSTER)
    at.peer.wildcard(VIRTUAL_HOST)
    at.source.set(VIRTUAL_HOST, 'placeholder', '1').list(VIRTUAL_HOST, 'placeholder')
    withPolicy(at)
    at.commit().pump()
    at.peer.answerHeld()
    at.pump()
    at.sent()
    at.peer.subscribe(CLUSTER, 'x')
    at.pump()
    expect(at.sent()).toEqual(['Cluster +x|v1 +x|v2', 'VirtualHost +outbound/x', 'Cluster +x'])
  })

  it('waits, before a change of what is in use, for what that newly requires', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    at.source.set(CLUSTER, 'x', 'direct')
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    withPolicy(at)
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +x|v1 +x|v2'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['Cluster +x'])
  })

  it('takes a policy away only when the cluster that replaces it was taken', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    at.source.set(CLUSTER, 'x', 'direct').remove(VIRTUAL_HOST, 'outbound/x')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +x'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost -outbound/x'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['Cluster -x|v1 -x|v2'])
  })

  it('moves from one backend to another without a gap', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    at.source.set(CLUSTER, 'x|v3', '1')
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'to v3', { requires: [ref(CLUSTER, 'x|v3')] })
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +x|v3'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['Cluster -x|v1 -x|v2'])
  })

  it('does not wait for ever for a client that does not answer', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    at.source.set(CLUSTER, 'x|v3', '1')
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'to v3', { requires: [ref(CLUSTER, 'x|v3')] })
    at.commit().pump()
    at.clock.advance(4_999)
    at.pump()
    expect(at.sent()).toEqual(['Cluster +x|v3'])
    at.clock.advance(1)
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    // what nothing requires any more is still in use by a client that has not said otherwise
    at.clock.advance(60_000)
    at.pump()
    expect(at.sent()).toEqual([])
  })

  it('does not wait for what was refused', () => {
    const at = new DeltaHarness({ answers: 'hold', judge: ({ resources }) => refuseNamed(resources, 'x|v3') })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    at.source.set(CLUSTER, 'x|v3', '1')
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'to v3', { requires: [ref(CLUSTER, 'x|v3')] })
    at.commit().pump()
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['Cluster +x|v3', 'VirtualHost +outbound/x'])
  })

  it('holds nothing back for what does not exist, and sends it when it does', () => {
    const at = new DeltaHarness()
    start(at)
    at.source.set(VIRTUAL_HOST, 'outbound/x', '1', { requires: [ref(CLUSTER, 'nowhere')] })
    at.source.list(VIRTUAL_HOST, 'placeholder', 'outbound/x')
    at.commit().pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    at.source.set(CLUSTER, 'nowhere', '1')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +nowhere'])
  })

  it('keeps what several require until the last of them is gone, and what was asked for by name', () => {
    const at = new DeltaHarness()
    start(at)
    at.source.set(CLUSTER, 'both', '1').set(CLUSTER, 'named', '1')
    const requires = [ref(CLUSTER, 'both'), ref(CLUSTER, 'named')]
    at.source.set(VIRTUAL_HOST, 'a', '1', { requires }).set(VIRTUAL_HOST, 'b', '1', { requires })
    at.source.list(VIRTUAL_HOST, 'placeholder', 'a', 'b')
    at.peer.subscribe(CLUSTER, 'named')
    at.commit().pump()
    at.sent()
    at.source.list(VIRTUAL_HOST, 'placeholder', 'b')
    at.commit().pump()
    expect(at.sent()).toEqual(['VirtualHost -a'])
    at.source.list(VIRTUAL_HOST, 'placeholder')
    at.commit().pump()
    expect(at.sent()).toEqual(['VirtualHost -b', 'Cluster -both'])
    expect(at.peer.names(CLUSTER)).toEqual(['named'])
  })

  it('sends what is required before what requires it, where both change', () => {
    const at = new DeltaHarness()
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'x', 'loop 2', { requires: [ref(VIRTUAL_HOST, 'outbound/x')] })
    at.source.set(CLUSTER, 'x|v1', '2')
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'split 2', { requires: [ref(CLUSTER, 'x|v1')] })
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +x|v1', 'VirtualHost +outbound/x', 'Cluster +x', 'Cluster -x|v2'])
  })

  it('does not take what was accepted before its removal for something that is there', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    at.source.set(VIRTUAL_HOST, 'v', 'alone').list(VIRTUAL_HOST, 'placeholder', 'v')
    settle(at)
    at.source.set(CLUSTER, 'c', '1').list(CLUSTER, 'c')
    at.commit().pump()
    at.source.list(CLUSTER)
    at.commit().pump()
    at.source.set(CLUSTER, 'c', '2').set(VIRTUAL_HOST, 'v', 'to c', { requires: [ref(CLUSTER, 'c')] })
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +c', 'Cluster -c', 'Cluster +c'])
    // what it was before its removal, then the removal: what counts is what came after
    for (let answers = 0; answers < 2; answers++) {
      at.peer.answerHeld(1)
      at.pump()
      expect(at.sent()).toEqual([])
    }
    at.peer.answerHeld(1)
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +v'])
  })

  it('keeps all that is in use for a client that comes back, whichever type it asks for first', () => {
    const at = new DeltaHarness()
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    at.pump()
    at.sent()
    at.reconnect().pump()
    expect(at.sent()).toEqual([])
    at.clock.advance(1_000)
    at.pump()
    expect(at.sent()).toEqual([])
    // and what is not in use any more is known to be so, as on the old stream
    at.source.set(CLUSTER, 'x', 'direct').remove(VIRTUAL_HOST, 'outbound/x')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster +x', 'VirtualHost -outbound/x', 'Cluster -x|v1 -x|v2'])
  })

  it('waits for a returning client to ask for virtual hosts before a cluster changes to need one', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    at.source.set(CLUSTER, 'x', 'direct')
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    withPolicy(at)
    at.source.commit()
    at.reconnect().pump()
    expect(at.sent()).toEqual(['Cluster +x|v1 +x|v2'])
    for (let round = 0; round < 3; round++) {
      at.peer.answerHeld()
      at.pump()
    }
    expect(at.sent()).toEqual(['VirtualHost +outbound/x', 'Cluster +x'])
  })

  it('removes nothing that the old version of something may need from a client that comes back', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    start(at)
    withPolicy(at)
    at.peer.subscribe(CLUSTER, 'x')
    settle(at)
    at.source.set(CLUSTER, 'x|v3', '1').remove(CLUSTER, 'x|v1')
    at.source.set(VIRTUAL_HOST, 'outbound/x', 'to v3', { requires: [ref(CLUSTER, 'x|v3')] })
    at.source.commit()
    at.reconnect().pump()
    at.clock.advance(1_000)
    at.pump()
    expect(at.sent()).toEqual(['Cluster +x|v3'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['VirtualHost +outbound/x'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['Cluster -x|v1'])
  })

  it('sends nothing unasked of a type that the client has no wildcard for', () => {
    const at = new DeltaHarness()
    at.source.set(CLUSTER, 'c', '1').set(ROUTES, 'r', '1', { requires: [ref(CLUSTER, 'c')] })
    at.peer.subscribe(CLUSTER, 'other')
    at.peer.subscribe(ROUTES, 'r')
    at.pump()
    expect(at.sent()).toEqual(['Cluster -other', 'RouteConfiguration +r'])
  })

  it('survives a circle of requirements', () => {
    const at = new DeltaHarness()
    start(at)
    at.source.set(CLUSTER, 'x', '1', { requires: [ref(VIRTUAL_HOST, 'y')] })
    at.source.set(VIRTUAL_HOST, 'y', '1', { requires: [ref(CLUSTER, 'x')] })
    at.peer.subscribe(CLUSTER, 'x')
    at.pump()
    at.clock.advance(5_000)
    at.pump()
    expect(at.peer.names(CLUSTER)).toEqual(['x'])
    expect(at.peer.names(VIRTUAL_HOST)).toEqual(['placeholder', 'y'])
  })
})

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

describe('slow clients', () => {
  it('holds back what a client that never answers would otherwise be sent for ever', () => {
    const at = new DeltaHarness({ answers: 'never' })
    at.source.set(ENDPOINTS, 'a', '0')
    at.peer.subscribe(ENDPOINTS, 'a')
    for (let change = 1; change <= 1_000; change++) {
      at.source.set(ENDPOINTS, 'a', String(change))
      at.commit().pump()
    }
    expect(at.peer.received).toBe(32)
    expect(at.session.pending).toBe(1)
  })

  it('sends the latest when such a client answers after all', () => {
    const at = new DeltaHarness({ answers: 'hold' })
    at.source.set(ENDPOINTS, 'a', '0')
    at.peer.subscribe(ENDPOINTS, 'a')
    for (let change = 1; change <= 100; change++) {
      at.source.set(ENDPOINTS, 'a', String(change))
      at.commit().pump()
    }
    at.peer.answerHeld()
    at.pump()
    at.peer.answerHeld()
    at.pump()
    expect(at.peer.received).toBe(33)
    expect(at.peer.versions(ENDPOINTS)).toEqual({ a: at.source.get(ENDPOINTS, 'a')?.version })
  })

  it('writes no more than a burst to a client that does not read', () => {
    const at = new DeltaHarness()
    const names = Array.from({ length: 200 }, (_, index) => `e${index}`)
    const change = (round: number) => {
      for (const name of names) at.source.set(ENDPOINTS, name, `${round}${'.'.repeat(10_000)}`)
    }
    change(0)
    at.peer.subscribe(ENDPOINTS, ...names)
    at.flowing = false
    at.pump()
    let most = 0
    for (let round = 1; round < 50; round++) {
      change(round)
      at.commit().pump()
      most = Math.max(most, at.backlog)
    }
    expect(most).toBeLessThan(400_000)
    at.flowing = true
    at.pump()
    // everything came, and only the first burst twice
    expect(at.peer.names(ENDPOINTS)).toHaveLength(200)
    expect(at.peer.bytes).toBeLessThan(2_600_000)
    for (const name of names)
      expect(at.peer.has(ENDPOINTS).get(name)?.version).toBe(at.source.get(ENDPOINTS, name)?.version)
  })

  it('does less work for endpoints than there are clients that do not use them', () => {
    const one = new DeltaHarness()
    const other = new DeltaHarness({}, one.source)
    one.source.set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    one.peer.subscribe(ENDPOINTS, 'a')
    other.peer.subscribe(ENDPOINTS, 'b')
    one.pump()
    other.pump()
    one.source.set(ENDPOINTS, 'a', '2').commit()
    expect([one.woken, other.woken]).toEqual([true, false])
  })
})

it('lets go of everything when a stream ends', () => {
  const at = new DeltaHarness({ answers: 'hold' })
  start(at)
  withPolicy(at)
  at.peer.subscribe(CLUSTER, 'x', 'missing')
  settle(at)
  at.source.set(CLUSTER, 'x|v3', '1')
  at.source.set(VIRTUAL_HOST, 'outbound/x', 'to v3', { requires: [ref(CLUSTER, 'x|v3')] })
  at.commit().pump()
  expect(at.clock.timers).toBe(1)
  at.session[Symbol.dispose]()
  expect(at.source.watches).toBe(0)
  expect(at.clock.timers).toBe(0)
})

/** A client with the wildcards of an on-demand sidecar. */
function start(at: DeltaHarness): void {
  at.source.set(VIRTUAL_HOST, 'placeholder', '1').list(VIRTUAL_HOST, 'placeholder')
  at.peer.wildcard(CLUSTER)
  at.peer.wildcard(VIRTUAL_HOST)
  settle(at)
}

/** Everything is sent and answered. */
function settle(at: DeltaHarness): void {
  at.commit().pump()
  while (at.peer.answerHeld() > 0) at.pump()
  at.sent()
}

/** Service x with a policy: two versions, and a cluster that loops through its virtual host. */
function withPolicy(at: DeltaHarness): void {
  at.source.set(CLUSTER, 'x|v1', '1').set(CLUSTER, 'x|v2', '1')
  at.source.set(VIRTUAL_HOST, 'outbound/x', 'split', { requires: [ref(CLUSTER, 'x|v1'), ref(CLUSTER, 'x|v2')] })
  at.source.set(CLUSTER, 'x', 'loop', { requires: [ref(VIRTUAL_HOST, 'outbound/x')] })
}

function refuseText(resources: readonly { readonly name: string; readonly bytes: Uint8Array }[], text: string) {
  const bad = resources.filter(({ bytes }) => Buffer.from(bytes).includes(text)).map(({ name }) => name)
  return bad.length > 0 ? `no: ${bad.join(' ')}` : undefined
}

function refuseNamed(resources: readonly { readonly name: string }[], name: string) {
  return resources.some((resource) => resource.name === name) ? `no: ${name}` : undefined
}
