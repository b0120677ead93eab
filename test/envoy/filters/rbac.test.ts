/** What authorization policies become: pairs of files under `cases/rbac/`, and Envoy's opinion of them all. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  HTTP_RBAC_ALLOW,
  HTTP_RBAC_DENY,
  httpRbac,
  httpRbacFilters,
  networkRbac,
} from '../../../src/envoy/filters/rbac.ts'
import type { Authorization } from '../../../src/mesh/authorization.ts'
import { any, extension } from '../../../src/proto/types.ts'
import { testProtos } from '../../proto/protos.ts'
import { validate } from '../../support/envoy.ts'
import { goldenTests } from '../golden.ts'
import { TRUST_DOMAIN } from '../identities.ts'
import { authorizationOf } from './authorized.ts'
import { tcpListener, webListener } from './listeners.ts'

const context = { trustDomain: TRUST_DOMAIN }
const HTTP = 'envoy.extensions.filters.http.rbac.v3.RBAC'
const NETWORK = 'envoy.extensions.filters.network.rbac.v3.RBAC'

const rbacOf = (authorization: Authorization) => ({
  http: httpRbac(authorization, context),
  tcp: networkRbac(authorization, context),
})

describe('RBAC', () => {
  const found = goldenTests(join(import.meta.dirname, 'cases/rbac'), (yaml) => rbacOf(authorizationOf(yaml)))

  test('all are messages, encoded as typed', () => {
    const protos = testProtos()
    for (const { http, tcp } of found.values()) {
      for (const message of [http.deny, http.allow])
        expect(protos.decode(HTTP, protos.encode(HTTP, message))).toHaveProperty('rules_stat_prefix')
      for (const message of [tcp.deny, tcp.allow])
        expect(protos.decode(NETWORK, protos.encode(NETWORK, message))).toHaveProperty('stat_prefix')
    }
  })

  test('Envoy accepts them all', async () => {
    const perRoute = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute'
    const listeners = [...found].flatMap(([name, { http, tcp }]) => [
      webListener(`${name}-http`, {
        filters: httpRbacFilters(),
        work: {
          [HTTP_RBAC_DENY]: any(perRoute, { rbac: http.deny }),
          [HTTP_RBAC_ALLOW]: any(perRoute, { rbac: http.allow }),
        },
      }),
      tcpListener(`${name}-tcp`, {
        filters: [extension('deny', NETWORK, tcp.deny), extension('allow', NETWORK, tcp.allow)],
      }),
    ])
    expect(await validate(JSON.stringify({ static_resources: { listeners } }))).toBeUndefined()
  })

  test('what cannot be read denies everything', () => {
    const unreadable = authorizationOf(
      `
apiVersion: heddle.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: broken, namespace: shop}
spec: {targetRefs: [{kind: Pod, selector: {}}], action: PERHAPS}
---
apiVersion: heddle.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: everyone, namespace: shop}
spec: {targetRefs: [{kind: Pod, selector: {}}], action: ALLOW, rules: [{}]}
`,
      { broken: true },
    )
    const everything = {
      action: 'DENY',
      policies: { 'unreadable-policy': { permissions: [{ any: true }], principals: [{ any: true }] } },
    }
    expect(rbacOf(unreadable).http.deny.rules).toEqual(everything)
    expect(rbacOf(unreadable).tcp.deny.rules).toEqual(everything)
  })
})
