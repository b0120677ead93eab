// What is asked for, for RBAC: the port that was dialled and attributes of the request. The port is the local address of the
// connection, which is the restored original destination where the kernel redirects, so it is always a port of the instance.
import type { AuthorizationHttp, AuthorizationRule } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'

type Permission = Message<'envoy.config.rbac.v3.Permission'>
type HeaderMatcher = Message<'envoy.config.route.v3.HeaderMatcher'>
type PathMatch = NonNullable<AuthorizationHttp['paths']>[number]
type HeaderMatch = NonNullable<AuthorizationHttp['headers']>[number]

/** Ports, and where given the request: all of these conditions. */
export function permission(
  network: AuthorizationRule['networkAttributes'],
  http: AuthorizationHttp | undefined,
): Permission {
  const rules = [
    ...either(network?.ports, port),
    ...neither(network?.notPorts, port),
    ...either(http?.methods, method),
    ...neither(http?.notMethods, method),
    ...either(http?.paths, path),
    ...neither(http?.notPaths, path),
    ...either(http?.hosts, host),
    ...neither(http?.notHosts, host),
    ...(http?.headers ?? []).map(header),
    ...neither(http?.notHeaders, header),
  ]
  const [only] = rules
  if (only === undefined) return { any: true }
  return rules.length === 1 ? only : { and_rules: { rules } }
}

/**
 * Paths with an escaped slash or backslash, in any case. An application may decode them before it looks for the resource, and
 * would then serve a path that no rule has seen; so where rules speak of paths, such a request is refused.
 */
export const ESCAPED_SLASH: Permission = { url_path: { path: { safe_regex: { regex: '(?i).*%(2f|5c).*' } } } }

function either<T>(values: readonly T[] | undefined, permissionOf: (value: T) => Permission): Permission[] {
  return values === undefined ? [] : [anyOf(values.map(permissionOf))]
}

function neither<T>(values: readonly T[] | undefined, permissionOf: (value: T) => Permission): Permission[] {
  return values === undefined ? [] : [{ not_rule: anyOf(values.map(permissionOf)) }]
}

function anyOf(rules: readonly Permission[]): Permission {
  const [only] = rules
  return rules.length === 1 && only !== undefined ? only : { or_rules: { rules } }
}

const port = (destination_port: number): Permission => ({ destination_port })

const method = (exact: string): Permission => ({ header: { name: ':method', string_match: { exact } } })

/** `url_path` is the path without query and fragment. */
function path({ type, value }: PathMatch): Permission {
  switch (type) {
    case 'Exact':
      return { url_path: { path: { exact: value } } }
    case 'RegularExpression':
      return { url_path: { path: { safe_regex: { regex: value } } } }
    case 'PathPrefix': {
      // by whole segments, as Gateway API has it: `/a` and `/a/` are both `/a` and what is below it, and not `/ab`
      const prefix = value.replace(/\/+$/, '')
      if (prefix === '') return { any: true }
      return {
        or_rules: {
          rules: [{ url_path: { path: { exact: prefix } } }, { url_path: { path: { prefix: `${prefix}/` } } }],
        },
      }
    }
  }
}

/**
 * Hosts are compared whatever their case, with or without the dot at the end of a full name. One without port stands for all
 * ports; `*.` for one label or more.
 */
function host(value: string): Permission {
  const [name = '', number] = value.split(':')
  const wildcard = name.startsWith('*.')
  const labels = (wildcard ? name.slice(2) : name).replaceAll('.', '\\.')
  const regex = `(?i)${wildcard ? '[^:/]+\\.' : ''}${labels}\\.?${number === undefined ? '(:[0-9]+)?' : `:${number}`}`
  return { header: { name: ':authority', string_match: { safe_regex: { regex } } } }
}

function header(match: HeaderMatch): Permission {
  return { header: { name: match.name.toLowerCase(), ...value(match) } }
}

function value({ type, value: text = '' }: HeaderMatch): HeaderMatcher {
  switch (type) {
    case 'Exact':
      return { string_match: { exact: text } }
    case 'Prefix':
      return { string_match: { prefix: text } }
    case 'RegularExpression':
      return { string_match: { safe_regex: { regex: text } } }
    case 'Present':
      return { present_match: true }
  }
}
