/** Rules of a rate limit as people write them, as routes hold them. */
import { parse } from 'yaml'
import { rateLimit } from '../../../src/api/heddle/traffic/rate-limit.ts'
import { localRateLimits } from '../../../src/envoy/filters/rate-limit.ts'

/** `rules` as YAML. */
export const limitsOf = (yaml: string) => localRateLimits(rateLimit.parse({ local: { rules: parse(yaml) } }))
