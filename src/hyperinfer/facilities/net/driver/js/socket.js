// The socket to Python: what is sent in one turn of the event loop is written at once.
const net = require('net')
const { Reader, Writer } = require('./frames')

const CONTROL_FD = 0

module.exports = class Control {
  constructor({ onframe, onturn, onfull, ondrain, onend }) {
    this._socket = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true })
    this._writer = new Writer()
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
    if (this._writer.empty) setImmediate(this._flush)
    this._writer.push(op, id, handle, name, payload)
  }

  flush() {
    const pieces = this._writer.take()
    if (pieces.length > 1) this._socket.cork()
    let drained = true
    for (const piece of pieces) drained = this._socket.write(piece)
    if (pieces.length > 1) this._socket.uncork()
    if (!drained) this._onfull()
  }
}
