// The socket to Python: what is sent in one turn of the event loop is written at once.
const net = require('net')
const { Reader, Writer } = require('./frames')

const CONTROL_FD = 0

// A frame that comes alone is written at once; where many come, the turn is waited for, so that they go together.
const BUSY = 4

module.exports = class Control {
  constructor({ onframe, onturn, onfull, ondrain, onend }) {
    this._socket = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true })
    this._writer = new Writer()
    this._batch = 0
    this._lastBatch = 0
    this._flush = this.flush.bind(this)
    this._onfull = onfull
    const reader = new Reader(onframe)
    this._socket.on('data', (piece) => {
      reader.push(piece)
      onturn()
    })
    this._socket.on('drain', ondrain)
    this._socket.on('end', onend)
    this._socket.on('close', onend)
    this._socket.on('error', onend)
  }

  send(op, id, handle, name, payload) {
    if (this._writer.empty) {
      if (this._lastBatch < BUSY) process.nextTick(this._flush)
      else setImmediate(this._flush)
      this._batch = 0
    }
    this._batch++
    this._writer.push(op, id, handle, name, payload)
  }

  flush() {
    const pieces = this._writer.take()
    this._lastBatch = this._batch
    if (pieces.length > 1) this._socket.cork()
    let drained = true
    for (const piece of pieces) drained = this._socket.write(piece)
    if (pieces.length > 1) this._socket.uncork()
    if (!drained) this._onfull()
  }
}
