// The official `@anthropic-ai/sdk`, as it is, against the platform.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { untilBusy } from './busy.mjs'

const { URL: baseURL, KEY: apiKey, LIMITED } = process.env
const client = new Anthropic({ baseURL, apiKey, authToken: null, maxRetries: 0, timeout: 20_000 })
const messages = [{ role: 'user', content: 'one two three' }]
const echo = { model: 'echo', max_tokens: 100, messages }
const input_schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const tools = [{ name: 'weather', description: 'The weather.', input_schema }]

// seen: anthropic (Node): a chat, whole; a chat, streamed; usage
test('a message, whole and streamed', async () => {
  const whole = await client.messages.create(echo)
  assert.deepEqual(
    whole.content.map(({ text }) => text),
    ['one two three']
  )
  assert.equal(whole.stop_reason, 'end_turn')
  assert.equal(whole.usage.output_tokens, 3)
  assert.match(whole.id, /^msg_/)
  const texts = []
  const stream = client.messages.stream(echo).on('text', (text) => texts.push(text))
  const final = await stream.finalMessage()
  assert.equal(texts.join(''), 'one two three')
  assert.equal(final.usage.output_tokens, 3)
  const cut = await client.messages.create({ ...echo, max_tokens: 1 })
  assert.equal(cut.stop_reason, 'max_tokens')
})

// seen: anthropic (Node): tools
test('a tool, whole and streamed', async () => {
  const whole = await client.messages.create({ ...echo, tools, tool_choice: { type: 'any' } })
  const used = whole.content.find(({ type }) => type === 'tool_use')
  assert.equal(whole.stop_reason, 'tool_use')
  assert.equal(used.name, 'weather')
  assert.equal(typeof used.input.city, 'string')
  const final = await client.messages.stream({ ...echo, tools, tool_choice: { type: 'any' } }).finalMessage()
  assert.deepEqual(final.content.find(({ type }) => type === 'tool_use').input, used.input)
})

// seen: anthropic (Node): tokens counted; models
test('tokens and models', async () => {
  assert.ok((await client.messages.countTokens({ model: 'echo', messages })).input_tokens > 0)
  const names = []
  for await (const { id } of client.models.list()) names.push(id)
  assert.ok(names.includes('echo'))
})

// seen: anthropic (Node): errors as its exceptions
test('every refusal is of its class', async () => {
  const wrong = new Anthropic({ baseURL, apiKey: 'hi_wrong', authToken: null, maxRetries: 0 })
  await assert.rejects(wrong.messages.create(echo), Anthropic.AuthenticationError)
  await assert.rejects(client.messages.create({ ...echo, model: 'nothing' }), Anthropic.NotFoundError)
  await assert.rejects(client.messages.create({ ...echo, temperature: 5 }), Anthropic.BadRequestError)
  const often = new Anthropic({ baseURL, apiKey: LIMITED, authToken: null, maxRetries: 0 })
  await often.messages.create(echo)
  await assert.rejects(often.messages.create(echo), Anthropic.RateLimitError)
  await assert.rejects(client.messages.stream({ ...echo, model: 'brittle' }).finalMessage(), Anthropic.APIError)
})

// seen: anthropic (Node): leaving frees the slot
test('leaving stops the model', async () => {
  for await (const _ of client.messages.stream({ ...echo, model: 'endless', max_tokens: 8000 })) {
    await untilBusy('endless', 1)
    break
  }
  await untilBusy('endless', 0)
})
