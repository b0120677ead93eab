// Bytes of a file as text: UTF-8, strictly, with the place of the first byte that is not.

import type { Position } from '../../catalog/change.ts'

export interface Decoded {
  /** Without byte order mark; where the bytes are no UTF-8, each bad one is U+FFFD. */
  readonly text: string
  readonly fault?: { readonly at: Position; readonly message: string }
}

export function decode(bytes: Uint8Array): Decoded {
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  if (utf16) {
    return {
      text: '',
      fault: { at: { line: 1, column: 1 }, message: 'got UTF-16 text; expected UTF-8. Mend: save the file as UTF-8' },
    }
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const nul = text.indexOf('\0')
    if (nul < 0) return { text }
    const message = 'got a NUL byte; expected text. Mend: this is no YAML or JSON file; remove it or rename it'
    return { text: text.replaceAll('\0', '\uFFFD'), fault: { at: positionIn(text, nul), message } }
  } catch {
    const { line, column, byte } = firstFault(bytes)
    const message = `got the byte 0x${byte.toString(16).padStart(2, '0')}, which is no UTF-8; expected UTF-8 text. Mend: save the file as UTF-8`
    return { text: new TextDecoder('utf-8').decode(bytes), fault: { at: { line, column }, message } }
  }
}

/** The place of an offset in a text. */
export function positionIn(text: string, offset: number): Position {
  let line = 1
  let start = 0
  for (let end = text.indexOf('\n'); end >= 0 && end < offset; end = text.indexOf('\n', start)) {
    line++
    start = end + 1
  }
  return { line, column: offset - start + 1 }
}

/** No UTF-8 sequence contains the byte of a line feed, so lines can be looked at one by one. */
function firstFault(bytes: Uint8Array): Position & { byte: number } {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let line = 1
  for (let start = 0; start <= bytes.length; line++) {
    const feed = bytes.indexOf(0x0a, start)
    const end = feed < 0 ? bytes.length : feed
    const one = bytes.subarray(start, end)
    try {
      decoder.decode(one)
    } catch {
      return inLine(one, line)
    }
    start = end + 1
  }
  return { line, column: 1, byte: bytes.at(-1) ?? 0 }
}

/** The longest prefix that is UTF-8, by halving. */
function inLine(bytes: Uint8Array, line: number): Position & { byte: number } {
  let good = 0
  let bad = bytes.length
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    // streaming: a sequence that is only cut off by the probe's end is no fault yet
    try {
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, middle), { stream: true })
      good = middle
    } catch {
      bad = middle
    }
  }
  const column = new TextDecoder().decode(bytes.subarray(0, good)).length + 1
  return { line, column, byte: bytes[good] ?? 0 }
}
