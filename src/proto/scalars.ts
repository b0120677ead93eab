/**
 * Scalar values and the few well-known types that ProtoJSON writes as strings, between their ProtoJSON form and what
 * the wire holds. Rules: https://protobuf.dev/programming-guides/json/. A `Refuse` throws with the path of the value.
 */

/** Throws: the value is not what was expected. */
export type Refuse = (expected: string, value: unknown) => never

/** A 64-bit integer as the protobuf writer takes it, without loss beyond 2^53. */
export type Bits64 = number | { readonly low: number; readonly high: number; readonly unsigned: boolean }

export interface Seconds {
  readonly seconds: number
  readonly nanos: number
}

const integerRange = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  sint32: [-(2 ** 31), 2 ** 31 - 1],
  sfixed32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  fixed32: [0, 2 ** 32 - 1],
} as const

const longRange = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  sint64: [-(2n ** 63n), 2n ** 63n - 1n],
  sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  fixed64: [0n, 2n ** 64n - 1n],
} as const

export type IntegerType = keyof typeof integerRange
export type LongType = keyof typeof longRange

export const isIntegerType = (type: string): type is IntegerType => type in integerRange
export const isLongType = (type: string): type is LongType => type in longRange

export const readInteger = (type: IntegerType, value: unknown, refuse: Refuse): number => {
  const [least, most] = integerRange[type]
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most) {
    return refuse(`a whole number from ${least} to ${most}`, value)
  }
  return number
}

export const readLong = (type: LongType, value: unknown, refuse: Refuse): Bits64 => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && (value >= 0 || longRange[type][0] < 0n)) return value
  const [least, most] = longRange[type]
  const expected = `a whole number from ${least} to ${most}, as a string where it is beyond 2^53`
  if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) return refuse(expected, value)
  const big = BigInt(value)
  if (big < least || big > most) return refuse(expected, value)
  return { low: Number(big & 0xffffffffn) | 0, high: Number((big >> 32n) & 0xffffffffn) | 0, unsigned: least === 0n }
}

export const readFloat = (type: 'float' | 'double', value: unknown, refuse: Refuse): number => {
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value)
  const number = typeof value === 'string' && /^-?[\d.]+([eE][+-]?\d+)?$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number) || (type === 'float' && Math.abs(number) > 3.4028235e38)) {
    return refuse('a number', value)
  }
  return number
}

export const readBool = (value: unknown, refuse: Refuse): boolean =>
  typeof value === 'boolean' ? value : refuse('true or false', value)

export const readString = (value: unknown, refuse: Refuse): string => {
  if (typeof value !== 'string') return refuse('a string', value)
  return value.isWellFormed() ? value : refuse('well-formed Unicode text', value)
}

export const readBytes = (value: unknown, refuse: Refuse): Uint8Array =>
  typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)
    ? Buffer.from(value, 'base64')
    : refuse('bytes in base64', value)

const longestDuration = 315_576_000_000

/** `'1.5s'`: up to nine decimals, at most some 10,000 years either way; both parts have the sign. */
export const readDuration = (value: unknown, refuse: Refuse): Seconds => {
  const match = typeof value === 'string' ? /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(value) : null
  if (match === null) return refuse("a duration in seconds, as '0.25s'", value)
  const sign = match[1] === '-' ? -1 : 1
  const seconds = Number(match[2])
  if (seconds > longestDuration) return refuse(`a duration of at most ${longestDuration}s`, value)
  // Adding 0 turns -0 into 0, which would be written.
  return { seconds: sign * seconds + 0, nanos: sign * Number((match[3] ?? '').padEnd(9, '0')) + 0 }
}

export const writeDuration = ({ seconds, nanos }: Seconds): string => {
  const sign = seconds < 0 || nanos < 0 ? '-' : ''
  return `${sign}${Math.abs(seconds)}${decimals(Math.abs(nanos))}s`
}

/** RFC 3339, with up to nine decimals. */
export const readTimestamp = (value: unknown, refuse: Refuse): Seconds => {
  const match =
    typeof value === 'string' ? /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(value) : null
  const milliseconds = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`)
  if (match === null || Number.isNaN(milliseconds)) return refuse("a time, as '2026-01-31T12:00:00Z'", value)
  return { seconds: milliseconds / 1000, nanos: Number((match[2] ?? '').padEnd(9, '0')) }
}

export const writeTimestamp = ({ seconds, nanos }: Seconds): string =>
  `${new Date(seconds * 1000).toISOString().slice(0, 19)}${decimals(nanos)}Z`

const decimals = (nanos: number): string => (nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`)
