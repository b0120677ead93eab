// Session persistence (GEP-1619): the first answer names the instance, in a cookie or a header, and later requests go there.
//
// Envoy remembers the instance but not which of a rule's backends it belongs to, and picks the backend first. So the name
// of the cookie, or a mark in the header, tells the backend too, and a route for each backend, before the rule's own,
// takes the sessions that it has: whatever the weights are now, even 0 (GEP-1619, "Traffic Splitting").
import { createHash } from 'node:crypto'
import type { HttpMatch, HttpRule } from '../../mesh/http.ts'
import { any, extension, type Extension } from '../../proto/types.ts'
import { positiveDuration } from '../duration.ts'
import type { PerFilter } from './decision.ts'
import { type HeaderChanges, NO_CHANGES } from './headers.ts'
import { SESSION_FILTER } from './http-filters.ts'
import type { HeaderMatcher } from './match.ts'
import { bare, quoteRegex } from './path.ts'

/** How one backend keeps its sessions. */
export interface Sessions {
  readonly backend: string
  readonly perFilter: PerFilter
  /** What answers need besides. */
  readonly headers: HeaderChanges
  /** A request of such a session. */
  readonly match: HeaderMatcher
}

/** How a new session with a backend begins; undefined where the rule keeps none. */
export function newSession(rule: HttpRule, path: HttpMatch['path'], backend: string): Sessions | undefined {
  const wanted = rule.sessionPersistence
  if (wanted === undefined) return undefined
  return wanted.type === 'Header' ? inHeader(rule, backend) : inCookie(rule, path, backend, isFirst(rule, backend))
}

/** The sessions that the backends may have, for requests that come with one. */
export function oldSessions(rule: HttpRule, path: HttpMatch['path'], backends: readonly string[]): Sessions[] {
  const wanted = rule.sessionPersistence
  if (wanted === undefined) return []
  // a single backend has all sessions that there are
  if (wanted.type === 'Header') return backends.length < 2 ? [] : backends.map((backend) => inHeader(rule, backend))
  // but for those whose cookie has a name from when it was one of several: a canary that has become all there is
  return [
    ...backends.map((backend) => inCookie(rule, path, backend, false)),
    ...(backends.length < 2
      ? []
      : backends.filter((backend) => isFirst(rule, backend)).map((backend) => inCookie(rule, path, backend, true))),
  ]
}

/** The first backend's cookie has the very name that was asked for; those of the others add to it. */
const isFirst = (rule: HttpRule, backend: string): boolean => rule.backends[0]?.name === backend

function sessionName(rule: HttpRule): string {
  const given = token(rule.sessionPersistence?.sessionName ?? '')
  return given === '' ? `heddle-session-${digest(`${rule.kind}/${rule.route}/${rule.rule}`)}` : given
}

function inCookie(rule: HttpRule, path: HttpMatch['path'], backend: string, first: boolean): Sessions {
  const name = first ? sessionName(rule) : `${sessionName(rule)}-${digest(backend)}`
  // Envoy checks a session's age only together with Max-Age: the time-out holds, though it was to be the proxy's matter alone
  const ttl = positiveDuration(rule.sessionPersistence?.absoluteTimeout)
  return {
    backend,
    perFilter: stateful(
      extension(
        'envoy.http.stateful_session.cookie',
        'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
        {
          cookie: {
            name,
            path: cookiePath(path),
            ...(ttl !== undefined && { ttl }),
            attributes: [{ name: 'SameSite', value: 'Strict' }],
          },
        },
      ),
    ),
    headers: NO_CHANGES,
    match: { name: 'cookie', string_match: { safe_regex: { regex: `(?:.*; *)?${quoteRegex(name)}=.*` } } },
  }
}

/** Envoy wraps the header that it finds in an answer: `instance;UV:mark`, both in base 64. */
function inHeader(rule: HttpRule, backend: string): Sessions {
  const name = sessionName(rule).toLowerCase()
  const mark = digest(backend)
  return {
    backend,
    perFilter: stateful(
      extension(
        'envoy.http.stateful_session.envelope',
        'envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState',
        { header: { name } },
      ),
    ),
    headers: { request: [], response: [{ set: [{ name, value: mark }] }] },
    match: { name, string_match: { suffix: `;UV:${Buffer.from(mark).toString('base64')}` } },
  }
}

const stateful = (session_state: Extension): PerFilter => ({
  [SESSION_FILTER]: any('envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute', {
    stateful_session: { session_state },
  }),
})

/** GEP-1619, "Path": the path that was matched; of a regular expression the segments before the first that varies. */
function cookiePath({ type, value }: HttpMatch['path']): string {
  const fixed = type === 'RegularExpression' ? fixedSegments(value) : value
  // a semicolon would end the attribute: the path up to its segment
  const at = fixed.indexOf(';')
  return bare(at < 0 ? fixed : fixed.slice(0, fixed.lastIndexOf('/', at))) || '/'
}

/** What every path that matches begins with, in whole segments. */
const fixedSegments = (regex: string): string =>
  regex.includes('|') ? '' : (/^\^?((?:\/[\w~%-]+)*)(?=\/[^?*{]|\/?\$?$)/.exec(regex)?.[1] ?? '')

/** The characters that names of cookies and headers have in common; others are left out. */
const token = (name: string): string => name.replaceAll(/[^A-Za-z0-9!#$%&'*+\-.^_`|~]/g, '')

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)
