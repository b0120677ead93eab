// Authorization policies as Envoy's RBAC, for requests and for connections. Each side has two filters: one denies what a DENY
// policy matches, then one allows only what an ALLOW policy matches. Dry runs are shadow rules of the same filters: they count and
// log. Entries are named `namespace/name[rule]`, so that logs and statistics say who decided.
import type { AuthorizationRule } from '../../api/index.ts'
import type { Authorization, AuthorizationRules } from '../../mesh/authorization.ts'
import { extension, type Extension, type Message } from '../../proto/types.ts'
import { ESCAPED_SLASH, permission } from './rbac-permissions.ts'
import { principal } from './rbac-principals.ts'

type Engine = Message<'envoy.config.rbac.v3.RBAC'>
type Policies = NonNullable<Engine['policies']>
type Permission = Message<'envoy.config.rbac.v3.Permission'>
type HttpRbac = Message<'envoy.extensions.filters.http.rbac.v3.RBAC'>
type NetworkRbac = Message<'envoy.extensions.filters.network.rbac.v3.RBAC'>

export interface RbacContext {
  readonly trustDomain: string
}

/** Names of the filters, under which a route configuration holds their work. */
export const HTTP_RBAC_DENY = 'heddle.rbac.deny'
export const HTTP_RBAC_ALLOW = 'heddle.rbac.allow'

/** Statistics are `….rbac.deny.denied`, `….rbac.allow.denied`, of dry runs `….rbac.dry_run_deny.shadow_denied`, and so on. */
const DENY_STATS = { rules_stat_prefix: 'deny.', shadow_rules_stat_prefix: 'dry_run_deny.', track_per_rule_stats: true }
const ALLOW_STATS = {
  rules_stat_prefix: 'allow.',
  shadow_rules_stat_prefix: 'dry_run_allow.',
  track_per_rule_stats: true,
}

/**
 * The filters as a connection manager holds them. What they do comes with the routes, so that a change drains no connection; by
 * themselves they let nothing pass, so that routes which lack the rules do not open what should be closed.
 */
export function httpRbacFilters(): Extension[] {
  const type = 'envoy.extensions.filters.http.rbac.v3.RBAC'
  return [
    extension(HTTP_RBAC_DENY, type, DENY_STATS),
    extension(HTTP_RBAC_ALLOW, type, { rules: { action: 'ALLOW' }, ...ALLOW_STATS }),
  ]
}

/** What the two filters do with requests to an instance. */
export function httpRbac(authorization: Authorization, context: RbacContext): { deny: HttpRbac; allow: HttpRbac } {
  const { deny, allow } = engines(authorization, context, (rule) => permission(rule.networkAttributes, rule.http), {
    enforced: speakOfPaths([...authorization.deny, ...authorization.allow]),
    dryRun: speakOfPaths([...authorization.dryRunDeny, ...authorization.dryRunAllow]),
  })
  return { deny: { ...deny, ...DENY_STATS }, allow: { ...allow, ...ALLOW_STATS } }
}

/**
 * What the two network filters do with connections that are not HTTP. A rule that asks for something of a request cannot be met
 * there: an ALLOW does not match, and a DENY matches whatever the request may be (GEP-3779 fails closed likewise).
 *
 * Envoy decides when the client's first byte comes (envoy#9023): a server that speaks first is connected to and heard before that.
 */
export function networkRbac(
  authorization: Authorization,
  context: RbacContext,
): { deny: NetworkRbac; allow: NetworkRbac } {
  const { deny, allow } = engines(authorization, context, (rule, action) =>
    action === 'ALLOW' && rule.http !== undefined ? undefined : permission(rule.networkAttributes, undefined),
  )
  return {
    deny: { ...deny, stat_prefix: 'tcp.deny.', shadow_rules_stat_prefix: 'dry_run_deny.' },
    allow: { ...allow, stat_prefix: 'tcp.allow.', shadow_rules_stat_prefix: 'dry_run_allow.' },
  }
}

type Action = 'ALLOW' | 'DENY'
/** Undefined where the rule can match nothing. */
type PermissionOf = (rule: AuthorizationRule, action: Action) => Permission | undefined

interface Rules {
  readonly rules?: Engine
  readonly shadow_rules?: Engine
}

function engines(
  authorization: Authorization,
  context: RbacContext,
  permissionOf: PermissionOf,
  paths = { enforced: false, dryRun: false },
): { deny: Rules; allow: Rules } {
  const of = (rules: readonly AuthorizationRules[], action: Action): Policies =>
    policies(rules, context, (rule) => permissionOf(rule, action))
  const deny: Policies = authorization.unreadable
    ? { 'unreadable-policy': { permissions: [{ any: true }], principals: [{ any: true }] } }
    : { ...of(authorization.deny, 'DENY'), ...(paths.enforced && HARDENING) }
  const dryRunDeny: Policies = {
    ...of(authorization.dryRunDeny, 'DENY'),
    ...(paths.dryRun && !paths.enforced && HARDENING),
  }
  const allow = of(authorization.allow, 'ALLOW')
  const allowed = authorization.allow.length > 0 || authorization.fallback === 'Deny'
  return {
    deny: {
      ...(Object.keys(deny).length > 0 && { rules: { action: 'DENY', policies: deny } }),
      ...(Object.keys(dryRunDeny).length > 0 && { shadow_rules: { action: 'DENY', policies: dryRunDeny } }),
    },
    allow: {
      // an engine that allows and has no policies lets nothing pass
      ...(allowed && { rules: { action: 'ALLOW', policies: allow } }),
      // what would be refused if these were in force beside the others
      ...(authorization.dryRunAllow.length > 0 && {
        shadow_rules: { action: 'ALLOW', policies: { ...allow, ...of(authorization.dryRunAllow, 'ALLOW') } },
      }),
    },
  }
}

const HARDENING: Policies = { 'escaped-slash': { permissions: [ESCAPED_SLASH], principals: [{ any: true }] } }

function policies(
  rules: readonly AuthorizationRules[],
  context: RbacContext,
  permissionOf: (rule: AuthorizationRule) => Permission | undefined,
): Policies {
  const entries: [string, Policies[string]][] = []
  for (const { policy, namespace, rules: list } of rules) {
    for (const [index, rule] of list.entries()) {
      const who = principal(rule.sources, rule.notSources, { trustDomain: context.trustDomain, namespace })
      const what = permissionOf(rule)
      if (who === undefined || what === undefined) continue
      entries.push([`${policy}[${index}]`, { permissions: [what], principals: [who] }])
    }
  }
  return Object.fromEntries(entries)
}

function speakOfPaths(rules: readonly AuthorizationRules[]): boolean {
  return rules.some(({ rules: list }) => list.some(({ http }) => (http?.paths ?? http?.notPaths) !== undefined))
}
