// A DHT of its own: one bootstrap node and one persistent node, for a private swarm. `node bootstrap.js HOST PORT`
const DHT = require('hyperdht')

const ANY_PORT = [0, 0] // the range that upstream takes as none; a bare 0 means its default one to it

async function main(host, port) {
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
main(process.argv[2], Number(process.argv[3])).catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
