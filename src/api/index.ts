/**
 * The kinds that people write, all of them and nowhere else. `kinds` is the registry; the types are those of parsed
 * objects, with defaults applied. Adding a kind is a file and a line here.
 */
import type { Diagnostic } from './diagnostic.ts'
import { apiVersionOf, type Kind } from './kind.ts'
import { passedOver } from './parse.ts'
import { grpcRouteKind } from './gateway/grpc-route.ts'
import { httpRouteKind } from './gateway/http-route.ts'
import { referenceGrantKind } from './gateway/reference-grant.ts'
import { tcpRouteKind } from './gateway/tcp-route.ts'
import { tlsRouteKind } from './gateway/tls-route.ts'
import { authorizationPolicyKind } from './heddle/authorization-policy.ts'
import { envoyPatchKind } from './heddle/envoy-patch.ts'
import { externalServiceKind } from './heddle/external-service.ts'
import { meshKind } from './heddle/mesh.ts'
import { meshTlsKind } from './heddle/mesh-tls.ts'
import { trafficPolicyKind } from './heddle/traffic-policy.ts'
import { workloadKind } from './heddle/workload.ts'
import { configMapKind } from './kubernetes/config-map.ts'
import { endpointSliceKind } from './kubernetes/endpoint-slice.ts'
import { namespaceKind } from './kubernetes/namespace.ts'
import { secretKind } from './kubernetes/secret.ts'
import { serviceAccountKind } from './kubernetes/service-account.ts'
import { serviceKind } from './kubernetes/service.ts'

/** Every kind that Heddle reads, by name. */
export const kinds = {
  Namespace: namespaceKind,
  Service: serviceKind,
  ServiceAccount: serviceAccountKind,
  EndpointSlice: endpointSliceKind,
  Secret: secretKind,
  ConfigMap: configMapKind,
  HTTPRoute: httpRouteKind,
  GRPCRoute: grpcRouteKind,
  TCPRoute: tcpRouteKind,
  TLSRoute: tlsRouteKind,
  ReferenceGrant: referenceGrantKind,
  Mesh: meshKind,
  Workload: workloadKind,
  TrafficPolicy: trafficPolicyKind,
  AuthorizationPolicy: authorizationPolicyKind,
  MeshTLS: meshTlsKind,
  ExternalService: externalServiceKind,
  EnvoyPatch: envoyPatchKind,
} as const

/** The name of a kind that Heddle reads; no two groups share one. */
export type KindName = keyof typeof kinds

/** A parsed object of a kind. */
export type ObjectOf<K extends KindName> = (typeof kinds)[K] extends Kind<infer T> ? T : never

/** All kinds as a list. */
export const allKinds: readonly Kind[] = Object.values(kinds)

/** The kind of an object by its `apiVersion` and `kind`; undefined where Heddle does not read that kind or version. */
export function findKind(apiVersion: string, kind: string): Kind | undefined {
  const found = allKinds.find((candidate) => candidate.kind === kind)
  return found?.versions.some((version) => apiVersionOf(found, version) === apiVersion) ? found : undefined
}

/** What to tell of an object whose kind or version Heddle does not read. */
export function unreadKind(apiVersion: string, kind: string): Diagnostic {
  return passedOver(apiVersion, kind, allKinds)
}

export * from './constants.ts'
export type { Diagnostic, DiagnosticCode } from './diagnostic.ts'
export { diagnosticText, fieldText, shownValue } from './diagnostic.ts'
export { durationMs } from './duration.ts'
export type * from './gateway/filters.ts'
export type * from './gateway/grpc-route.ts'
export type * from './gateway/http-route.ts'
export type * from './gateway/reference-grant.ts'
export type * from './gateway/references.ts'
export type { SessionPersistence } from './gateway/route.ts'
export type * from './gateway/tcp-route.ts'
export type * from './gateway/tls-route.ts'
export type * from './heddle/authorization-policy.ts'
export type * from './heddle/envoy-patch.ts'
export type * from './heddle/external-service.ts'
export { meshKind } from './heddle/mesh.ts'
export type * from './heddle/mesh.ts'
export type * from './heddle/mesh-tls.ts'
export type { DestinationReference, InstanceReference, LabelSelector } from './heddle/selector.ts'
export type * from './heddle/traffic-policy.ts'
export type { CircuitBreaker } from './heddle/traffic/circuit-breaker.ts'
export type { Http2, TcpKeepalive } from './heddle/traffic/connection.ts'
export type { FaultInjection } from './heddle/traffic/fault-injection.ts'
export type { ActiveHealthCheck, HealthCheck, PassiveHealthCheck } from './heddle/traffic/health-check.ts'
export type { ConsistentHash, LoadBalancer } from './heddle/traffic/load-balancer.ts'
export type { RateLimit, RateLimitRule } from './heddle/traffic/rate-limit.ts'
export type { Retry } from './heddle/traffic/retry.ts'
export type { TrafficSettings } from './heddle/traffic/stanzas.ts'
export type { Timeout } from './heddle/traffic/timeout.ts'
export type * from './heddle/workload.ts'
export type { Kind, PrinterColumn } from './kind.ts'
export { apiVersionOf } from './kind.ts'
export type * from './kubernetes/config-map.ts'
export type * from './kubernetes/endpoint-slice.ts'
export type * from './kubernetes/namespace.ts'
export type * from './kubernetes/secret.ts'
export type * from './kubernetes/service-account.ts'
export type * from './kubernetes/service.ts'
export type { AnyObject, ObjectMeta } from './object.ts'
export type { Parsed } from './parse.ts'
export { parse } from './parse.ts'
export type { Condition, ObjectStatus, PolicyStatus } from './status.ts'
