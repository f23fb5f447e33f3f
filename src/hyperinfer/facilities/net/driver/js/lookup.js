// Who announces a topic: keys by their hex form.

// After the first answer a look-up waits so long for others: a node of the DHT that has died keeps it open for seconds.
const SETTLE = 1000

module.exports = async function lookup(dht, topic) {
  const found = new Map()
  const query = dht.lookup(topic)
  let settled = null
  try {
    for await (const { peers } of query) {
      for (const { publicKey } of peers) found.set(publicKey.toString('hex'), publicKey)
      if (found.size > 0) settled ??= setTimeout(() => query.destroy(), SETTLE)
    }
  } finally {
    clearTimeout(settled)
  }
  return found
}
