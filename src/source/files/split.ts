// A YAML stream as single documents, so that each is parsed, cached, and refused on its own.
//
// YAML 1.2.2, section 9.1.2: a line that begins with `---` or `...`, followed by white space or the line's end, is a marker
// even inside of quoted and block scalars, so lines tell all.

export interface Chunk {
  readonly text: string
  /** The line of the file at which the text begins, counted from 1. */
  readonly line: number
}

/** A line that is neither blank, nor a comment, nor a bare marker. */
const content = /^(?![ \t]*#)(?!(?:---|\.\.\.)[ \t\r]*(?:#|$)).*[^ \t\r\n]/m

export function splitDocuments(text: string): Chunk[] {
  const chunks: Chunk[] = []
  const marker = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm
  let start = 0
  let line = 1
  const cut = (end: number): void => {
    const piece = text.slice(start, end)
    // directives belong to the document after them
    if (/^%/m.test(piece) && !/^[^%#\s]/m.test(piece)) return
    if (content.test(piece)) chunks.push({ text: piece, line })
    line += lineFeeds(piece)
    start = end
  }
  for (const { index } of text.matchAll(marker)) if (index > start) cut(index)
  cut(text.length)
  return chunks
}

function lineFeeds(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}
