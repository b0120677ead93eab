import { describe, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, LISTENER, VIRTUAL_HOST } from '../../src/xds/types.ts'
import { encodeDeltaAsk } from '../support/discovery.ts'
import { ref } from './graph-source.ts'
import { DeltaHarness } from './harness.ts'
import { settle, start, withPolicy } from './scenes.ts'

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

  it('counts the names in what is unanswered too, for each is remembered', () => {
    const at = new DeltaHarness({ answers: 'never' })
    const names = Array.from({ length: 600 }, (_, index) => `e${index}`)
    for (const name of names) at.source.set(ENDPOINTS, name, '0')
    at.peer.subscribe(ENDPOINTS, ...names)
    for (let change = 1; change <= 10; change++) {
      for (const name of names) at.source.set(ENDPOINTS, name, String(change))
      at.commit().pump()
    }
    expect(at.peer.received).toBe(2)
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
