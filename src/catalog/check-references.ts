// What is wrong between objects, as far as it can be said without the model: references to what is not there or not allowed, circles
// of names, and rules that send nothing anywhere. All are warnings: each object is right by itself, and the other may come yet.

import { nearest } from '../api/expectation.ts'
import {
  allKinds,
  fieldText,
  gatewayGroup,
  kinds,
  type AnyObject,
  type Diagnostic,
  type DiagnosticCode,
  type KindName,
  type ObjectOf,
} from '../api/index.ts'
import type { Catalog } from './catalog.ts'
import { keyOf } from './identify.ts'
import { place, problemOf, type Problem } from './problems.ts'
import { referencesOf, type Reference } from './references.ts'

/** Checks all objects in force against each other. */
export function checkReferences(catalog: Catalog): Problem[] {
  const problems: Problem[] = []
  const report = (object: AnyObject, diagnostic: Diagnostic): void => {
    const { name, namespace } = object.metadata
    const kind = kinds[object.kind as KindName]
    const identity = {
      apiVersion: object.apiVersion,
      kindText: object.kind,
      kind,
      namespace,
      name,
      key: keyOf(kind, namespace, name),
    }
    const origin = catalog.origin(object.kind as KindName, identity.key)
    if (origin !== undefined) problems.push(problemOf(identity, origin, diagnostic))
  }
  for (const kind of Object.keys(kinds) as KindName[]) {
    for (const [, object] of catalog.table(kind).entries()) {
      for (const reference of referencesOf(object)) {
        const fault = faultOf(catalog, object, reference)
        if (fault !== undefined) report(object, fault)
      }
    }
  }
  for (const kind of ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'] as const) {
    for (const [, route] of catalog.table(kind).entries()) for (const one of unweighted(route)) report(route, one)
  }
  for (const [, policy] of catalog.table('TrafficPolicy').entries())
    for (const one of withoutEffect(policy)) report(policy, one)
  for (const [key, service] of catalog.table('Service').entries()) {
    const circle = nameCircle(catalog, key)
    if (circle !== undefined) report(service, circle)
  }
  return problems
}

/** Stanzas about requests, at a host outside: connections to it are shaped, its requests pass as they are. */
function withoutEffect({ spec }: ObjectOf<'TrafficPolicy'>): Diagnostic[] {
  if (!spec.targetRefs.some(({ kind }) => kind === 'ExternalService')) return []
  const { requestTimeout, streamIdleTimeout, maxStreamDuration } = spec.timeout?.http ?? {}
  const set: readonly [path: readonly string[], value: unknown][] = [
    [['retry'], spec.retry],
    [['faultInjection'], spec.faultInjection],
    [['rateLimit'], spec.rateLimit],
    [['timeout', 'http', 'requestTimeout'], requestTimeout],
    [['timeout', 'http', 'streamIdleTimeout'], streamIdleTimeout],
    [['timeout', 'http', 'maxStreamDuration'], maxStreamDuration],
  ]
  return set
    .filter(([, value]) => value !== undefined)
    .map(([path]) =>
      warn(
        'no-effect',
        ['spec', ...path],
        'has no effect on an ExternalService, whose requests pass as they are. Mend: target a Service or a route with it',
      ),
    )
}

/** The first thing that is wrong with a reference. */
function faultOf(catalog: Catalog, from: AnyObject, reference: Reference): Diagnostic | undefined {
  const { group, kind: kindText, namespace, name, path, expected } = reference
  const kind = allKinds.find((known) => known.kind === kindText && known.group === group)
  const named = `${kindText} ${namespace}/${name}`
  if (kind === undefined || (expected !== undefined && !expected.includes(kindText))) {
    const other = group === '' ? kindText : `${group} ${kindText}`
    return warn('dangling-reference', path, `refers to a ${other}; expected a ${(expected ?? []).join(' or ')}`)
  }
  const kindName = kindText as KindName
  const key = keyOf(kind, namespace, name)
  const target = catalog.table(kindName).get(key)
  if (target === undefined) {
    if (catalog.conditions(kindName, key) !== undefined) {
      const origin = catalog.origin(kindName, key)
      const where = origin === undefined ? '' : `, at ${place(origin)}`
      return warn(
        'dangling-reference',
        path,
        `refers to ${named}, which is declared${where}, but refused. Mend: correct it there`,
      )
    }
    const known = [...catalog.table(kindName).entries()].map(([, { metadata }]) => metadata)
    const meant = nearest(
      name,
      known.filter((other) => other.namespace === namespace).map((other) => other.name),
    )
    const mend = meant === undefined ? 'declare it, or correct the name' : `did you mean ${meant}?`
    return warn('dangling-reference', path, `refers to ${named}, which is not declared. Mend: ${mend}`)
  }
  return ungranted(catalog, from, reference) ?? missingPart(target, reference)
}

/** A reference across namespaces needs the other namespace's consent (Gateway API, ReferenceGrant). */
function ungranted(catalog: Catalog, from: AnyObject, reference: Reference): Diagnostic | undefined {
  const { kind, group, namespace, name, path, granted } = reference
  if (granted !== true || namespace === from.metadata.namespace) return undefined
  const allowed = [...catalog.table('ReferenceGrant').entries()].some(
    ([, { metadata, spec }]) =>
      metadata.namespace === namespace &&
      spec.from.some(
        (one) => one.group === gatewayGroup && one.kind === from.kind && one.namespace === from.metadata.namespace,
      ) &&
      spec.to.some((one) => one.group === group && one.kind === kind && (one.name === undefined || one.name === name)),
  )
  if (allowed) return undefined
  const mend = `declare a ReferenceGrant in ${namespace}, from ${from.kind} of ${from.metadata.namespace} to ${kind}`
  return warn(
    'missing-grant',
    path,
    `refers to ${kind} ${namespace}/${name} of another namespace, which does not allow it. Mend: ${mend}`,
  )
}

/** A port or section that the target does not have. */
function missingPart(
  target: AnyObject,
  { kind, path, port, section, namespace, name }: Reference,
): Diagnostic | undefined {
  const named = `${kind} ${namespace}/${name}`
  const ports =
    kind === 'Service' || kind === 'ExternalService'
      ? (target as ObjectOf<'Service' | 'ExternalService'>).spec.ports
      : []
  if (port !== undefined && ports.length > 0 && !ports.some((own) => own.port === port)) {
    const known = ports.map((own) => own.port).join(', ')
    return warn('dangling-reference', [...path, 'port'], `refers to port ${port} of ${named}; expected one of ${known}`)
  }
  if (section === undefined) return undefined
  const rules = kind.endsWith('Route') ? (target as ObjectOf<'HTTPRoute'>).spec.rules : []
  const sections = [...ports.flatMap((own) => [own.name, String(own.port)]), ...rules.map((rule) => rule.name)]
  if (sections.includes(section)) return undefined
  const known = sections.filter((one) => one !== undefined).join(', ')
  const expected = known === '' ? 'none: it names no parts' : `one of ${known}`
  return warn('dangling-reference', [...path, 'sectionName'], `refers to ${section} of ${named}; expected ${expected}`)
}

/** Rules whose backends all have weight zero: they answer 500. */
function* unweighted(route: ObjectOf<'HTTPRoute' | 'GRPCRoute' | 'TCPRoute' | 'TLSRoute'>): Generator<Diagnostic> {
  for (const [index, { backendRefs }] of route.spec.rules.entries()) {
    if (backendRefs.length === 0 || backendRefs.some(({ weight }) => weight > 0)) continue
    const path = ['spec', 'rules', index, 'backendRefs']
    yield warn('no-weight', path, 'all weights are 0, so that nothing is sent anywhere; expected one above 0')
  }
}

/** ExternalName Services that name each other in a circle; told of each that is in it. */
function nameCircle(catalog: Catalog, start: string): Diagnostic | undefined {
  const services = catalog.table('Service')
  const seen: string[] = []
  for (let key = start; !seen.includes(key);) {
    seen.push(key)
    const { type, externalName = '' } = services.get(key)?.spec ?? {}
    const [, name, namespace] = /^([^.]+)\.([^.]+)\.svc(?:\..*)?$/.exec(externalName) ?? []
    if (type !== 'ExternalName' || name === undefined || namespace === undefined) return undefined
    key = `${namespace}/${name}`
    if (key === start) {
      const message = `names itself in a circle: ${[...seen, key].join(' -> ')}; expected a name outside`
      return warn('cycle', ['spec', 'externalName'], message)
    }
  }
  return undefined
}

function warn(code: DiagnosticCode, path: readonly (string | number)[], message: string): Diagnostic {
  return { severity: 'warning', code, path, field: fieldText(path), message }
}
