/**
 * The protobuf wire format by hand, for the few messages that are made or read once a push and stream. The writer goes
 * from the end to the start: so a message's length is known when its turn comes, and nothing is measured beforehand.
 * Format: https://protobuf.dev/programming-guides/encoding/.
 */

/** Writes fields last to first. Field numbers are up to 15, so a tag is one byte. */
export class BackwardWriter {
  #buffer: Buffer
  #start: number

  /** `size` is a guess in bytes; it grows. */
  constructor(size = 1024) {
    this.#buffer = Buffer.allocUnsafe(size)
    this.#start = size
  }

  /** Bytes written so far: taken before a message's fields, given to `close` after them. */
  get written(): number {
    return this.#buffer.length - this.#start
  }

  /** The message's bytes, in memory of their own. */
  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#start))
  }

  /** Makes what was written since `mark` a message or map entry in a field. */
  close(field: number, mark: number): void {
    this.#varint(this.written - mark)
    this.#tag(field, 2)
  }

  /** A string with presence; where there is none, leave out empty ones with `text`. */
  string(field: number, value: string): void {
    const { length } = value
    this.#reserve(length * 3)
    const start = this.#start - length
    const short = length < 48
    let index = short ? 0 : length
    if (short) {
      for (; index < length; index++) {
        const code = value.charCodeAt(index)
        if (code > 0x7f) break
        this.#buffer[start + index] = code
      }
    }
    const bytes = short && index === length ? length : Buffer.byteLength(value)
    if (!short || index < length) this.#buffer.write(value, this.#start - bytes)
    this.#start -= bytes
    this.#varint(bytes)
    this.#tag(field, 2)
  }

  /** A string without presence. */
  text(field: number, value: string): void {
    if (value !== '') this.string(field, value)
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(value.length)
    this.#start -= value.length
    this.#buffer.set(value, this.#start)
    this.#varint(value.length)
    this.#tag(field, 2)
  }

  /** A whole number from 0 to 2^32 - 1, zero included. */
  uint32(field: number, value: number): void {
    this.#varint(value)
    this.#tag(field, 0)
  }

  /** A google.protobuf.UInt32Value. */
  uint32Value(field: number, value: number): void {
    const mark = this.written
    if (value !== 0) this.uint32(1, value)
    this.close(field, mark)
  }

  double(field: number, value: number): void {
    this.#reserve(8)
    this.#start -= 8
    this.#buffer.writeDoubleLE(value, this.#start)
    this.#tag(field, 1)
  }

  #tag(field: number, wireType: number): void {
    this.#reserve(1)
    this.#buffer[--this.#start] = (field << 3) | wireType
  }

  #varint(value: number): void {
    this.#reserve(5)
    let size = 1
    for (let rest = value >>> 7; rest !== 0; rest >>>= 7) size++
    this.#start -= size
    let at = this.#start
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[at] = rest
  }

  #reserve(size: number): void {
    if (this.#start >= size) return
    const { written } = this
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, written + size))
    larger.set(this.#buffer.subarray(this.#start), larger.length - written)
    this.#start = larger.length - written
    this.#buffer = larger
  }
}

/** Reads fields in the order of the wire. Everything is checked against the end; it throws on what is not protobuf. */
export class WireReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number
  /** Number of the field that `next` found. */
  field = 0
  #wireType = 0

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = start
    this.#end = end
  }

  /** Goes to the next field; false at the end. Each field is then read or skipped. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const tag = this.#varint()
    this.field = tag >>> 3
    this.#wireType = tag & 7
    if (this.field === 0) throw new Error('a protobuf field has the number 0')
    return true
  }

  string(): string {
    const [start, end] = this.#range()
    return this.#bytes.toString('utf8', start, end)
  }

  /** The message in this field, read in place. */
  message(): WireReader {
    const [start, end] = this.#range()
    return new WireReader(this.#bytes, start, end)
  }

  /** A number below 2^32, or the low 32 bits of a greater one. */
  uint32(): number {
    this.#expect(0)
    return this.#varint()
  }

  double(): number {
    this.#expect(1)
    const at = this.#at
    this.#advance(8)
    return this.#bytes.readDoubleLE(at)
  }

  skip(): void {
    if (this.#wireType === 0) this.#varint()
    else if (this.#wireType === 1) this.#advance(8)
    else if (this.#wireType === 2) this.#range()
    else if (this.#wireType === 5) this.#advance(4)
    else throw new Error(`a protobuf field has the wire type ${this.#wireType}`)
  }

  #range(): readonly [number, number] {
    this.#expect(2)
    const length = this.#varint()
    const start = this.#at
    this.#advance(length)
    return [start, this.#at]
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) throw new Error('a protobuf message ends within a field')
      const byte = this.#bytes[this.#at++] ?? 0
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new Error('a protobuf number is longer than ten bytes')
  }

  #advance(length: number): void {
    if (length > this.#end - this.#at) throw new Error('a protobuf message ends within a field')
    this.#at += length
  }

  #expect(wireType: number): void {
    if (this.#wireType !== wireType) {
      throw new Error(`protobuf field ${this.field} has the wire type ${this.#wireType} instead of ${wireType}`)
    }
  }
}
