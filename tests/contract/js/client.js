// A JavaScript peer as its author would write it: @hyperswarm/rpc and hyperdht alone, JSON in UTF-8.
// node client.js BOOTSTRAP TOPIC_HEX REQUESTS_JSON SEED_HEX; each request is [method, content], `$key` in it is the last log-in's.
const RPC = require('@hyperswarm/rpc')
const DHT = require('hyperdht')

async function main([bootstrap, topic, requests, seed]) {
  const dht = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', firewalled: false })
  const rpc = new RPC({ dht })
  const keyPair = DHT.keyPair(Buffer.from(seed, 'hex'))
  const keys = new Set()
  // Whoever has just started may not be announced yet.
  for (let tries = 50; tries > 0 && keys.size === 0; tries--) {
    for await (const { peers } of dht.lookup(Buffer.from(topic, 'hex'))) {
      for (const { publicKey } of peers) keys.add(publicKey.toString('hex'))
    }
    if (keys.size === 0) await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const peer = rpc.connect(Buffer.from([...keys][0], 'hex'), { keyPair })
  const replies = []
  let token = ''
  for (const [method, content] of JSON.parse(requests)) {
    const text = JSON.stringify(content).replaceAll('$key', token)
    const reply = JSON.parse(await peer.request(method, Buffer.from(text)))
    if (reply && reply.key) token = reply.key
    replies.push(reply)
  }
  console.log(JSON.stringify({ keys: [...keys], replies }))
  await rpc.destroy({ force: true })
  await dht.destroy({ force: true })
}

main(process.argv.slice(2)).catch((error) => {
  console.log(JSON.stringify({ failed: error.code || error.message }))
  process.exit(0)
})
