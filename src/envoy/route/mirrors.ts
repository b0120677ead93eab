// Copies of requests to other backends, whose answers nobody sees.
import type { RequestMirror } from '../../api/index.ts'
import type { Message } from '../../proto/types.ts'
import { fraction } from './fraction.ts'

type RequestMirrorPolicy = Message<'envoy.config.route.v3.RouteAction.RequestMirrorPolicy'>

/** The copy's `Host` stays the original's: Envoy would append `-shadow`. Undefined where nothing is ever copied. */
export function mirrorPolicy(
  { percent, fraction: part }: RequestMirror,
  cluster: string,
): RequestMirrorPolicy | undefined {
  const share = part ? fraction(part.numerator, part.denominator) : fraction(percent ?? 100, 100)
  if (share.numerator === 0) return undefined
  return {
    cluster,
    runtime_fraction: { default_value: share },
    disable_shadow_host_suffix_append: true,
  }
}
