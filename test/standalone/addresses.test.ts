import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressAllocator, formatAddress, loopbackHost, parseAddress } from '../../src/standalone/addresses.ts'

const RANGES = { Service: ['10.96.0.0/16', 'fd00:96::/112'], Workload: ['10.244.0.0/16'] }

describe('addresses as numbers', () => {
  test.each(['0.0.0.0', '10.96.0.1', '255.255.255.255', '::', '::1', 'fd00:96::1:0', '2001:db8:1:2:3:4:5:6'])(
    '%s',
    (text) => {
      expect(formatAddress(parseAddress(text), text.includes(':') ? 6 : 4)).toBe(text)
    },
  )

  test('IPv6 in any spelling becomes the canonical one', () => {
    expect(formatAddress(parseAddress('FD00:0:0:0:0:0:0:0001'), 6)).toBe('fd00::1')
  })

  test.each(['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', 'name'])('"%s" is none', (text) => {
    expect(() => parseAddress(text)).toThrow('not an IP address')
  })
})

test('an application has an address beside its workload’s', () => {
  expect(loopbackHost('127.65.1.2')).toBe('127.193.1.2')
  expect(loopbackHost(loopbackHost('127.0.0.5'))).toBe('127.0.0.5')
})

describe('allocator', () => {
  test('addresses follow from names, in every family of the range', () => {
    const one = new AddressAllocator(RANGES)
    const other = new AddressAllocator(RANGES)
    other.allocate('Service', 'shop/something-else')
    const addresses = one.allocate('Service', 'shop/web')
    expect(addresses).toEqual([expect.stringMatching(/^10\.96\./), expect.stringMatching(/^fd00:96::/)])
    expect(other.allocate('Service', 'shop/web')).toEqual(addresses)
    expect(one.allocate('Service', 'shop/web')).toEqual(addresses)
    expect(one.allocate('Workload', 'shop/web')).toEqual([expect.stringMatching(/^10\.244\./)])
  })

  test('no two objects have one address, and a range is used to its end', () => {
    const allocator = new AddressAllocator({ Service: ['10.0.0.0/28'], Workload: [] })
    const addresses = Array.from({ length: 14 }, (_, index) => allocator.allocate('Service', `shop/s${index}`)).flat()
    expect(new Set(addresses).size).toBe(14)
    expect(addresses).not.toContain('10.0.0.0')
    expect(addresses).not.toContain('10.0.0.15')
    expect(() => allocator.allocate('Service', 'shop/one-too-many')).toThrow(
      'no free address for Service shop/one-too-many: its range is used up',
    )
    allocator.release('Service', 'shop/s3')
    expect(addresses).toContain(allocator.allocate('Service', 'shop/one-too-many')[0])
  })

  test('what people chose is not given to others, and is taken back from those who have it', () => {
    const allocator = new AddressAllocator(RANGES)
    const [mine = ''] = allocator.allocate('Service', 'shop/web')
    allocator.reserve('Service', 'shop/chosen', [mine])
    const [next] = allocator.allocate('Service', 'shop/web')
    expect(next).not.toBe(mine)
    allocator.release('Service', 'shop/chosen')
    expect(allocator.allocate('Service', 'shop/web')).toContain(next)
  })

  test('new ranges take back what lies outside', () => {
    const allocator = new AddressAllocator(RANGES)
    const before = allocator.allocate('Workload', 'shop/web')
    allocator.setRanges({ ...RANGES, Workload: ['10.250.0.0/16'] })
    const after = allocator.allocate('Workload', 'shop/web')
    expect(after).toEqual([expect.stringMatching(/^10\.250\./)])
    expect(after).not.toEqual(before)
  })

  test('is the same after a restart, whatever the order then', async () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(names, names, async (first, second) => {
        const ranges = { Service: ['10.0.0.0/27'], Workload: [] }
        const before = new AddressAllocator(ranges)
        const given = new Map(first.map((name) => [name, before.allocate('Service', name)]))
        let kept = {}
        await before.flush({ load: () => Promise.resolve(kept), save: async (table) => void (kept = table) })
        const after = new AddressAllocator(ranges, kept)
        for (const name of [...second, ...first]) {
          const addresses = after.allocate('Service', name)
          expect(addresses).toEqual(given.get(name) ?? addresses)
        }
      }),
    )
  })

  test('says which range is none', () => {
    expect(() => new AddressAllocator({ Service: ['10.0.0.0'], Workload: [] })).toThrow(
      'not an address range: 10.0.0.0',
    )
    expect(() => new AddressAllocator({ Service: ['10.0.0.1/32'], Workload: [] })).toThrow('too small')
  })
})
