// One connection to one peer, whichever side made it.
const RawRPC = require('./rpc')
const ops = require('./ops')

// So much of a name that nobody knows is repeated, and so many such answers may wait for a peer that does not read them.
const MAX_NAME = 64
const MAX_UNREAD = 1024

// Bytes of one peer that may wait until Python takes them.
const MAX_WAITING = 64 * 1024 * 1024

module.exports = class Link {
  constructor(driver, handle, stream, serverKey, allows) {
    this.handle = handle
    this.endpoint = null // set where the peer connected to us
    this.stream = stream
    this.paused = false
    this._driver = driver
    this._corked = false
    this._unread = 0
    this._receivedBefore = 0
    this._raw = null // it outlives the stream that runs over it
    this.rpc = new RawRPC(stream, {
      id: serverKey,
      onrequest: (id, method, value) => {
        if (allows(method)) driver.send(ops.REQUEST, id, handle, method, value)
        else this._unknown(id, method)
      },
      onevent: (method, value) => {
        if (allows(method)) driver.send(ops.EVENT, 0, handle, method, value)
      },
      onresult: (id, value) => driver.send(ops.RESULT, id, handle, '', value),
      onerror: (id, error) => driver.sendError(id, handle, error),
      ondrain: () => this._drained()
    })
    this.rpc.on('close', () => stream.destroy())
    stream.on('close', () => driver.forget(this))
  }

  get remoteKey() {
    return this.stream.remotePublicKey
  }

  get remoteHost() {
    return this.raw.remoteHost || ''
  }

  get raw() {
    return (this._raw ??= this.stream.rawStream)
  }

  // Direct, punched through routers, or relayed.
  get how() {
    return this._driver.dht.how(this.raw)
  }

  // What there is to know of it now: round trip in ms, and bytes sent and received.
  figures() {
    const { rtt, bytesTransmitted, bytesReceived } = this.raw
    return [this.handle, this.how, this.rpc.roundTrip ?? (rtt || null), bytesTransmitted, bytesReceived]
  }

  // Bytes sent and received over it, for its end.
  carried() {
    const carried = Buffer.alloc(16)
    carried.writeBigUInt64LE(BigInt(this.raw.bytesTransmitted), 0)
    carried.writeBigUInt64LE(BigInt(this.raw.bytesReceived), 8)
    return carried
  }

  ask(id, method, value) {
    this._cork()
    this.rpc.ask(id, method, value)
    this._full()
  }

  tell(method, value) {
    this._cork()
    this.rpc.tell(method, value)
    this._full()
  }

  answer(id, value) {
    this._cork()
    this.rpc.answer(id, value)
    this._full()
  }

  refuse(id, message) {
    this._cork()
    this.rpc.refuse(id, message)
  }

  _unknown(id, method) {
    if (this.paused && ++this._unread > MAX_UNREAD) return this.destroy()
    this.rpc.unknown(id, method.slice(0, MAX_NAME))
    this._full()
  }

  // Everything of one turn goes out in one write; the driver uncorks when the turn is over.
  _cork() {
    if (this._corked) return
    this._corked = true
    this.rpc.cork()
    this._driver.corked.push(this)
  }

  uncork() {
    this._corked = false
    if (!this.rpc.closed) this.rpc.uncork()
    this._full()
  }

  _full() {
    if (this.paused || this.rpc.drained) return
    this.paused = true
    this._driver.send(ops.PAUSE, 0, this.handle, '', this._driver.EMPTY)
  }

  _drained() {
    if (!this.paused) return
    this.paused = false
    this._unread = 0
    this._driver.send(ops.RESUME, 0, this.handle, '', this._driver.EMPTY)
  }

  // While Python takes nothing, what comes waits here: the transport below does not hold the peer back.
  get overfull() {
    return waiting(this.stream) + waiting(this.stream.rawStream) > MAX_WAITING
  }

  get _received() {
    return this.stream.rawStream === null ? 0 : this.stream.rawStream.packetsReceived
  }

  seen(now) {
    this.rpc.lastSeen = now
  }

  // A large message takes its time on a slow line: who is in the middle of one is not silent.
  beat(now, every) {
    const received = this._received
    if (received !== this._receivedBefore) {
      this._receivedBefore = received
      this.seen(now)
    }
    const silent = now - this.rpc.lastSeen
    if (silent > 2 * every) this.stream.destroy()
    else if (silent >= every / 2 && this.rpc.opened) this.rpc.heartbeat()
  }

  // Says goodbye: what was written still goes out, the end of the channel with it.
  end() {
    this.rpc.destroy()
    this.stream.end()
  }

  destroy() {
    this.rpc.destroy()
    this.stream.destroy()
  }
}

function waiting(stream) {
  return stream === null ? 0 : stream._readableState.buffered
}
