// What this machine sees of a DHT: `node look.js '{"bootstrap": ["HOST:PORT"], "host": "0.0.0.0", "wait": 8000}'`
// Takes part for a moment, keeps no record and announces nothing.
const DHT = require('hyperdht')
const Node = require('./node')

const ANY_PORT = [0, 0] // the range that upstream takes as none; a bare 0 means its default one to it

async function look({ bootstrap, host, wait }) {
  const dht = new Node({ ...(bootstrap ? { bootstrap } : {}), host, ephemeral: true, port: ANY_PORT })
  const late = setTimeout(() => tell(dht), wait)
  await dht.ready()
  // Each node that answers says how we look to it: a second query asks others than those that were asked first.
  if (dht.nodes.length > 0) await dht.findNode(DHT.keyPair().publicKey).finished().catch(() => {})
  clearTimeout(late)
  tell(dht)
}

function tell(dht) {
  process.stdout.write(JSON.stringify(dht.surroundings()) + '\n', () => process.exit(0))
}

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
process.stdin.on('error', () => process.exit(0))
look(JSON.parse(process.argv[2])).catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
