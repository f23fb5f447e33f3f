// What upstream computes: topics and key pairs. node formats.js NAME SEED_HEX
const DHT = require('hyperdht')

const [name, seed] = process.argv.slice(2)
const topic = DHT.hash(Buffer.from(name)).toString('hex')
const publicKey = DHT.keyPair(Buffer.from(seed, 'hex')).publicKey.toString('hex')
console.log(JSON.stringify({ topic, publicKey }))
