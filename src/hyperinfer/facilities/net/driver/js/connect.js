// Connecting: open means that the RPC channel is open, so that a refusal of the firewall is a failed connection.
const DHT = require('hyperdht')
const NoiseWrap = require('hyperdht/lib/noise-wrap')
const b4a = require('b4a')
const Link = require('./link')

// About one cold connection in fifty between firewalled nodes hangs for good; a second try then succeeds at once.
const TRIES = 2

// A link, or the code of what the last try failed with, and what the routers do as far as they were met. A router that gives every flow a port of its own has to be guessed
// at: where upstream begins to do that, this try has until `punch` instead of its share of `timeout` (both in ms).
module.exports = async function connect(driver, handle, key, keyPair, { timeout, punch }) {
  let tried = null
  for (let left = TRIES; left > 0; left--) {
    tried = await attempt(driver, handle, key, keyPair, timeout / TRIES, punch)
    if (tried.link !== null || !tried.again) break
  }
  return tried
}

function attempt(driver, handle, key, keyPair, timeout, punch) {
  return new Promise((resolve) => {
    forgetRoute(driver.dht, key)
    let code = ''
    let guessing = false
    let answered = false
    const began = Date.now()
    const stream = driver.dht.connect(key, { keyPair, holepunch, createHandshake })
    stream.on('error', (error) => (code ||= error.code || ''))
    const link = new Link(driver, handle, stream, key, () => true)
    let timer = setTimeout(giveUp, timeout)
    link.rpc.on('open', () => {
      driver.remember(link)
      done({ link, code: '', again: false })
    })
    stream.on('close', () => done({ link: null, code: code || 'CLOSED', again: false }))

    function createHandshake(own, remote) {
      const handshake = new NoiseWrap(own, remote)
      const recv = handshake.recv
      handshake.recv = function (noise) {
        answered = true
        return recv.call(this, noise)
      }
      return handshake
    }

    function holepunch(remote, local) {
      if (remote >= DHT.FIREWALL.RANDOM || local >= DHT.FIREWALL.RANDOM) {
        guessing = true
        clearTimeout(timer)
        timer = setTimeout(giveUp, Math.max(0, punch - (Date.now() - began)))
      }
      return true
    }

    function giveUp() {
      const code = guessing ? 'NOT_PUNCHED' : answered ? 'TIMEOUT' : 'UNANSWERED'
      done({ link: null, code, again: !guessing })
      link.destroy()
    }

    function done(tried) {
      clearTimeout(timer)
      resolve({ ...tried, routers: driver.dht.routers(stream) })
    }
  })
}

// Upstream keeps the nodes through which it last reached a key and asks them first, one after the other. Where the peer has
// come back at another address, the first of them is its old one: it answers nothing, and every try would wait for it.
function forgetRoute(dht, key) {
  dht._relayAddressesCache.delete(b4a.toString(key, 'hex'))
}
