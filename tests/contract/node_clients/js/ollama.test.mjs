// The official `ollama` client for JavaScript, as it is, against the platform.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ollama } from 'ollama'
import { untilBusy } from './busy.mjs'

const { URL: host, KEY: key } = process.env
const client = new Ollama({ host, headers: { authorization: `Bearer ${key}` } })
const messages = [{ role: 'user', content: 'one two three' }]
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }

// seen: ollama (Node): a chat, whole; a chat, streamed
test('a chat, whole and streamed', async () => {
  const whole = await client.chat({ model: 'echo', messages })
  assert.equal(whole.message.content, 'one two three')
  assert.equal(whole.eval_count, 3)
  const pieces = []
  let last
  for await (const part of await client.chat({ model: 'echo', messages, stream: true })) {
    pieces.push(part.message.content)
    last = part
  }
  assert.equal(pieces.join(''), 'one two three')
  assert.equal(last.done_reason, 'stop')
})

// seen: ollama (Node): completions; an answer of a class; tools
test('a prompt, JSON by a schema, a tool', async () => {
  assert.equal((await client.generate({ model: 'echo', prompt: 'one two' })).response, 'one two')
  const formed = await client.chat({ model: 'echo', messages, format: parameters })
  assert.equal(typeof JSON.parse(formed.message.content).city, 'string')
  const tools = [{ type: 'function', function: { name: 'weather', description: 'The weather.', parameters } }]
  const called = await client.chat({ model: 'echo', messages, tools })
  assert.equal(typeof called.message.tool_calls[0].function.arguments.city, 'string')
})

// seen: ollama (Node): embeddings; models
test('embeddings, models, what is told of one', async () => {
  const { embeddings } = await client.embed({ model: 'echo', input: ['a', 'b'] })
  assert.equal(embeddings.length, 2)
  assert.ok((await client.list()).models.some(({ model }) => model.startsWith('echo')))
  assert.ok((await client.show({ model: 'echo' })).capabilities.includes('completion'))
  assert.ok(Array.isArray((await client.ps()).models))
})

// seen: ollama (Node): errors as its exceptions; leaving frees the slot
test('refusals, and leaving', async () => {
  await assert.rejects(client.chat({ model: 'nothing', messages }), { status_code: 404 })
  const stranger = new Ollama({ host, headers: { authorization: 'Bearer hi_wrong' } })
  await assert.rejects(stranger.chat({ model: 'echo', messages }), { status_code: 401 })
  const stream = await client.chat({ model: 'endless', messages, stream: true })
  await untilBusy('endless', 1)
  stream.abort()
  await untilBusy('endless', 0)
})
