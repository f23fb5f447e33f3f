// A DHT of its own: one bootstrap node and one persistent node, for a private swarm. `node bootstrap.js HOST PORT`
const DHT = require('hyperdht')

async function main(host, port) {
  const first = DHT.bootstrapper(port, host)
  await first.ready()
  const bootstrap = [{ host, port: first.address().port }]
  // A bootstrap node alone stores nothing: records live on nodes that stay.
  const second = new DHT({ bootstrap, host, ephemeral: false, firewalled: false, port: 0 })
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
