// The socket to Python: what is sent in one turn of the event loop is written at once.
const net = require('net')
const { encode, Reader } = require('./frames')

const CONTROL_FD = 0

module.exports = class Control {
  constructor({ onframe, onturn, onfull, ondrain, onend }) {
    this._socket = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true })
    this._unsent = []
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
    if (this._unsent.push(encode(op, id, handle, name, payload)) === 1) setImmediate(this._flush)
  }

  flush() {
    const unsent = this._unsent
    if (unsent.length === 0) return
    this._unsent = []
    if (!this._socket.write(unsent.length === 1 ? unsent[0] : Buffer.concat(unsent))) this._onfull()
  }
}
