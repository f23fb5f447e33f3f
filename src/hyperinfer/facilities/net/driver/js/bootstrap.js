// A DHT of its own: one bootstrap node and one persistent node, for a private swarm. `node bootstrap.js HOST PORT`
// One more node of such a DHT, at an address of its own: `node bootstrap.js HOST PORT JOINED`
const DHT = require('hyperdht')

const ANY_PORT = [0, 0] // the range that upstream takes as none; a bare 0 means its default one to it

async function join(host, port, bootstrap) {
  const node = new DHT({ bootstrap: [bootstrap], host, port, ephemeral: false, firewalled: false })
  await node.ready()
  process.stdout.write(JSON.stringify({ host, port: node.address().port }) + '\n')
}

async function begin(host, port) {
  const first = DHT.bootstrapper(port, host)
  await first.ready()
  const bootstrap = [{ host, port: first.address().port }]
  // A bootstrap node alone stores nothing: records live on nodes that stay.
  const second = new DHT({ bootstrap, host, ephemeral: false, firewalled: false, port: ANY_PORT })
  await second.ready()
  process.stdout.write(JSON.stringify({ host, port: bootstrap[0].port }) + '\n')
}

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
process.stdin.on('error', () => process.exit(0))
const [host, port, joined] = process.argv.slice(2)
const started = joined ? join(host, Number(port), joined) : begin(host, Number(port))
started.catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
