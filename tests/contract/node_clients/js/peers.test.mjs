// Our client before peers that are no gateway, or a bad one: written with upstream's own packages.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import RPC from '@hyperswarm/rpc'
import { AIInferenceClient } from 'hyperinfer-client'
import DHT from 'hyperdht'

const { LINK, KEY, BOOTSTRAP } = process.env
const net = { bootstrap: [BOOTSTRAP], dht: { host: '127.0.0.1', firewalled: false } }
const secret = 'hi_secret_of_somebody'
const closing = []

after(async () => {
  for (const close of closing.reverse()) await close()
})

function clientWith(options) {
  const client = new AIInferenceClient({ maxRetries: 0, timeoutMs: 20_000, ...net, ...options })
  closing.push(() => client.close())
  return client
}

// A peer that answers these methods, and remembers all that it was sent.
async function peer(methods) {
  const dht = new DHT({ bootstrap: [BOOTSTRAP], ...net.dht })
  const rpc = new RPC({ dht, seed: randomBytes(32) })
  const server = rpc.createServer()
  const heard = []
  const known = { ping: () => ({}), ...methods }
  for (const [name, answer] of Object.entries(known)) {
    server.respond(name, async (payload, from) => {
      heard.push([name, payload.toString()])
      return Buffer.from(JSON.stringify(await answer(JSON.parse(payload), from)))
    })
  }
  await server.listen()
  closing.push(async () => {
    await rpc.destroy({ force: true })
    await dht.destroy({ force: true })
  })
  const key = server.publicKey.toString('hex')
  return { dht, rpc, server, heard, key, link: `hyper://${key}` }
}

async function announced(one, swarmKey) {
  const name = createHmac('sha256', Buffer.from(swarmKey, 'hex')).update('gateway').digest()
  await one.dht.announce(DHT.hash(name), one.rpc.defaultKeyPair).finished()
}

const [swarmKey, rootKey] = LINK.split('/').slice(3)

test('who cannot prove to be a gateway hears no key', async () => {
  const otherSwarm = randomBytes(32).toString('hex')
  const replies = [{}, null, { epoch: {}, certificate: {} }]
  const impostor = await peer({
    introduce: () => replies.shift() ?? '[HRPC_ERR]=NOT_FOUND: No certificate. {}',
    processPrompt: () => ({ response: 'trust me' })
  })
  await announced(impostor, otherSwarm)
  const baseUrl = `hyper://swarm/${otherSwarm}/${rootKey}`
  const client = clientWith({ baseUrl, apiKey: secret, connectTimeoutMs: 3000 })
  await assert.rejects(client.inference({ prompt: 'my diary' }), { code: 'untrusted', status: null })
  const names = new Set(impostor.heard.map(([name]) => name))
  assert.ok(names.has('introduce'))
  assert.deepEqual(
    [...names].filter((name) => !['introduce', 'ping'].includes(name)),
    []
  )
  assert.ok(!JSON.stringify(impostor.heard).includes(secret))
  assert.ok(!JSON.stringify(impostor.heard).includes('diary'))
})

test('beside impostors the gateway is found', async () => {
  const impostors = await Promise.all([1, 2, 3].map(() => peer({ introduce: () => new Promise(() => {}) })))
  for (const one of impostors) await announced(one, swarmKey)
  const client = clientWith({ baseUrl: LINK, apiKey: KEY })
  assert.equal((await client.inference({ prompt: 'one two', model: 'echo' })).response, 'one two')
  for (const { heard } of impostors) assert.ok(!JSON.stringify(heard).includes(KEY))
})

test('another swarm’s gateway is no gateway of this one', async () => {
  const baseUrl = `hyper://swarm/${swarmKey}/${'cd'.repeat(32)}`
  const client = clientWith({ baseUrl, apiKey: secret, connectTimeoutMs: 2000 })
  await assert.rejects(client.models(), { code: /untrusted|connection_failed/ })
})

test('a connection that breaks off is made anew, and nothing is asked twice', async () => {
  let asked = 0
  const gateway = await peer({
    processPrompt: async ({ data }, from) => {
      asked += 1
      if (data.prompt !== 'break') return { response: data.prompt, model: 'm' }
      from.destroy()
      await new Promise(() => {})
    },
    listModels: async (_, from) => {
      asked += 1
      if (asked % 2 === 0) return { models: [] }
      from.destroy()
      await new Promise(() => {})
    }
  })
  const client = clientWith({ baseUrl: gateway.link, maxRetries: 2 })
  await assert.rejects(client.inference({ prompt: 'break' }), { code: 'connection_lost', status: null })
  assert.equal(asked, 1)
  assert.equal((await client.inference({ prompt: 'again' })).response, 'again')
  assert.equal(asked, 2)
  assert.deepEqual(await client.models(), []) // only looked up: asked again by itself
  assert.equal(asked, 4)
})

test('a stream that breaks off, or makes no sense, is an error', async () => {
  const chunk = (content) => ({ choices: [{ index: 0, delta: { content } }] })
  const send = (from, id, seq, chunks) =>
    from.event('processInferenceRequest.chunk', Buffer.from(JSON.stringify({ id, seq, chunks })))
  const cancelled = []
  const gateway = await peer({
    'processInferenceRequest.cancel': ({ id }) => cancelled.push(id),
    processInferenceRequest: async ({ data, id }, from) => {
      send(from, id, 0, [{ worker: 'ab' }, chunk('one')])
      if (data.body.model === 'gap') send(from, id, 3, [chunk('two')])
      if (data.body.model === 'flood') send(from, id, 2, Array(200).fill(chunk('x')))
      if (data.body.model === 'end') return { processed: {} }
      if (data.body.model === 'break') setTimeout(() => from.destroy(), 50)
      return await new Promise(() => {})
    }
  })
  const client = clientWith({ baseUrl: gateway.link, maxRetries: 2 })
  for (const [model, code] of Object.entries({
    gap: 'bad_answer',
    flood: 'bad_answer',
    end: 'connection_lost',
    break: 'connection_lost'
  })) {
    const stream = client.stream({ prompt: 'x', model })
    await assert.rejects(stream.finalAnswer(), { code }, model)
    assert.ok(stream.text.startsWith('one'), model)
  }
  assert.equal(cancelled.length, 2)
})

test('a gateway that falls silent is noticed within seconds', async () => {
  // Stopped by a signal, as a machine that has lost its line.
  const script = `
    const RPC = require('@hyperswarm/rpc'), DHT = require('hyperdht')
    const rpc = new RPC({ dht: new DHT({ bootstrap: ['${BOOTSTRAP}'], host: '127.0.0.1', firewalled: false }) })
    const server = rpc.createServer()
    server.respond('ping', (payload) => payload)
    server.respond('processPrompt', () => (console.log('asked'), new Promise(() => {})))
    server.listen().then(() => console.log(server.publicKey.toString('hex')))`
  const process_ = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  closing.push(() => process_.kill('SIGKILL'))
  const lines = process_.stdout.setEncoding('utf8')[Symbol.asyncIterator]()
  const key = (await lines.next()).value.trim()
  const client = clientWith({ baseUrl: `hyper://${key}` })
  const began = Date.now()
  const asking = client.inference({ prompt: 'x' })
  await lines.next()
  process_.kill('SIGSTOP')
  await assert.rejects(asking, { code: 'connection_lost' })
  assert.ok(Date.now() - began < 9_000, `${Date.now() - began} ms`)
})

test('without a swarm in reach it says so', async () => {
  const lost = { bootstrap: ['127.0.0.1:9'], connectTimeoutMs: 1500 }
  for (const baseUrl of [LINK, LINK.replace(/swarm.*$/, 'ab'.repeat(32))]) {
    const client = clientWith({ ...lost, baseUrl })
    await assert.rejects(client.models(), { code: 'connection_failed', message: /out of reach/ })
  }
})
