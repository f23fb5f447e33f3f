// The bare figure: two Node processes that use @hyperswarm/rpc as it is.
// node bare.js server BOOTSTRAP  |  node bare.js client BOOTSTRAP KEY CALLS EVENTS CONCURRENCY…
const RPC = require('@hyperswarm/rpc')
const DHT = require('hyperdht')

const node = (bootstrap) => new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', firewalled: false })

async function server(bootstrap) {
  const rpc = new RPC({ dht: node(bootstrap) })
  const answering = rpc.createServer()
  let counted = 0
  answering.respond('echo', (payload) => payload)
  answering.respond('count', () => {
    counted++
  })
  answering.respond('counted', () => Buffer.from(String(counted)))
  answering.respond('cpu', () => Buffer.from(String(cpu())))
  await answering.listen()
  console.log(answering.publicKey.toString('hex'))
}

async function client(bootstrap, key, calls, events, ...levels) {
  const rpc = new RPC({ dht: node(bootstrap) })
  const peer = rpc.connect(Buffer.from(key, 'hex'))
  const payload = Buffer.alloc(1024, 120)
  await peer.request('echo', payload)
  const result = { calls: {}, events: 0, cpu: 0 }
  for (const level of levels.map(Number)) {
    const times = []
    const each = Math.ceil(calls / level / (level === 1 ? 8 : 1))
    const loop = async () => {
      for (let i = 0; i < each; i++) {
        const started = performance.now()
        await peer.request('echo', payload)
        times.push(performance.now() - started)
      }
    }
    const before = cpu() + Number(await peer.request('cpu', payload))
    const started = performance.now()
    await Promise.all(Array.from({ length: level }, loop))
    const seconds = (performance.now() - started) / 1000
    const spent = cpu() + Number(await peer.request('cpu', payload)) - before
    times.sort((a, b) => a - b)
    result.calls[level] = {
      rate: times.length / seconds,
      p50: times[times.length >> 1],
      p99: times[Math.floor(times.length * 0.99)],
      cpu: spent / times.length
    }
  }
  const small = Buffer.alloc(100, 120)
  const started = performance.now()
  for (let sent = 0; sent < events; ) {
    for (let i = 0; i < 1000; i++, sent++) peer.event('count', small)
    await peer.request('counted', small)
  }
  while (Number(await peer.request('counted', small)) < events);
  result.events = events / ((performance.now() - started) / 1000)
  console.log(JSON.stringify(result))
  process.exit(0)
}

// Milliseconds of this process' CPU so far.
function cpu() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const [role, ...rest] = process.argv.slice(2)
;({ server, client })[role](...rest)
