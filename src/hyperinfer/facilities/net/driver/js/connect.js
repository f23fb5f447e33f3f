// Connecting: open means that the RPC channel is open, so that a refusal of the firewall is a failed connection.
const b4a = require('b4a')
const Link = require('./link')

// About one cold connection in fifty between firewalled nodes hangs for good; a second try then succeeds at once.
const TRIES = 2

// A link, or null where the peer is unknown, refuses or does not answer in time.
module.exports = async function connect(driver, handle, key, keyPair, timeout) {
  for (let left = TRIES; left > 0; left--) {
    const { link, late } = await attempt(driver, handle, key, keyPair, timeout / TRIES)
    if (link !== null || !late) return link
  }
  return null
}

function attempt(driver, handle, key, keyPair, timeout) {
  return new Promise((resolve) => {
    forgetRoute(driver.dht, key)
    const stream = driver.dht.connect(key, { keyPair })
    stream.on('error', noop)
    const link = new Link(driver, handle, stream, key, () => true)
    const timer = setTimeout(done, timeout, null, true)
    link.rpc.on('open', () => {
      driver.remember(link)
      done(link, false)
    })
    stream.on('close', () => done(null, false))

    function done(found, late) {
      clearTimeout(timer)
      resolve({ link: found, late })
      if (late) link.destroy()
    }
  })
}

// Upstream keeps the nodes through which it last reached a key and asks them first, one after the other. Where the peer has
// come back at another address, the first of them is its old one: it answers nothing, and every try would wait for it.
function forgetRoute(dht, key) {
  dht._relayAddressesCache.delete(b4a.toString(key, 'hex'))
}

function noop() {}
