// Our client against the whole platform: the same over each way to it.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { AIInferenceClient, AIInferenceError } from 'hyperinfer-client'

const { ADDRESS, HTTP, KEY, LIMITED, BOOTSTRAP, AWAY } = process.env
const isSwarm = ADDRESS.startsWith('hyper:')
const net = { bootstrap: [BOOTSTRAP], dht: { host: '127.0.0.1', firewalled: false } }
const clients = []

function clientWith(options = {}) {
  const client = new AIInferenceClient({
    apiKey: KEY,
    baseUrl: ADDRESS,
    maxRetries: 0,
    timeoutMs: 20_000,
    ...net,
    ...options
  })
  clients.push(client)
  return client
}

const client = clientWith()
const operator = new AIInferenceClient({ apiKey: KEY, baseUrl: HTTP })

// Until so many slots of a model are taken.
async function untilBusy(model, slots) {
  for (let left = 200; left > 0; left--) {
    const found = (await operator.models()).find(({ id }) => id === model)
    if (found.busy === slots) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`${model} never had ${slots} slots taken`)
}

async function refused(promise, expected) {
  const error = await promise.then(
    () => assert.fail('it was not refused'),
    (caught) => caught
  )
  assert.ok(error instanceof AIInferenceError, String(error?.stack ?? error))
  assert.match(error.requestId, /^req_[0-9a-f]{24}$/)
  for (const [name, value] of Object.entries(expected))
    assert.deepEqual(error[name], value, `${name}: ${error.message}`)
  return error
}

after(() => Promise.all(clients.map((one) => one.close())))

test('one prompt', async () => {
  const answer = await client.inference({ prompt: 'one two three', model: 'echo', maxTokens: 2 })
  assert.equal(answer.response, 'one two')
  assert.equal(answer.model, 'echo')
  assert.deepEqual(answer.usage, { promptTokens: 3, completionTokens: 2, totalTokens: 5 })
  assert.match(answer.requestId, /^req_/)
})

test('a chat', async () => {
  const messages = [{ role: 'user', content: 'one two three' }]
  const answer = await client.chat({ messages, model: 'echo', maxTokens: 2, temperature: 0 })
  assert.equal(answer.text, 'one two')
  assert.equal(answer.finishReason, 'length')
  assert.deepEqual(answer.message, { role: 'assistant', content: 'one two' })
  assert.equal(answer.usage.completionTokens, 2)
  assert.equal(answer.raw.object, 'chat.completion')
  assert.match(answer.id, /^chatcmpl-/)
  assert.match(answer.worker, /^[0-9a-f]{12}$/)
  assert.equal((await client.chat({ prompt: 'öäü 你好 🎉', system: 'Be brief.', model: 'echo' })).text, 'öäü 你好 🎉')
})

test('a tool, JSON by a schema, several answers', async () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tools = [{ type: 'function', function: { name: 'weather', parameters } }]
  const asked = { prompt: 'Rain?', model: 'echo', tools, toolChoice: 'required' }
  const called = await client.chat(asked)
  assert.equal(called.finishReason, 'tool_calls')
  assert.equal(called.toolCalls[0].name, 'weather')
  assert.equal(typeof JSON.parse(called.toolCalls[0].arguments).city, 'string')
  assert.equal(called.message.tool_calls[0].function.name, 'weather')
  const streamed = await client.stream(asked).finalAnswer()
  assert.deepEqual(streamed.toolCalls[0].arguments, called.toolCalls[0].arguments)
  const schema = { type: 'json_schema', json_schema: { name: 'place', schema: parameters } }
  const formed = await client.chat({ prompt: 'Where?', model: 'echo', responseFormat: schema })
  assert.equal(typeof JSON.parse(formed.text).city, 'string')
  assert.equal((await client.chat({ prompt: 'x', model: 'echo', n: 3 })).raw.choices.length, 3)
})

test('an answer as it comes', async () => {
  const stream = client.stream({ prompt: 'one two three four', model: 'echo' })
  assert.equal(stream.finishReason, null)
  const pieces = []
  for await (const piece of stream) pieces.push(piece)
  assert.ok(pieces.length > 1, String(pieces))
  assert.equal(pieces.join(''), 'one two three four')
  assert.equal(stream.text, 'one two three four')
  assert.equal(stream.finishReason, 'stop')
  assert.deepEqual(stream.usage, { promptTokens: 4, completionTokens: 4, totalTokens: 8 })
  assert.equal(stream.model, 'echo')
  assert.match(stream.answer.worker, /^[0-9a-f]{12}$/)
})

test('an answer of many more pieces than a window, read slowly at first', async () => {
  const stream = client.stream({ prompt: 'x', model: 'long' })
  let pieces = 0
  for await (const _ of stream) if (++pieces < 20) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(stream.usage.completionTokens, 2000)
  assert.equal(stream.text.trim().split(/\s+/).length, 2000)
})

test('many at once', async () => {
  const texts = Array.from({ length: 50 }, (_, at) => `this is number ${at}`)
  const answers = await Promise.all(texts.map((prompt) => client.stream({ prompt, model: 'echo' }).finalAnswer()))
  assert.deepEqual(
    answers.map(({ text }) => text),
    texts
  )
})

test('embeddings', async () => {
  const { vectors, usage, model } = await client.embed({ texts: ['a cat', 'a dog', 'a cat'], model: 'echo' })
  assert.equal(vectors.length, 3)
  assert.equal(vectors[0].length, 64)
  assert.deepEqual(vectors[0], vectors[2])
  assert.notDeepEqual(vectors[0], vectors[1])
  assert.ok(usage.promptTokens > 0)
  assert.equal(model, 'echo')
  assert.equal((await client.embed({ texts: 'a cat', model: 'echo', dimensions: 8 })).vectors[0].length, 8)
})

test('models, usage, quota', async () => {
  const models = await client.models()
  const echo = models.find(({ id }) => id === 'echo')
  assert.equal(echo.contextTokens, 8192)
  assert.ok(echo.capabilities.includes('chat'))
  const usage = await client.usage({ group: 'model' })
  assert.equal(usage.group, 'model')
  assert.equal(typeof usage.total.totalTokens, 'number')
  const limited = clientWith({ apiKey: LIMITED })
  const quota = await limited.quota()
  assert.deepEqual(
    quota.limits.map(({ limit }) => limit).filter((limit) => limit === 1),
    [1]
  )
  assert.ok('resetsAt' in quota.limits[0])
})

test('errors say what is wrong', async () => {
  await refused(client.chat({ prompt: 'x', model: 'nothing' }), {
    status: 404,
    code: 'model_not_found',
    type: 'invalid_request_error'
  })
  await refused(client.stream({ prompt: 'x', model: 'nothing' }).finalAnswer(), {
    status: 404,
    code: 'model_not_found'
  })
  await refused(client.chat({ prompt: 'x', model: 'echo', temperature: 3 }), {
    status: 400,
    code: null,
    param: 'temperature'
  })
  await refused(client.inference({ prompt: 'x', model: 'nothing' }), { status: 404, code: 'model_not_found' })
  await refused(client.usage({ group: 'weather' }), { status: 400, param: 'group' })
  const stranger = clientWith({ apiKey: 'hi_wrong' })
  const wrong = { status: 401, code: 'invalid_api_key', type: 'authentication_error' }
  await refused(stranger.chat({ prompt: 'x', model: 'echo' }), wrong)
  await refused(stranger.models(), wrong)
  await refused(clientWith({ apiKey: '' }).chat({ prompt: 'x', model: 'echo' }), {
    status: 401,
    code: 'invalid_api_key'
  })
})

test('a limit says when to come again', async () => {
  const limited = clientWith({ apiKey: LIMITED, maxRetries: 2 })
  const limit = { status: 429, code: 'rate_limit_exceeded', type: 'rate_limit_error' }
  await limited.inference({ prompt: 'x', model: 'echo' }).catch(() => {}) // another way may have used it up
  for (const asked of [
    limited.chat({ prompt: 'x', model: 'echo' }),
    limited.inference({ prompt: 'x', model: 'echo' })
  ]) {
    const error = await refused(asked, limit)
    assert.ok(error.retryAfter > 0 && error.retryAfter <= 60, String(error.retryAfter))
  }
})

test('an answer that breaks off is an error, with what was said until then', async () => {
  const stream = client.stream({ prompt: 'one two three four five', model: 'brittle' })
  await refused(stream.finalAnswer(), { code: 'backend_failed', type: 'server_error' })
  assert.equal(stream.text, 'one two three')
  assert.equal(stream.finishReason, null)
})

test('leaving a loop stops the model', async () => {
  for await (const _ of client.stream({ prompt: 'x', model: 'slow' })) {
    await untilBusy('slow', 1)
    break
  }
  await untilBusy('slow', 0)
})

test('aborting stops the model, whole and streamed', async () => {
  const leaving = new AbortController()
  const whole = client.chat({ prompt: 'x', model: 'slow' }, { signal: leaving.signal })
  await untilBusy('slow', 1)
  const reason = new Error('the user has gone')
  leaving.abort(reason)
  await assert.rejects(whole, (error) => error === reason)
  await untilBusy('slow', 0)

  const stream = client.stream({ prompt: 'x', model: 'slow' })
  const reading = stream.finalAnswer()
  await untilBusy('slow', 1)
  stream.abort()
  await assert.rejects(reading, { name: 'AbortError' })
  await untilBusy('slow', 0)
  assert.ok(stream.text)

  const before = AbortSignal.abort(reason)
  await assert.rejects(client.chat({ prompt: 'x', model: 'echo' }, { signal: before }), (error) => error === reason)
  await assert.rejects(
    client.stream({ prompt: 'x', model: 'echo' }, { signal: before }).finalAnswer(),
    (error) => error === reason
  )
})

test('a time that passes stops the model', async () => {
  await refused(client.chat({ prompt: 'x', model: 'slow' }, { timeoutMs: 300 }), { code: 'timeout', status: null })
  await untilBusy('slow', 0)
})

test('who is refused because all is busy comes again by himself', async () => {
  const stream = client.stream({ prompt: 'x', model: 'single' })
  const pieces = stream[Symbol.asyncIterator]()
  await pieces.next()
  const busy = await refused(client.chat({ prompt: 'x', model: 'single' }), { status: 503, code: 'overloaded' })
  assert.ok(busy.retryAfter > 0)
  const patient = clientWith({ maxRetries: 2 }).stream({ prompt: 'x', model: 'single' })
  const first = patient[Symbol.asyncIterator]().next()
  await new Promise((resolve) => setTimeout(resolve, 200))
  await pieces.return()
  assert.equal((await first).done, false)
  patient.abort()
  await untilBusy('single', 0)
})

test('a request that is large', async () => {
  const prompt = 'word '.repeat(1000).trim() + 'x'.repeat(1_000_000)
  assert.equal((await client.chat({ prompt, model: 'echo', maxTokens: 1 })).text, 'word')
  await refused(client.chat({ prompt: 'x'.repeat(9_000_000), model: 'echo' }), { status: 413, code: 'too_large' })
})

test('a closed client', async () => {
  const closing = clientWith()
  const asked = closing.chat({ prompt: 'x', model: 'slow' })
  await untilBusy('slow', 1)
  await Promise.all([closing.close(), refused(asked, { code: 'closed' })])
  await refused(closing.chat({ prompt: 'x', model: 'echo' }), { code: 'closed' })
  await closing.close()
  await untilBusy('slow', 0)
})

test('a gateway that is not there', async () => {
  const baseUrl = isSwarm ? `hyper://${'ab'.repeat(32)}` : AWAY
  const away = clientWith({ baseUrl, connectTimeoutMs: 1000 })
  const error = await refused(away.chat({ prompt: 'x' }), {
    code: 'connection_failed',
    status: null,
    shouldRetry: null
  })
  assert.match(error.message, isSwarm ? /out of reach/ : /ECONNREFUSED/)
})
