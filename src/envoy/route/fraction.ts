// Shares as Envoy counts them: of a hundred, of ten thousand, of a million, whichever is exact first.
import type { Message } from '../../proto/types.ts'

type FractionalPercent = Message<'envoy.type.v3.FractionalPercent'>

/** A share of `denominator`, to a millionth. */
export function fraction(numerator: number, denominator: number): FractionalPercent {
  const millionths = Math.round((numerator * 1_000_000) / denominator)
  if (millionths % 10_000 === 0) return { numerator: millionths / 10_000, denominator: 'HUNDRED' }
  if (millionths % 100 === 0) return { numerator: millionths / 100, denominator: 'TEN_THOUSAND' }
  return { numerator: millionths, denominator: 'MILLION' }
}
