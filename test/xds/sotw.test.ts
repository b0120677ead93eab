import { describe, expect, it } from 'vitest'
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES } from '../../src/xds/types.ts'
import { ref } from './graph-source.ts'
import { StateHarness } from './harness.ts'

describe('a client that names nothing', () => {
  it('is sent all that is listed, and all of it again when something changes', () => {
    const at = new StateHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a', 'b')
    at.peer.want(CLUSTER)
    at.pump()
    at.source.set(CLUSTER, 'b', '2')
    at.commit().pump()
    at.source.list(CLUSTER, 'b')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster a b', 'Cluster a b', 'Cluster b'])
    expect(at.peer.names(CLUSTER)).toEqual(['b'])
  })

  it('is answered when there is nothing', () => {
    const at = new StateHarness()
    at.peer.want(LISTENER)
    at.pump()
    expect(at.sent()).toEqual(['Listener'])
  })

  it('is sent nothing when it comes back with all of it', () => {
    const at = new StateHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a', 'b')
    at.peer.want(CLUSTER)
    at.pump()
    at.reconnect().pump()
    expect(at.sent()).toEqual([])
    at.source.set(CLUSTER, 'b', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster a b'])
  })

  it('is sent everything when it comes back and something changed', () => {
    const at = new StateHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').list(CLUSTER, 'a', 'b')
    at.peer.want(CLUSTER)
    at.pump()
    at.source.remove(CLUSTER, 'a').list(CLUSTER, 'b').commit()
    at.reconnect().pump()
    expect(at.sent()).toEqual(['Cluster b'])
    expect(at.peer.names(CLUSTER)).toEqual(['b'])
  })
})

describe('a client that names what it wants', () => {
  it('is sent what changed of endpoints and routes', () => {
    const at = new StateHarness()
    at.source.set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    at.peer.want(ENDPOINTS, 'a', 'b')
    at.pump()
    at.source.set(ENDPOINTS, 'b', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment a b', 'ClusterLoadAssignment b'])
  })

  it('is sent what it adds, and no more of what it leaves out', () => {
    const at = new StateHarness()
    at.source.set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    at.peer.want(ENDPOINTS, 'a')
    at.pump()
    at.peer.want(ENDPOINTS, 'b')
    at.pump()
    at.source.set(ENDPOINTS, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment a', 'ClusterLoadAssignment b'])
    expect(at.source.watches).toBe(1)
    at.peer.want(ENDPOINTS)
    at.pump()
    expect(at.source.watches).toBe(0)
  })

  it('is sent all the clusters that it names, and told by their absence of those that do not exist', () => {
    const at = new StateHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1')
    at.peer.want(CLUSTER, 'a', 'missing')
    at.pump()
    at.peer.want(CLUSTER, 'a', 'missing', 'b')
    at.pump()
    at.source.set(CLUSTER, 'missing', '1')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster a', 'Cluster a b', 'Cluster a missing b'])
    at.peer.want(LISTENER, 'nowhere')
    at.pump()
    expect(at.sent()).toEqual(['Listener'])
  })

  it('is sent endpoints again after a new version of their cluster', () => {
    const at = new StateHarness()
    at.source.set(CLUSTER, 'a', '1').set(CLUSTER, 'b', '1').set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    at.source.list(CLUSTER, 'a', 'b')
    at.peer.want(CLUSTER)
    at.peer.want(ENDPOINTS, 'a', 'b')
    at.pump()
    at.sent()
    at.source.set(CLUSTER, 'a', '2')
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster a b', 'ClusterLoadAssignment a'])
  })

  it('is not answered when its request was overtaken', () => {
    const at = new StateHarness({ answers: 'hold' })
    at.source.set(ENDPOINTS, 'a', '1').set(ENDPOINTS, 'b', '1')
    at.peer.want(ENDPOINTS, 'a')
    at.pump()
    // the client has not read the answer yet: this request bears no nonce
    at.peer.want(ENDPOINTS, 'a', 'b')
    at.pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment a'])
    at.peer.answerHeld()
    at.pump()
    expect(at.sent()).toEqual(['ClusterLoadAssignment b'])
  })
})

describe('order', () => {
  it('brings clusters before the routes that need them, and takes them away after', () => {
    const at = new StateHarness({ answers: 'hold' })
    at.source.set(CLUSTER, 'old', '1').list(CLUSTER, 'old')
    at.source.set(ROUTES, 'r', 'to old', { requires: [ref(CLUSTER, 'old')] })
    at.peer.want(CLUSTER)
    at.peer.want(ROUTES, 'r')
    const answer = (): string[] => {
      at.peer.answerHeld()
      at.pump()
      return at.sent()
    }
    at.pump()
    expect(at.sent()).toEqual(['Cluster old', 'RouteConfiguration r'])
    answer()
    at.source.set(CLUSTER, 'new', '1').remove(CLUSTER, 'old').list(CLUSTER, 'new')
    at.source.set(ROUTES, 'r', 'to new', { requires: [ref(CLUSTER, 'new')] })
    at.commit().pump()
    expect(at.sent()).toEqual(['Cluster old new'])
    expect(answer()).toEqual(['RouteConfiguration r'])
    expect(answer()).toEqual(['Cluster new'])
    expect(answer()).toEqual([])
  })
})

describe('refusals', () => {
  const bad = (_names: readonly string[], texts: readonly string[]): string | undefined =>
    texts.some((text) => text.endsWith('bad')) ? 'something is wrong' : undefined

  it('finds what is bad by halving, and goes on with the last good of it', () => {
    const at = new StateHarness({ judge: bad })
    const names = ['c-1', 'c-2', 'c-3', 'c-4', 'c-5', 'c-6', 'c-7', 'c-8']
    for (const name of names) at.source.set(CLUSTER, name, '1')
    at.source.list(CLUSTER, ...names)
    at.peer.want(CLUSTER)
    at.pump()
    for (const name of names) at.source.set(CLUSTER, name, name === 'c-6' ? 'bad' : '2')
    at.commit().pump()
    expect(at.source.refusals.map(({ name }) => name)).toEqual(['c-6'])
    expect(texts(at)).toEqual(names.map((name) => `${name} ${name === 'c-6' ? '1' : '2'}`))
    expect(at.peer.received).toBeLessThan(10)
    at.source.set(CLUSTER, 'c-6', '3')
    at.commit().pump()
    expect(texts(at)).toContain('c-6 3')
  })

  it('goes by the names in the refusal where there are any', () => {
    const at = new StateHarness({
      judge: (names, contents) => {
        const index = contents.findIndex((text) => text.endsWith('bad'))
        return index < 0 ? undefined : `Error adding/updating cluster(s) ${names[index]}: bad`
      },
    })
    for (const name of ['one', 'two', 'three']) at.source.set(CLUSTER, name, name === 'two' ? 'bad' : '1')
    at.source.list(CLUSTER, 'one', 'two', 'three')
    at.peer.want(CLUSTER)
    at.pump()
    expect(at.sent()).toEqual(['Cluster one two three', 'Cluster one three', 'Cluster one two three'])
    expect(at.peer.names(CLUSTER)).toEqual(['one', 'three'])
    expect(at.source.refusals.map(({ name }) => name)).toEqual(['two'])
  })

  it('leaves a client that came back with what is listed, though all that is new was refused', () => {
    const at = new StateHarness({ judge: bad })
    at.source.set(CLUSTER, 'old', '1').list(CLUSTER, 'old')
    at.peer.want(CLUSTER)
    at.pump()
    at.source.set(CLUSTER, 'new', 'bad').list(CLUSTER, 'new').commit()
    at.reconnect().pump()
    expect(at.sent()).toEqual(['Cluster new', 'Cluster'])
    expect(at.peer.names(CLUSTER)).toEqual([])
  })

  it('isolates routes too', () => {
    const at = new StateHarness({ judge: bad })
    for (const name of ['a', 'b', 'c']) at.source.set(ROUTES, name, name === 'a' ? 'bad' : '1')
    at.peer.want(ROUTES, 'a', 'b', 'c')
    at.pump()
    expect(at.peer.names(ROUTES)).toEqual(['b', 'c'])
    expect(at.source.refusals.map(({ name }) => name)).toEqual(['a'])
  })

  function texts(at: StateHarness): string[] {
    return [...at.peer.has(CLUSTER).values()]
      .map((bytes) => Buffer.from(bytes).toString().replace('\n', ' '))
      .toSorted()
  }
})
