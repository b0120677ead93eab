/** Names that people write outside of a spec: groups, labels, annotations. */

export const heddleGroup = 'heddle.dev'
export const heddleVersion = 'v1alpha1'
export const gatewayGroup = 'gateway.networking.k8s.io'

/** The name that the one `Mesh` object has. */
export const meshName = 'default'
/** Where mesh-wide policies are written. */
export const systemNamespace = 'heddle-system'
/** The namespace of a namespaced object that names none. */
export const defaultNamespace = 'default'

/** Annotation on a Namespace: `Eager` or `OnDemand`, instead of what the Mesh says. */
export const discoveryAnnotation = 'heddle.dev/discovery'
/** Label on a Namespace (`enabled`) or a pod (`enabled`, `disabled`): whether the sidecar is injected. */
export const injectLabel = 'heddle.dev/inject'
/** Annotations below this prefix adjust one pod's proxy. */
export const proxyAnnotationPrefix = 'proxy.heddle.dev/'
/** Label on an EndpointSlice that names its Service. */
export const serviceNameLabel = 'kubernetes.io/service-name'
