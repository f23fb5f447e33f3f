// One identity: a key pair under which the driver listens, connects and announces.
const DHT = require('hyperdht')
const b4a = require('b4a')
const Link = require('./link')
const ops = require('./ops')
const connect = require('./connect')

// Without a DHT in reach these go on for many seconds; nobody here waits for them longer.
const LISTEN_WAIT = 300
const CLOSE_WAIT = 500

module.exports = class Endpoint {
  constructor(driver, handle, seed) {
    this.handle = handle
    this.keyPair = DHT.keyPair(seed)
    this._driver = driver
    this._server = null
    this._methods = new Set()
    this._admitted = new Set()
    this._everyone = false
    this._maxStrangers = 0
    this._maxStrangersPerHost = 0
    this._incoming = new Set()
  }

  async listen({ methods, ...admission }) {
    this._methods = new Set(methods)
    this._admit(admission)
    if (this._server !== null) return
    this._server = this._driver.dht.createServer({ firewall: (key, payload, address) => this._refuses(key, address) })
    this._server.on('connection', (stream) => this._onconnection(stream))
    await within(LISTEN_WAIT, this._server.listen(this.keyPair))
  }

  admit(admission) {
    this._admit(admission)
    this._driver.refusals.takeBack(this._driver.dht, this.keyPair, (key) => this._everyone || this._admitted.has(key))
    for (const link of this._incoming) {
      if (!this._everyone && !this._knows(link.remoteKey)) link.destroy()
    }
  }

  connect(handle, key, times) {
    return connect(this._driver, handle, key, this.keyPair, times)
  }

  async close() {
    for (const link of this._incoming) link.destroy()
    if (this._server !== null) await within(CLOSE_WAIT, this._server.close())
  }

  forget(link) {
    this._incoming.delete(link)
  }

  _admit({ everyone, keys, maxStrangers, maxStrangersPerHost }) {
    this._everyone = everyone
    this._admitted = new Set(keys)
    this._maxStrangers = maxStrangers
    this._maxStrangersPerHost = maxStrangersPerHost
  }

  _knows(key) {
    return this._admitted.has(b4a.toString(key, 'hex'))
  }

  // Hyperswarm asks this in the handshake, before any byte of ours is read.
  _refuses(key, address) {
    if (this._knows(key) || (this._everyone && this._hasRoom(address ? address.host : ''))) return false
    this._driver.refusals.tell(this._driver.dht, this.keyPair, key, this._everyone ? 'full' : 'refused')
    return true
  }

  // Strangers are bounded in all, and those that come from one host.
  _hasRoom(host) {
    let all = 0
    let here = 0
    for (const link of this._incoming) {
      if (this._knows(link.remoteKey)) continue
      all++
      if (link.remoteHost === host) here++
    }
    return all < this._maxStrangers && here < this._maxStrangersPerHost
  }

  _onconnection(stream) {
    stream.on('error', noop)
    if (this._driver.ending) return stream.destroy() // it would be left without a word a moment later
    const allows = (method) => this._methods.has(method)
    const link = new Link(this._driver, this._driver.newHandle(), stream, this.keyPair.publicKey, allows)
    link.endpoint = this
    this._incoming.add(link)
    this._driver.remember(link)
    const payload = Buffer.concat([stream.remotePublicKey, Buffer.from(link.how)])
    this._driver.send(ops.LINK_OPENED, this.handle, link.handle, link.remoteHost, payload)
  }
}

// Waits for a promise, but no longer than this; what it still has to do it does in the background.
async function within(ms, promise) {
  promise.catch(noop)
  let timer = null
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}

function noop() {}
