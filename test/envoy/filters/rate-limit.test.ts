/** What rate limits become: pairs of files under `cases/rate-limit/`, and Envoy's opinion of them all. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { localRateLimitFilters } from '../../../src/envoy/filters/rate-limit.ts'
import { testProtos } from '../../proto/protos.ts'
import { validate } from '../../support/envoy.ts'
import { goldenTests } from '../golden.ts'
import { limitsOf } from './limited.ts'
import { webListener } from './listeners.ts'

describe('rate limits', () => {
  const found = goldenTests(join(import.meta.dirname, 'cases/rate-limit'), limitsOf)

  test('all are messages, encoded as typed', () => {
    const protos = testProtos()
    for (const typed_per_filter_config of found.values())
      expect(
        protos.encode('envoy.config.route.v3.VirtualHost', { name: 'v', typed_per_filter_config }).length,
      ).toBeGreaterThan(0)
  })

  test('Envoy accepts them all', async () => {
    const listeners = [...found].map(([name, work]) => webListener(name, { filters: localRateLimitFilters(), work }))
    expect(await validate(JSON.stringify({ static_resources: { listeners } }))).toBeUndefined()
  })
})
