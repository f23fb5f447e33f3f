// Frames on the socket to Python: u32 length, u8 op, u32 id, u32 handle, u16 name length, name, payload; little-endian.
// The length counts what follows it.
const HEAD = 15
const BLOCK = 64 * 1024
const EMPTY = Buffer.alloc(0)
const names = new Map() // buffers of the few names there are
const MAX_NAMES = 4096

// Gathers frames in large blocks, so that many small ones cost one allocation and one write.
exports.Writer = class Writer {
  constructor() {
    this._block = Buffer.allocUnsafe(BLOCK)
    this._start = 0 // what lies before it is being written
    this._end = 0
    this._full = []
  }

  get empty() {
    return this._end === this._start && this._full.length === 0
  }

  push(op, id, handle, name, payload) {
    const word = nameBuffer(name)
    const size = HEAD + word.length + payload.length
    if (this._block.length - this._end < size) this._turn(size)
    const block = this._block
    const at = this._end
    block.writeUInt32LE(size - 4, at)
    block[at + 4] = op
    block.writeUInt32LE(id, at + 5)
    block.writeUInt32LE(handle, at + 9)
    block.writeUInt16LE(word.length, at + 13)
    if (word.length > 0) block.set(word, at + HEAD)
    block.set(payload, at + HEAD + word.length)
    this._end = at + size
  }

  // What has been gathered, in as few pieces as there are blocks.
  take() {
    const pieces = this._full
    if (this._end > this._start) pieces.push(this._block.subarray(this._start, this._end))
    this._start = this._end
    this._full = []
    return pieces
  }

  _turn(size) {
    if (this._end > this._start) this._full.push(this._block.subarray(this._start, this._end))
    this._block = Buffer.allocUnsafe(Math.max(BLOCK, size))
    this._start = this._end = 0
  }
}

// Cuts what arrives into frames; what is incomplete waits for the next piece.
exports.Reader = class Reader {
  constructor(onframe) {
    this._onframe = onframe
    this._pieces = []
    this._size = 0
    this._wanted = 4
  }

  push(piece) {
    this._pieces.push(piece)
    this._size += piece.length
    if (this._size < this._wanted) return
    let data = this._pieces.length === 1 ? piece : Buffer.concat(this._pieces)
    let at = 0
    this._wanted = 4
    while (data.length - at >= 4) {
      const end = at + 4 + data.readUInt32LE(at)
      if (end > data.length) {
        this._wanted = end - at
        break
      }
      const nameEnd = at + HEAD + data.readUInt16LE(at + 13)
      this._onframe(
        data[at + 4],
        data.readUInt32LE(at + 5),
        data.readUInt32LE(at + 9),
        data.toString('utf8', at + HEAD, nameEnd),
        data.subarray(nameEnd, end)
      )
      at = end
    }
    data = data.subarray(at)
    this._pieces = data.length > 0 ? [data] : []
    this._size = data.length
  }
}

function nameBuffer(name) {
  if (name === '') return EMPTY
  let word = names.get(name)
  if (word === undefined) {
    word = Buffer.from(name)
    if (names.size < MAX_NAMES) names.set(name, word)
  }
  return word
}
