// Why a peer was not let in. Refused handshakes are met with silence, as if this machine were switched off, and tell a stranger
// nothing. But the two keys together name a topic that nobody thinks of who does not know both: under it the side that refused
// announces itself, and the other one looks whether it is there.
const DHT = require('hyperdht')
const b4a = require('b4a')
const lookup = require('./lookup')

const WORDS = ['refused', 'full']
const MINUTE = 60 * 1000
const AGAIN = 10 * MINUTE // records live for 20
const MAX_A_MINUTE = 6 // whoever makes up keys makes us announce no more than this
const MAX_TOLD = 256

module.exports = class Refusals {
  constructor() {
    this._told = new Map() // by topic: when, of which pair of keys
    this._lately = []
  }

  // This peer was refused by the holder of the key pair, in one of the words.
  tell(dht, keyPair, remoteKey, word) {
    const now = Date.now()
    const topic = topicOf(word, keyPair.publicKey, remoteKey)
    const name = b4a.toString(topic, 'hex')
    const before = this._told.get(name)
    this._lately = this._lately.filter((at) => now - at < MINUTE)
    if ((before && now - before.at < AGAIN) || this._lately.length >= MAX_A_MINUTE) return
    this._lately.push(now)
    this._told.delete(name)
    this._told.set(name, { at: now, topic, keyPair, remote: b4a.toString(remoteKey, 'hex') })
    if (this._told.size > MAX_TOLD) this._told.delete(this._told.keys().next().value)
    dht.announce(topic, keyPair).finished().catch(noop) // without it the peer learns less
  }

  // Peers that are let in now need no longer find what was said of them.
  takeBack(dht, keyPair, admits) {
    for (const [name, { topic, keyPair: whose, remote }] of this._told) {
      if (whose !== keyPair || !admits(remote)) continue
      this._told.delete(name)
      dht.unannounce(topic, keyPair).catch(noop)
    }
  }

  // What there is of a peer in the DHT: `absent`, or `refused` or `full` if it has said so to us, else `silent`.
  static async whereabouts(dht, key, ownKey) {
    const [known, ...found] = await Promise.all([
      isKnown(dht, key),
      ...WORDS.map((word) => lookup(dht, topicOf(word, key, ownKey)))
    ])
    if (!known) return 'absent'
    const at = found.findIndex((keys) => keys.has(b4a.toString(key, 'hex')))
    return at < 0 ? 'silent' : WORDS[at]
  }
}

async function isKnown(dht, key) {
  for await (const _ of dht.findPeer(key)) return true
  return false
}

function topicOf(word, server, client) {
  return DHT.hash(b4a.concat([b4a.from(`hyperinfer ${word}`), server, client]))
}

function noop() {}
