// The official clients for Node and the real engine: shape, bounds, determinism; what it says is not judged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { AIInferenceClient } from 'hyperinfer-client'
import { Ollama } from 'ollama'
import OpenAI from 'openai'

const { URL: url, KEY: apiKey } = process.env
const model = 'smollm2-135m'
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 40_000 })
const asked = { model, messages: [{ role: 'user', content: 'Count from one to ten.' }], temperature: 0, seed: 1 }
const schema = {
  type: 'object',
  properties: { mood: { enum: ['good', 'bad'] }, level: { enum: [1, 2, 3] } },
  required: ['mood', 'level'],
  additionalProperties: false
}

// seen: openai (Node): a chat, whole; a chat, streamed; usage; responses
test('whole, streamed, by Responses and by our client it says the same', async () => {
  const whole = await client.chat.completions.create({ ...asked, max_completion_tokens: 12 })
  const text = whole.choices[0].message.content
  assert.ok(text)
  assert.equal(whole.usage.completion_tokens, 12)
  assert.equal(whole.choices[0].finish_reason, 'length')
  const streamed = await client.chat.completions.stream({ ...asked, max_completion_tokens: 12 }).finalChatCompletion()
  assert.equal(streamed.choices[0].message.content, text)
  const ours = new AIInferenceClient({ baseUrl: url, apiKey })
  const answer = await ours.stream({ ...asked, maxTokens: 12 }).finalAnswer()
  assert.equal(answer.text, text)
  assert.equal(answer.usage.completionTokens, 12)
  const response = await client.responses.create({ model, input: 'Count.', temperature: 0, max_output_tokens: 12 })
  assert.equal(response.status, 'incomplete')
  assert.equal(response.usage.output_tokens, 12)
})

// seen: openai (Node): an answer of a class; tools
test('JSON by a schema, and a tool', async () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'mood', strict: true, schema } }
  const parsed = await client.chat.completions.parse({ ...asked, response_format, max_tokens: 100 })
  assert.ok(['good', 'bad'].includes(parsed.choices[0].message.parsed.mood))
  const tools = [{ type: 'function', function: { name: 'tell_mood', parameters: schema } }]
  const called = await client.chat.completions.create({ ...asked, tools, tool_choice: 'required', max_tokens: 200 })
  const [call] = called.choices[0].message.tool_calls
  assert.equal(call.function.name, 'tell_mood')
  assert.ok([1, 2, 3].includes(JSON.parse(call.function.arguments).level))
})

// seen: anthropic (Node): a chat, whole; a chat, streamed; usage
test('Anthropic’s: whole and streamed it says the same', async () => {
  const theirs = new Anthropic({ baseURL: url, apiKey, authToken: null, maxRetries: 0, timeout: 40_000 })
  const question = { model, messages: asked.messages, max_tokens: 12, temperature: 0 }
  const whole = await theirs.messages.create(question)
  assert.ok(whole.content[0].text)
  assert.equal(whole.stop_reason, 'max_tokens')
  assert.equal(whole.usage.output_tokens, 12)
  const streamed = await theirs.messages.stream(question).finalMessage()
  assert.equal(streamed.content[0].text, whole.content[0].text)
})

// seen: ollama (Node): a chat, whole; a chat, streamed; usage
test('Ollama’s: whole and streamed it says the same', async () => {
  const theirs = new Ollama({ host: url, headers: { authorization: `Bearer ${apiKey}` } })
  const question = { model, messages: asked.messages, options: { num_predict: 12, temperature: 0, seed: 1 } }
  const whole = await theirs.chat(question)
  assert.ok(whole.message.content)
  assert.equal(whole.done_reason, 'length')
  assert.equal(whole.eval_count, 12)
  let text = ''
  for await (const part of await theirs.chat({ ...question, stream: true })) text += part.message.content
  assert.equal(text, whole.message.content)
})
