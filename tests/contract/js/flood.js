// A peer that asks without end, and reads the answers or does not.
// node flood.js BOOTSTRAP KEY_HEX METHOD BYTES reading|blind; prints `closed` when the other side has had enough.
const RPC = require('@hyperswarm/rpc')
const DHT = require('hyperdht')

async function main([bootstrap, key, method, bytes, manner]) {
  const rpc = new RPC({ dht: new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', firewalled: false }) })
  const peer = rpc.connect(Buffer.from(key, 'hex'))
  await peer.request('echo', Buffer.from('null'))
  peer.stream.on('error', () => {})
  peer.stream.on('close', () => {
    console.log('closed')
    process.exit(0)
  })
  if (manner === 'blind') peer.stream.pause()
  const payload = Buffer.alloc(Number(bytes))
  for (;;) {
    for (let i = 0; i < 200; i++) peer.request(method, payload).catch(() => {})
    do await new Promise(setImmediate)
    while (!peer.mux.drained)
  }
}

main(process.argv.slice(2))
