// The node of the DHT that a driver is, and what upstream does not say by itself: how a connection was made, and what was
// learned of the routers between.
const DHT = require('hyperdht')
const Holepuncher = require('hyperdht/lib/holepuncher')

const ROUTERS = ['unknown', 'none', 'steady', 'random'] // by upstream's numbers of firewalls
const UNKNOWN = ['unknown', 'unknown']

// Each connection has a session of the DHT, and so has each try to punch a hole for one.
const sessions = new WeakMap()
const punchers = new WeakMap()
const { updateRemote } = Holepuncher.prototype

Holepuncher.prototype.updateRemote = function (remote) {
  punchers.set(this.session, this)
  updateRemote.call(this, remote)
}

module.exports = class Node extends DHT {
  constructor(options) {
    super(options)
    this._carriers = new Set() // connections to relays, which upstream makes by itself where a peer asks for it
    this._session = null
  }

  connect(key, options) {
    this._session = null
    const stream = super.connect(key, options)
    if (options && options.keyPair) sessions.set(stream, this._session)
    else this._carry(stream)
    return stream
  }

  session() {
    const session = super.session()
    this._session ??= session
    return session
  }

  // What was punched through routers runs over a socket of its own; what needed no hole over one of the two that the DHT has.
  how(raw) {
    if (raw === null || raw.socket === null) return 'none'
    for (const { rawStream } of this._carriers) {
      if (rawStream && rawStream.socket === raw.socket && rawStream.remoteHost === raw.remoteHost && rawStream.remotePort === raw.remotePort) return 'relayed'
    }
    return this._socketPool.lookup(raw.socket) === null ? 'direct' : 'punched'
  }

  // What our router does and what the peer's, as far as it was looked at in connecting.
  routers(stream) {
    const puncher = punchers.get(sessions.get(stream))
    return puncher ? [ROUTERS[puncher.nat.firewall], ROUTERS[puncher.remoteFirewall]] : UNKNOWN
  }

  // How this machine looks to the nodes that it knows: no port where each sees another one.
  surroundings() {
    const nodes = this.nodes.toArray()
    const addresses = new Set(nodes.map((node) => node.host)).size
    return { nodes: nodes.length, addresses, host: this.host, port: this.port }
  }

  _carry(stream) {
    this._carriers.add(stream)
    stream.on('close', () => this._carriers.delete(stream))
  }
}
