// What is sent to models, from what callers say; and a gateway's address, from what people type.
import { wrong } from './errors.js'
import { givenFields, snakeFields } from './naming.js'

// The body of a chat completion: `prompt` is short for one message, `system` for the first.
export function chatBody(request, { streamed }) {
  const { prompt, system, messages, cache, ...fields } = objectOf(request)
  if ((prompt === undefined) === (messages === undefined)) throw wrong('messages', 'Give either messages or a prompt.')
  if (messages !== undefined && !Array.isArray(messages)) throw wrong('messages', 'messages is an array of messages.')
  const asked = messages ?? [{ role: 'user', content: textOf('prompt', prompt) }]
  const first = system ? [{ role: 'system', content: system }] : []
  const stream = streamed ? { stream: true, stream_options: { include_usage: true } } : { stream: false }
  return { ...snakeFields(fields), messages: [...first, ...asked], ...stream }
}

export function inferenceInput(request) {
  const { prompt, model, maxTokens } = objectOf(request)
  return givenFields({ prompt: textOf('prompt', prompt), model, maxTokens })
}

export function embedBody(request) {
  const { texts, cache, ...fields } = objectOf(request)
  const input = typeof texts === 'string' ? [texts] : texts
  if (!Array.isArray(input) || input.length === 0) throw wrong('texts', 'texts is a text, or an array of them.')
  return { ...snakeFields(fields), input, encoding_format: 'base64' }
}

// `https://host:port` without a path of ours: the form that OpenAI clients take, with `/v1` at its end, means the same.
export function httpAddress(text) {
  let url
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`)
  } catch {
    url = null
  }
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username || url.search || url.hash) {
    throw wrong('baseUrl', "A gateway's address looks like http://127.0.0.1:3000, or like hyper://… over the swarm.")
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '')
  return `${url.origin}${path}`
}

function objectOf(request) {
  if (request !== null && typeof request === 'object') return request
  throw wrong(null, 'A request is an object, as in { prompt: "Hello." }.')
}

function textOf(name, value) {
  if (typeof value === 'string' && value !== '') return value
  throw wrong(name, `${name} is a text that is not empty.`)
}
