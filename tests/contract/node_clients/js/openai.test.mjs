// The official `openai` client for Node, as it is, against the platform.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { untilBusy } from './busy.mjs'

const { URL: url, KEY: apiKey, LIMITED, PLAIN } = process.env
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 20_000 })
const { completions } = client.chat
const messages = [{ role: 'user', content: 'one two three' }]
const echo = { model: 'echo', messages }
const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false
}
const tools = [{ type: 'function', function: { name: 'weather', parameters } }]
const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: parameters } }

async function all(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

// seen: openai (Node): a chat, whole; a chat, streamed
test('a chat, whole and streamed', async () => {
  const whole = await completions.create(echo)
  assert.equal(whole.choices[0].message.content, 'one two three')
  assert.equal(whole.usage.total_tokens, 6)
  assert.match(whole._request_id, /^req_/)
  const chunks = await all(await completions.create({ ...echo, stream: true, stream_options: { include_usage: true } }))
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'one two three')
  assert.deepEqual(chunks.at(-1).usage, whole.usage)
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
  const final = await completions.stream(echo).finalChatCompletion()
  assert.equal(final.choices[0].message.content, 'one two three')
})

// seen: openai (Node): tools
test('a tool, whole, streamed and run', async () => {
  const whole = await completions.create({ ...echo, tools })
  const [call] = whole.choices[0].message.tool_calls
  assert.equal(whole.choices[0].finish_reason, 'tool_calls')
  assert.equal(call.function.name, 'weather')
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string')
  const streamed = await completions.stream({ ...echo, tools }).finalChatCompletion()
  assert.deepEqual(streamed.choices[0].message.tool_calls[0].function.arguments, call.function.arguments)

  const asked = []
  const weather = ({ city }) => {
    asked.push(city)
    return 'It rains.'
  }
  const run = { name: 'weather', description: 'The weather.', parameters, parse: JSON.parse, function: weather }
  const runner = completions.runTools(
    { ...echo, tools: [{ type: 'function', function: run }] },
    { maxChatCompletions: 2 }
  )
  await runner.done()
  assert.ok(asked.length > 0)
  assert.ok(runner.messages.some(({ role, content }) => role === 'tool' && content === 'It rains.'))
})

// seen: openai (Node): an answer of a class
test('JSON by a schema', async () => {
  const parsed = await completions.parse({ ...echo, response_format })
  assert.equal(typeof parsed.choices[0].message.parsed.city, 'string')
  const stream = completions.stream({ ...echo, response_format })
  assert.equal(typeof (await stream.finalChatCompletion()).choices[0].message.parsed.city, 'string')
})

// seen: openai (Node): embeddings
test('embeddings', async () => {
  const { data, usage } = await client.embeddings.create({ model: 'echo', input: ['a', 'b', 'a'] })
  assert.deepEqual(data[0].embedding, data[2].embedding)
  assert.notDeepEqual(data[0].embedding, data[1].embedding)
  assert.ok(usage.prompt_tokens > 0)
  const floats = await client.embeddings.create({ model: 'echo', input: 'a', encoding_format: 'float' })
  assert.equal(floats.data[0].embedding.length, data[0].embedding.length)
})

// seen: openai (Node): completions; models
test('texts and models', async () => {
  const text = await client.completions.create({ model: 'echo', prompt: 'one two', max_tokens: 1 })
  assert.equal(typeof text.choices[0].text, 'string')
  assert.equal(text.choices[0].finish_reason, 'length')
  const names = (await all(await client.models.list())).map(({ id }) => id)
  assert.ok(names.includes('echo'))
  assert.equal((await client.models.retrieve(PLAIN)).id, PLAIN)
})

// seen: openai (Node): responses
test('the Responses API', async () => {
  const whole = await client.responses.create({ model: 'echo', input: 'one two three' })
  assert.equal(whole.output_text, 'one two three')
  assert.match(whole.id, /^resp_/)
  const events = await all(await client.responses.create({ model: 'echo', input: 'one two three', stream: true }))
  const deltas = events.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta)
  assert.equal(deltas.join(''), 'one two three')
  assert.equal(events.at(-1).type, 'response.completed')
  const final = await client.responses.stream({ model: 'echo', input: 'one two' }).finalResponse()
  assert.equal(final.output_text, 'one two')
  const format = { type: 'json_schema', name: 'place', strict: true, schema: parameters }
  const parsed = await client.responses.parse({ model: 'echo', input: 'x', text: { format } })
  assert.equal(typeof parsed.output_parsed.city, 'string')
  const called = await client.responses.create({
    model: 'echo',
    input: 'x',
    tools: [{ type: 'function', name: 'weather', strict: true, parameters }]
  })
  assert.equal(called.output.at(-1).type, 'function_call')
})

// seen: openai (Node): errors as its exceptions
test('every refusal is of its class', async () => {
  const refused = (promise, kind, expected) =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof kind, String(error))
      for (const [name, value] of Object.entries(expected))
        assert.equal(error[name], value, `${name}: ${error.message}`)
      assert.match(error.requestID, /^req_/)
      return true
    })
  const wrong = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'hi_wrong', maxRetries: 0 })
  const unknown = { status: 404, code: 'model_not_found' }
  await refused(completions.create({ ...echo, model: 'nothing' }), OpenAI.NotFoundError, unknown)
  await refused(completions.create({ ...echo, model: 'nothing', stream: true }), OpenAI.NotFoundError, unknown)
  await refused(client.responses.create({ model: 'nothing', input: 'x' }), OpenAI.NotFoundError, unknown)
  await refused(wrong.chat.completions.create(echo), OpenAI.AuthenticationError, { code: 'invalid_api_key' })
  await refused(completions.create({ ...echo, temperature: 3 }), OpenAI.BadRequestError, { param: 'temperature' })
  await refused(completions.create({ ...echo, messages: [] }), OpenAI.BadRequestError, { param: 'messages' })
  await refused(completions.create({ ...echo, model: PLAIN, response_format }), OpenAI.BadRequestError, {
    code: 'unsupported_parameter',
    param: 'response_format'
  })
  await refused(
    completions.create({ model: 'narrow', messages: [{ role: 'user', content: 'x '.repeat(50) }] }),
    OpenAI.BadRequestError,
    {
      code: 'context_length_exceeded'
    }
  )
  await refused(completions.create({ ...echo, model: 'dead' }), OpenAI.InternalServerError, {})
  const often = new OpenAI({ baseURL: `${url}/v1`, apiKey: LIMITED, maxRetries: 0 })
  await often.chat.completions.create(echo)
  await refused(often.chat.completions.create(echo), OpenAI.RateLimitError, { code: 'rate_limit_exceeded' })
})

test('a stream that breaks off is an error', async () => {
  const said = []
  const stream = await completions.create({ ...echo, model: 'brittle', stream: true })
  await assert.rejects(
    async () => {
      for await (const chunk of stream) said.push(chunk.choices[0]?.delta.content ?? '')
    },
    (error) => error instanceof OpenAI.APIError && error.code === 'backend_failed'
  )
  assert.equal(said.join(''), 'one two three')
})

// seen: openai (Node): leaving frees the slot
test('leaving stops the model: a loop, an abort, a timeout', async () => {
  for await (const _ of await completions.create({ ...echo, model: 'endless', stream: true })) {
    await untilBusy('endless', 1)
    break
  }
  await untilBusy('endless', 0)
  const leaving = new AbortController()
  const whole = completions.create({ ...echo, model: 'endless' }, { signal: leaving.signal })
  const gone = assert.rejects(whole, OpenAI.APIUserAbortError)
  await untilBusy('endless', 1)
  leaving.abort()
  await gone
  await untilBusy('endless', 0)
  await assert.rejects(
    completions.create({ ...echo, model: 'thinking' }, { timeout: 300 }),
    OpenAI.APIConnectionTimeoutError
  )
  await untilBusy('thinking', 0)
})

// seen: openai (Node): it comes again by itself
test('who is refused for a moment comes again', async () => {
  const stream = await completions.create({ ...echo, model: 'single', stream: true })
  await untilBusy('single', 1)
  await assert.rejects(completions.create({ ...echo, model: 'single' }), { status: 503, code: 'overloaded' })
  const patient = client
    .withOptions({ maxRetries: 3 })
    .chat.completions.create({ ...echo, model: 'single', stream: true })
  await new Promise((resolve) => setTimeout(resolve, 100))
  stream.controller.abort()
  ;(await patient).controller.abort()
  await untilBusy('single', 0)
})
