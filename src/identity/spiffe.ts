// SPIFFE IDs: parsing, checking and the form that Heddle gives to a workload's.
//
// The clauses cited are of the SPIFFE-ID standard. Scheme and trust domain are read without regard to case (2.4) and kept
// in lower case, so that two equal IDs are equal strings; a path is taken as it is.

export interface SpiffeId {
  /** `cluster.local`: lower-case letters, digits, dots, dashes and underscores, at most 255 bytes. */
  readonly trustDomain: string
  /** Empty for the trust domain itself, else it begins with a slash: `/ns/shop/sa/cart`. */
  readonly path: string
}

/** Who a workload is: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export interface WorkloadIdentity {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

const SCHEME = 'spiffe://'
const LONGEST_ID = 2048
const LONGEST_TRUST_DOMAIN = 255

/** Why a name cannot be a trust domain (2.1, 2.3), or undefined if it can. */
export function trustDomainProblem(name: string): string | undefined {
  if (name === '') return 'the trust domain is empty'
  if (name.length > LONGEST_TRUST_DOMAIN) {
    return `the trust domain has ${name.length} characters, at most ${LONGEST_TRUST_DOMAIN} are allowed`
  }
  if (/[A-Z]/.test(name)) return `the trust domain '${name}' must be in lower case`
  if (!/^[a-z0-9._-]+$/.test(name)) {
    return `the trust domain '${name}' may only have letters, digits, dots, dashes and underscores (no port, no user)`
  }
  return undefined
}

/** Why a text cannot be one segment of a path (2.2), or undefined if it can. */
export function pathSegmentProblem(segment: string): string | undefined {
  if (segment === '') return 'the path has an empty segment or ends with a slash'
  if (segment === '.' || segment === '..') return `the path has the relative segment '${segment}'`
  if (!/^[a-zA-Z0-9._-]+$/.test(segment)) {
    return `the path segment '${segment}' may only have letters, digits, dots, dashes and underscores`
  }
  return undefined
}

export function parseSpiffeId(text: string): Parsed<SpiffeId> {
  if (text.length > LONGEST_ID) return refuse(`it has ${text.length} characters, at most ${LONGEST_ID} are allowed`)
  if (text.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return refuse(`it must begin with ${SCHEME}`)
  const rest = text.slice(SCHEME.length)
  const slash = rest.indexOf('/')
  const trustDomain = (slash === -1 ? rest : rest.slice(0, slash)).toLowerCase()
  const path = slash === -1 ? '' : rest.slice(slash)
  const problem = trustDomainProblem(trustDomain)
  if (problem !== undefined) return refuse(problem)
  if (path !== '') {
    for (const segment of path.slice(1).split('/')) {
      const wrong = pathSegmentProblem(segment)
      if (wrong !== undefined) return refuse(wrong)
    }
  }
  return { ok: true, value: { trustDomain, path } }
}

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason }
}

export function formatSpiffeId({ trustDomain, path }: SpiffeId): string {
  return `${SCHEME}${trustDomain}${path}`
}

/** The ID of a trust domain's own authority: no path (3.1). */
export function trustDomainId(trustDomain: string): string {
  return `${SCHEME}${trustDomain}`
}

/**
 * The SPIFFE ID of a service account. Throws a RangeError if the parts make no valid ID: names that come from validated
 * objects always do.
 */
export function workloadId({ trustDomain, namespace, serviceAccount }: WorkloadIdentity): string {
  const id = `${SCHEME}${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
  const problem =
    trustDomainProblem(trustDomain) ??
    pathSegmentProblem(namespace) ??
    pathSegmentProblem(serviceAccount) ??
    (id.length > LONGEST_ID ? `it has ${id.length} characters, at most ${LONGEST_ID} are allowed` : undefined)
  if (problem !== undefined) throw new RangeError(`'${id}' is no SPIFFE ID: ${problem}`)
  return id
}

/** The other way round; undefined for an ID of another form. */
export function parseWorkloadId(text: string): WorkloadIdentity | undefined {
  const id = parseSpiffeId(text)
  if (!id.ok) return undefined
  const [, namespace, serviceAccount] = /^\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id.value.path) ?? []
  if (namespace === undefined || serviceAccount === undefined) return undefined
  return { trustDomain: id.value.trustDomain, namespace, serviceAccount }
}
