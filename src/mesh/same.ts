// Equality by content for the derived values, which are plain data: what stops a change that changes nothing.
import { isDeepStrictEqual } from 'node:util'

export const sameJson = (a: unknown, b: unknown): boolean => a === b || isDeepStrictEqual(a, b)
