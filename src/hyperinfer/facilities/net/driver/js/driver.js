// The driver: sockets, identities and links on behalf of one Python process.
const DHT = require('hyperdht')
const Node = require('./node')
const Refusals = require('./refusals')
const lookup = require('./lookup')
const Control = require('./socket')
const Endpoint = require('./endpoint')
const ops = require('./ops')

const EMPTY = Buffer.alloc(0)
const ANY_PORT = [0, 0] // the range that upstream takes as none; a bare 0 means its default one to it
const STATUS_EVERY = 1000
const PROBE_EVERY = 5000
const GOODBYE = 200

module.exports = class Driver {
  constructor() {
    this.EMPTY = EMPTY
    this.dht = null
    this.corked = []
    this.refusals = new Refusals()
    this._endpoints = new Map()
    this._links = new Map()
    this._wanted = new Set() // handles of connections that Python still waits for
    this._nextHandle = 2 // ours are even, Python's odd
    this._ending = false
    this._online = null
    this._full = false // Python is behind with reading
    this._control = new Control({
      onframe: (op, id, handle, name, payload) => this._onframe(op, id, handle, name, payload),
      onturn: () => this._onturn(),
      onfull: () => this._pause(),
      ondrain: () => this._resume(),
      onend: () => this._end()
    })
  }

  send(op, id, handle, name, payload) {
    this._control.send(op, id, handle, name, payload)
  }

  sendError(id, handle, error) {
    const cause = error.cause && error.cause.message ? ': ' + error.cause.message : ''
    this.send(ops.ERROR, id, handle, error.code || 'ERROR', Buffer.from(`${error.message}${cause}`))
  }

  newHandle() {
    const handle = this._nextHandle
    this._nextHandle += 2
    return handle
  }

  remember(link) {
    this._links.set(link.handle, link)
  }

  forget(link) {
    if (this._links.get(link.handle) !== link) return // a first try that ends after the second one has succeeded
    this._links.delete(link.handle)
    if (link.endpoint) link.endpoint.forget(link)
    this.send(ops.LINK_CLOSED, 0, link.handle, '', link.carried())
  }

  get ending() {
    return this._ending
  }

  _each(act) {
    for (const link of this._links.values()) act(link)
  }

  _pause() {
    this._full = true
    this._each((link) => link.stream.pause())
  }

  _resume() {
    this._full = false
    this._each((link) => link.stream.resume())
  }

  _onturn() {
    const corked = this.corked
    if (corked.length === 0) return
    this.corked = []
    for (const link of corked) link.uncork()
  }

  _onframe(op, id, handle, name, payload) {
    const link = this._links.get(handle)
    switch (op) {
      case ops.REQUEST:
        if (link) link.ask(id, name, payload)
        return
      case ops.EVENT:
        if (link) link.tell(name, payload)
        return
      case ops.RESULT:
        if (link) link.answer(id, payload)
        return
      case ops.ERROR:
        if (link) link.refuse(id, name)
        return
      case ops.CLOSE:
        this._wanted.delete(handle)
        if (link) link.end()
        return
      default:
        this._command(op, handle, payload).then(
          (result) => this.send(ops.RESULT, id, 0, '', result || EMPTY),
          (error) => this.sendError(id, 0, error)
        )
    }
  }

  async _command(op, handle, payload) {
    const endpoint = this._endpoints.get(handle)
    switch (op) {
      case ops.START:
        return this._start(JSON.parse(payload))
      case ops.OPEN:
        this._endpoints.set(handle, new Endpoint(this, handle, Buffer.from(payload)))
        return EMPTY
      case ops.LISTEN:
        await endpoint.listen(JSON.parse(payload))
        return EMPTY
      case ops.ADMIT:
        endpoint.admit(JSON.parse(payload))
        return EMPTY
      case ops.SHUT:
        this._endpoints.delete(handle)
        await endpoint.close()
        return EMPTY
      case ops.ANNOUNCE:
        await this.dht.announce(Buffer.from(payload), endpoint.keyPair).finished()
        return EMPTY
      case ops.WITHDRAW:
        await this.dht.unannounce(Buffer.from(payload), endpoint.keyPair)
        return EMPTY
      case ops.LOOKUP:
        return Buffer.concat([...(await lookup(this.dht, Buffer.from(payload))).values()])
      case ops.CONNECT:
        return this._connect(endpoint, payload)
      case ops.MEASURE:
        return this._measure()
      case ops.WHEREABOUTS:
        return Buffer.from(await Refusals.whereabouts(this.dht, Buffer.from(payload), endpoint.keyPair.publicKey))
      default:
        throw new Error(`unknown operation ${op}`)
    }
  }

  _start({ bootstrap, host, firewalled, heartbeat }) {
    // Workers come and go: in the few nodes of a private DHT they keep no records, for each one that died would hold up
    // every look-up by seconds. Among the many of the public one, upstream's own rule decides.
    const role = bootstrap ? { bootstrap, ephemeral: true } : {}
    this.dht = new Node({ ...role, host, firewalled, port: ANY_PORT })
    this._keepBeating(heartbeat)
    setInterval(() => this._report(), STATUS_EVERY)
    setInterval(() => this._probe(), PROBE_EVERY)
    this.dht.on('ready', () => this._report())
    return EMPTY
  }

  // A peer is silent only if we were listening: neither while Python was too slow to take more, nor while this process
  // itself stood still.
  _keepBeating(every) {
    let last = Date.now()
    setInterval(() => {
      const now = Date.now()
      const deaf = this._full || now - last > every
      last = now
      this._each((link) => {
        if (link.overfull) link.destroy()
        else if (deaf) link.seen(now)
        else link.beat(now, every)
      })
    }, every / 2)
  }

  // Being online means to know any node: without one nothing can be found, and nobody finds us.
  _report() {
    const online = this.dht.nodes.length > 0
    if (online === this._online) return
    this._online = online
    this.send(ops.STATUS, 0, 0, online ? 'online' : 'offline', EMPTY)
  }

  // An empty table asks the bootstrap nodes again, until one answers.
  async _probe() {
    if (this.dht.nodes.length > 0) return
    try {
      await this.dht.findNode(DHT.keyPair().publicKey).finished()
    } catch {
      // Still offline: the next probe is due in a few seconds.
    }
    this._report()
  }

  _measure() {
    const links = [...this._links.values()].map((link) => link.figures())
    return Buffer.from(JSON.stringify({ links, surroundings: this.dht.surroundings() }))
  }

  async _connect(endpoint, payload) {
    const handle = payload.readUInt32LE(8)
    const times = { timeout: payload.readUInt32LE(0), punch: payload.readUInt32LE(4) }
    this._wanted.add(handle)
    const { link, code, routers } = await endpoint.connect(handle, Buffer.from(payload.subarray(12)), times)
    const wanted = this._wanted.delete(handle)
    const [router, remoteRouter] = routers
    if (link === null) throw Object.assign(new Error(`${code} ${router} ${remoteRouter}`), { code: 'UNREACHABLE' })
    if (!wanted) link.end()
    return Buffer.from(JSON.stringify({ how: link.how, router, remoteRouter }))
  }

  // Without its parent a driver has nothing to do: it says goodbye, so that peers need not wait for a heartbeat to fail,
  // and never outlives it.
  _end() {
    if (this._ending) return
    this._ending = true
    this._each((link) => link.end())
    setTimeout(() => process.exit(0), GOODBYE)
  }
}
