// A JavaScript server: answers `sum` and `upper`, fails as hp-svc-facs-net does, and pushes events back.
// node server.js BOOTSTRAP TOPIC_HEX; prints its public key, and ends with its standard input.
const RPC = require('@hyperswarm/rpc')
const DHT = require('hyperdht')

async function main([bootstrap, topic]) {
  const dht = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', firewalled: false })
  const rpc = new RPC({ dht, seed: Buffer.alloc(32, 7) })
  const server = rpc.createServer()
  const json = (value) => Buffer.from(JSON.stringify(value))

  server.respond('sum', (payload) => {
    const { data } = JSON.parse(payload)
    return json({ sum: data.numbers.reduce((a, b) => a + b, 0) })
  })
  server.respond('fail', () => json('[HRPC_ERR]=ERR_NOT_TODAY'))
  server.respond('throw', () => {
    throw new Error('oh {no}')
  })
  server.respond('count', (payload, peer) => {
    const { id, data } = JSON.parse(payload)
    for (let seq = 0; seq < data.upTo; seq++) peer.event('count.chunk', json({ id, seq, chunks: [{ seq }] }))
    return json({ done: true })
  })
  await server.listen()
  await dht.announce(Buffer.from(topic, 'hex'), rpc.defaultKeyPair).finished()
  console.log(server.publicKey.toString('hex'))
}

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
main(process.argv.slice(2))
