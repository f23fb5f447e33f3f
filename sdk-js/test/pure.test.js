// What needs nobody else: retries, deadlines, events, streams' books, links, errors of the wire.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadline, sleep, unless } from '../src/deadline.js'
import { AIInferenceError, fromReply, fromWire, ours } from '../src/errors.js'
import { events } from '../src/events.js'
import { parseLink } from '../src/links.js'
import { chatBody, embedBody, httpAddress } from '../src/requests.js'
import { pauseMs } from '../src/retries.js'
import { Receiving, WINDOW } from '../src/swarm/receiving.js'
import { AIInferenceClient } from '../src/index.js'

const half = { random: () => 0.5, tried: 0 }
const refusal = (status, more = {}) => new AIInferenceError('No.', { status, ...more })

test('what is tried again, and after which pause', () => {
  assert.equal(pauseMs(refusal(503), { ...half, looks: false }), 250)
  assert.equal(pauseMs(refusal(429), { ...half, looks: false, tried: 2 }), 1000)
  assert.equal(pauseMs(refusal(503), { ...half, looks: false, tried: 20 }), 2500)
  assert.equal(pauseMs(refusal(429, { retryAfter: 1.5 }), { ...half, looks: false }), 1750)
  assert.equal(pauseMs(refusal(429, { retryAfter: 1 }), { ...half, looks: false, tried: 20 }), 1500)
  assert.equal(pauseMs(refusal(429, { retryAfter: 5.1 }), { ...half, looks: false }), null)
  assert.equal(pauseMs(refusal(429, { shouldRetry: false }), { ...half, looks: false }), null)
  for (const status of [400, 401, 404, 500, 502, 504])
    assert.equal(pauseMs(refusal(status), { ...half, looks: true }), null)
  for (const code of ['connection_failed', 'connection_lost']) {
    assert.equal(pauseMs(ours(code, 'Away.'), { ...half, looks: true }), 250)
    assert.equal(pauseMs(ours(code, 'Away.'), { ...half, looks: false }), null)
  }
  const lost = refusal(503, { code: 'connection_lost', shouldRetry: true })
  assert.equal(pauseMs(lost, { ...half, looks: true }), 250)
  assert.equal(pauseMs(lost, { ...half, looks: false }), null)
  assert.equal(pauseMs(ours('timeout', 'Late.'), { ...half, looks: true }), null)
  assert.equal(pauseMs(new TypeError('bug'), { ...half, looks: true }), null)
})

test('a refused request is sent again, and one that broke off is not', async () => {
  const replies = [
    new Response('{"error":{"message":"Full."}}', { status: 503, headers: { 'retry-after-ms': '1' } }),
    new Response('{"error":{"message":"Full."}}', { status: 429, headers: { 'retry-after': '0' } }),
    Response.json({ response: 'yes', model: 'm', usage: null, requestId: 'r' })
  ]
  const asked = []
  const fetch = async (url, init) => {
    asked.push([url, init])
    return replies[asked.length - 1]
  }
  const client = new AIInferenceClient({ apiKey: 'hi_key', baseUrl: 'https://ai.example.com/v1/', fetch })
  const answer = await client.inference({ prompt: 'x' })
  assert.equal(answer.response, 'yes')
  assert.deepEqual(
    asked.map(([url]) => url),
    Array(3).fill('https://ai.example.com/api/inference')
  )
  const [, { headers, body, credentials, redirect }] = asked[0]
  assert.equal(headers.authorization, 'Bearer hi_key')
  assert.deepEqual(JSON.parse(body), { prompt: 'x' })
  assert.deepEqual([credentials, redirect], ['omit', 'error'])

  let tries = 0
  const broken = new AIInferenceClient({ fetch: () => Promise.reject(new TypeError(`broken ${++tries}`)) })
  await assert.rejects(broken.chat({ prompt: 'x' }), { code: 'connection_failed' })
  assert.equal(tries, 1)
  await assert.rejects(broken.models(), { code: 'connection_failed' })
  assert.equal(tries, 4)
})

test('a stream without its end mark has failed', async () => {
  const said = (text) => async () => new Response(text)
  const chunk = (content, finish = null) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`
  const ask = (text) => new AIInferenceClient({ fetch: said(text) }).stream({ prompt: 'x' })
  assert.equal((await ask(`${chunk('a')}${chunk('b', 'stop')}data: [DONE]\n\n`).finalAnswer()).text, 'ab')
  const cut = ask(chunk('a', 'stop'))
  await assert.rejects(cut.finalAnswer(), { code: 'connection_lost' })
  assert.equal(cut.text, 'a')
  await assert.rejects(ask(`${chunk('a')}data: [DONE]\n\n`).finalAnswer(), { code: 'connection_lost' })
  await assert.rejects(ask('data: {oops\n\n').finalAnswer(), { code: 'bad_answer' })
})

test('events, however they are cut', async () => {
  const bytes = new TextEncoder().encode(
    ': hello\r\ndata: {"a":"ö€🎉"}\r\n\r\nevent: x\ndata:one\ndata: two\n\ndata: rest'
  )
  const expected = ['{"a":"ö€🎉"}', 'one\ntwo']
  for (let at = 0; at <= bytes.length; at++) {
    const got = []
    for await (const batch of events([bytes.slice(0, at), bytes.slice(at)])) got.push(...batch)
    assert.deepEqual(got, expected, `cut at ${at}`)
  }
})

test('credit is granted as chunks are read, and nothing may be lost or too much', async () => {
  const receiving = new Receiving()
  receiving.receive(0, Array(WINDOW / 2 - 1).fill('x'))
  assert.equal(receiving.consumed((await receiving.next()).length), 0)
  receiving.receive(WINDOW / 2 - 1, ['y'])
  assert.deepEqual(await receiving.next(), ['y'])
  assert.equal(receiving.consumed(1), WINDOW / 2)
  const waiting = receiving.next()
  receiving.end()
  assert.equal(await waiting, null)

  const lost = new Receiving()
  lost.receive(1, ['x'])
  await assert.rejects(lost.next(), { code: 'bad_answer' })
  const flooded = new Receiving()
  flooded.receive(0, Array(WINDOW + 1).fill('x'))
  await flooded.next()
  await assert.rejects(flooded.next(), { code: 'bad_answer' })
})

test('errors of the wire', () => {
  const limited = fromWire('RATE_LIMITED: Too {often} {"retryable":true,"retry_after_s":1.5}', 'req_1')
  assert.equal(limited.message, 'Too {often}')
  assert.deepEqual(
    [limited.status, limited.code, limited.retryAfter, limited.shouldRetry],
    [429, 'rate_limit_exceeded', 1.5, true]
  )
  assert.equal(fromWire('RATE_LIMITED: Later. {"retryable":true,"retry_after_s":90}').shouldRetry, false)
  assert.equal(fromWire('BAD_REQUEST: No. {"retryable":false,"param":"seed"}').param, 'seed')
  assert.equal(fromWire('BAD_REQUEST: No {braces').message, 'No {braces')
  assert.equal(fromWire('BAD_REQUEST: {}').message, '{}')
  for (const strange of ['ERR_NOT_TODAY', '', 'NEW_CODE: x', 'constructor: x'])
    assert.equal(fromWire(strange).code, 'remote_error')
  const bare = fromReply(500, new Headers(), '<html>')
  assert.deepEqual([bare.status, bare.code, bare.shouldRetry], [500, null, null])
  assert.equal(fromReply(400, new Headers(), 'null').status, 400)
})

test('links and addresses', () => {
  const a = 'a'.repeat(64)
  const b = 'b'.repeat(64)
  assert.deepEqual(parseLink(` HYPER://${a.toUpperCase()} `), { gatewayKey: a })
  assert.deepEqual(parseLink(`hyper://swarm/${a}/${b}`), { swarmKey: a, rootKey: b })
  for (const wrong of [
    'hyper://',
    `hyper://${a}0`,
    `hyper://swarm/${a}`,
    `hyper://swarm/${a}/${b}/`,
    `hyper://${a}/v1`
  ]) {
    assert.throws(() => parseLink(wrong), { param: 'baseUrl' })
    assert.throws(() => new AIInferenceClient({ baseUrl: wrong }), { param: 'baseUrl' })
  }
  assert.equal(httpAddress('localhost:3000'), 'http://localhost:3000')
  assert.equal(httpAddress('https://AI.example.com/v1/'), 'https://ai.example.com')
  assert.equal(httpAddress('https://example.com/ai/v1'), 'https://example.com/ai')
  for (const wrong of ['ftp://x', 'http://', 'http://user:pass@x', 'http://x?key=1', 'http://x#y', '']) {
    assert.throws(() => httpAddress(wrong), { param: 'baseUrl' }, wrong)
  }
})

test('what a caller gets wrong is said before anything is sent', async () => {
  const client = new AIInferenceClient({ fetch: () => assert.fail('it was sent') })
  await assert.rejects(client.inference({ prompt: '' }), { param: 'prompt' })
  await assert.rejects(client.inference('hi'), { code: 'bad_request' })
  await assert.rejects(client.chat({}), { param: 'messages' })
  await assert.rejects(client.chat({ prompt: 'x', messages: [] }), { param: 'messages' })
  await assert.rejects(client.embed({ texts: [] }), { param: 'texts' })
  await assert.rejects(client.chat({ prompt: 'x' }, { timeoutMs: 0 }), { param: 'timeoutMs' })
  assert.throws(() => client.stream({ prompt: 5 }), { param: 'prompt' })
  assert.throws(() => new AIInferenceClient({ maxRetries: -1 }), { param: 'maxRetries' })
  assert.throws(() => new AIInferenceClient({ timeoutMs: 2 ** 31 }), { param: 'timeoutMs' })
})

test('names are those of OpenAI on the wire, and what is inside is left alone', () => {
  const tools = [{ type: 'function', function: { name: 'camelCase', parameters: { maxTokens: 1 } } }]
  const body = chatBody(
    { prompt: 'x', system: 's', maxTokens: 5, topP: null, seed: 0, tools, logit_bias: {}, cache: true },
    { streamed: true }
  )
  assert.deepEqual(body, {
    max_tokens: 5,
    seed: 0,
    tools,
    logit_bias: {},
    messages: [
      { role: 'system', content: 's' },
      { role: 'user', content: 'x' }
    ],
    stream: true,
    stream_options: { include_usage: true }
  })
  assert.deepEqual(embedBody({ texts: 'x', dimensions: 8 }), { dimensions: 8, input: ['x'], encoding_format: 'base64' })
})

test('a deadline counts only while somebody waits, and leaves nothing behind', async () => {
  const outer = new AbortController()
  const deadline = new Deadline(20, [outer.signal, undefined])
  await sleep(40, new AbortController().signal)
  assert.equal(deadline.signal.aborted, false)
  deadline.renew()
  await assert.rejects(unless(deadline.signal, new Promise(() => {})), { code: 'timeout' })
  deadline.end()
  const left = new Deadline(1000, [outer.signal])
  outer.abort('gone')
  assert.equal(left.signal.reason, 'gone')
  left.end()
})
