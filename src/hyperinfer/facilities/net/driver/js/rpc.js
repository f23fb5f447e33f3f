// protomux-rpc with the caller's own ids and raw payloads, so that Python keeps the books and no promise is made here.
// Channel, framing and error frames are upstream's; only what is done with a message differs.
const ProtomuxRPC = require('protomux-rpc')
const c = require('compact-encoding')

const HEARTBEAT_ID = 0xffffffff
const FRESH = 30 * 1000 // ms
const NULL = c.encode(c.optionalBuffer, Buffer.from('null'))
const EMPTY = Buffer.alloc(0)

module.exports = class RawRPC extends ProtomuxRPC {
  constructor(stream, { id, onrequest, onevent, onresult, onerror, ondrain }) {
    super(stream, { id })
    this.lastSeen = Date.now()
    this._asked = 0
    this._answered = 0
    this._roundTrip = null
    this._hooks = { onrequest, onevent, onresult, onerror }
    this._channel.ondrain = ondrain
  }

  get drained() {
    return this._mux.drained
  }

  ask(id, method, value) {
    return this._request.send({ id, method, value: wrap(value) })
  }

  tell(method, value) {
    return this._request.send({ id: 0, method, value: wrap(value) })
  }

  answer(id, value) {
    return this._response.send({ id, error: null, value: wrap(value) })
  }

  refuse(id, message) {
    return this._response.send({ id, error: failure('REQUEST_ERROR', message, new Error(message)), value: null })
  }

  unknown(id, method) {
    return this._response.send({ id, error: failure('UNKNOWN_METHOD', `Unknown method '${method}'`), value: null })
  }

  // Any reply, be it an error, proves that the peer lives.
  heartbeat() {
    this._asked ||= performance.now()
    this._request.send({ id: HEARTBEAT_ID, method: 'ping', value: NULL })
  }

  // How long the last sign of life took to be answered, in ms; a link that is busy needs none.
  get roundTrip() {
    return performance.now() - this._answered < FRESH ? this._roundTrip : null
  }

  _beaten() {
    const now = performance.now()
    if (this._asked > 0) this._roundTrip = now - this._asked
    this._answered = now
    this._asked = 0
  }

  // A payload that is none ends the connection that it came on, and nothing else.
  _onrequest({ id, method, value }) {
    this.lastSeen = Date.now()
    try {
      if (id === 0) this._hooks.onevent(method, unwrap(value))
      else this._hooks.onrequest(id, method, unwrap(value))
    } catch (error) {
      this.destroy(error)
    }
  }

  _onresponse({ id, error, value }) {
    this.lastSeen = Date.now()
    if (id === HEARTBEAT_ID) this._beaten()
    if (id === HEARTBEAT_ID || id === 0) return
    try {
      if (error) this._hooks.onerror(id, error)
      else this._hooks.onresult(id, unwrap(value))
    } catch (error) {
      this.destroy(error)
    }
  }
}

// Payloads are `optionalBuffer`s on the wire: upstream's default, which every peer speaks.
function wrap(value) {
  return c.encode(c.optionalBuffer, value)
}

function unwrap(value) {
  return c.decode(c.optionalBuffer, value) || EMPTY
}

// An error as upstream's error frames carry it.
function failure(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code })
}
