// Frames on the socket to Python: u32 length, u8 op, u32 id, u32 handle, u16 name length, name, payload; little-endian.
// The length counts what follows it.
const HEAD = 15
const EMPTY = Buffer.alloc(0)
const names = new Map() // buffers of the few names there are
const MAX_NAMES = 4096

exports.encode = function encode(op, id, handle, name, payload) {
  const word = nameBuffer(name)
  const frame = Buffer.allocUnsafe(HEAD + word.length + payload.length)
  frame.writeUInt32LE(frame.length - 4, 0)
  frame[4] = op
  frame.writeUInt32LE(id, 5)
  frame.writeUInt32LE(handle, 9)
  frame.writeUInt16LE(word.length, 13)
  frame.set(word, HEAD)
  frame.set(payload, HEAD + word.length)
  return frame
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
