// Hosts outside the mesh that a namespace's workloads may use: its own ExternalServices, and those of heddle-system for everybody.
// A host and port that two of them claim goes to the nearer, then to the older.
import { type ExternalService, heddleGroup, type Secret, systemNamespace } from '../api/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Graph, Reader } from '../engine/graph.ts'
import { canonicalAddress } from './address.ts'
import { byAge } from './age.ts'
import { holdsCertificates, isKeyPair } from './certificates.ts'
import type { Lookup } from './lookup.ts'
import { keyOf, type Protocol, splitKey } from './model.ts'
import { protocolOf } from './protocol.ts'
import { sameJson } from './same.ts'

/** One port of one ExternalService, with the hosts that are really its own. */
export interface External {
  readonly key: string
  readonly port: number
  readonly targetPort: number
  readonly protocol: Protocol
  /** Names; the first label may be `*`. */
  readonly hosts: readonly string[]
  readonly addresses: readonly string[]
  readonly spec: ExternalService['spec']
}

export type Trust =
  | { readonly kind: 'system' }
  /** Certificates, PEM. */
  | { readonly kind: 'pem'; readonly pem: string }
  /** What it refers to is not there, or cannot be read: nobody is trusted. */
  | { readonly kind: 'missing'; readonly what: string }

/** A certificate with which proxies present themselves to a host outside; PEM. */
export interface ClientCertificate {
  readonly chain: string
  readonly privateKey: string
}

export interface Externals {
  /** By namespace of the clients. */
  readonly visible: Reader<readonly External[]>
  /** By key of the ExternalService: what its host's certificate is checked against. */
  readonly trust: Reader<Trust>
  /** The Secret `namespace/name` for clients of a namespace; undefined where it is none, or not granted to them. */
  clientCertificate(secret: string, namespace: string): ClientCertificate | undefined
}

export function buildExternals(graph: Graph, catalog: Catalog, lookup: Lookup): Externals {
  const table = catalog.table('ExternalService')
  const visible = graph.derive<readonly External[]>(
    'mesh.externals',
    (namespace) => {
      const byNamespace = [...new Set([namespace, systemNamespace])].map((own) =>
        lookup.externalsByNamespace
          .get(own)
          .toSorted((a, b) => byAge(table.get(a)?.metadata, a, table.get(b)?.metadata, b)),
      )
      const claimed = new Set<string>()
      const free = (name: string, port: number): boolean => {
        const claim = `${name}:${port}`
        return !claimed.has(claim) && claimed.add(claim) !== undefined
      }
      return byNamespace.flat().flatMap((key) => {
        const spec = table.get(key)?.spec
        return (spec?.ports ?? []).flatMap((port): External[] => {
          if (spec === undefined) return []
          const hosts = spec.hosts.filter((host) => free(host, port.port))
          const addresses = spec.addresses.map(canonicalAddress).filter((address) => free(address, port.port))
          if (hosts.length === 0 && addresses.length === 0) return []
          return [
            {
              key,
              port: port.port,
              targetPort: port.targetPort ?? port.port,
              protocol: protocolOf(port),
              hosts,
              addresses,
              spec,
            },
          ]
        })
      })
    },
    sameJson,
  )
  const configMaps = catalog.table('ConfigMap')
  const secrets = catalog.table('Secret')
  const trust = graph.derive<Trust>(
    'mesh.external.trust',
    (key) => {
      const tls = table.get(key)?.spec.tls
      if (tls?.caCertificates !== undefined)
        return holdsCertificates(tls.caCertificates)
          ? { kind: 'pem', pem: tls.caCertificates }
          : { kind: 'missing', what: `readable certificates in caCertificates of ExternalService ${key}` }
      if (tls?.caCertificateRefs === undefined) return { kind: 'system' }
      const parts: string[] = []
      for (const ref of tls.caCertificateRefs) {
        const name = keyOf(splitKey(key).namespace, ref.name)
        const pem =
          ref.kind === 'Secret' ? secretText(secrets.get(name), 'ca.crt') : configMaps.get(name)?.data?.['ca.crt']
        if (pem === undefined || !holdsCertificates(pem))
          return { kind: 'missing', what: `${ref.kind} ${name}, key ca.crt` }
        parts.push(pem)
      }
      return { kind: 'pem', pem: parts.join('\n') }
    },
    sameJson,
  )
  const grants = catalog.table('ReferenceGrant')
  const granted = (secret: string, namespace: string): boolean => {
    const { namespace: own, name } = splitKey(secret)
    if (own === namespace) return true
    return lookup.grantsByNamespace.get(own).some((key) => {
      const spec = grants.get(key)?.spec
      const from = spec?.from.some(
        (ref) => ref.group === heddleGroup && ref.kind === 'ExternalService' && ref.namespace === namespace,
      )
      const to = spec?.to.some((ref) => ref.group === '' && ref.kind === 'Secret' && (ref.name ?? name) === name)
      return from === true && to === true
    })
  }
  return {
    visible,
    trust,
    clientCertificate(secret, namespace) {
      const { namespace: own, name } = splitKey(secret)
      const used = visible
        .get(namespace)
        .some(({ key, spec }) => splitKey(key).namespace === own && spec.tls?.clientCertificateRef?.name === name)
      if (!used || !granted(secret, namespace)) return undefined
      const object = secrets.get(secret)
      const chain = secretText(object, 'tls.crt')
      const privateKey = secretText(object, 'tls.key')
      if (chain === undefined || privateKey === undefined || !isKeyPair(chain, privateKey)) return undefined
      return { chain, privateKey }
    },
  }
}

/** A value of a Secret as text: `stringData` as it is, `data` from base64 (core/v1 Secret). */
export function secretText(secret: Secret | undefined, key: string): string | undefined {
  const plain = secret?.stringData?.[key]
  const coded = secret?.data[key]
  return plain ?? (coded === undefined ? undefined : Buffer.from(coded, 'base64').toString('utf8'))
}
