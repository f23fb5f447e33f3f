// The client: what can be asked of a gateway, whichever way it is reached.
import { AnswerStream, answerOf, embeddingsOf } from './answers.js'
import { Deadline, milliseconds, sleep, unless } from './deadline.js'
import { AIInferenceError, ours, wrong } from './errors.js'
import { HttpTransport } from './http.js'
import { isLink, parseLink } from './links.js'
import { CHAT, EMBED, INFERENCE, MODELS, QUOTA, USAGE } from './operations.js'
import { chatBody, embedBody, httpAddress, inferenceInput } from './requests.js'
import { pauseMs } from './retries.js'

const DEFAULT_URL = 'http://127.0.0.1:3000'
const TIMEOUT_MS = 600_000
const CONNECT_TIMEOUT_MS = 30_000
const LOOK_TIMEOUT_MS = 30_000
const LONGEST_STREAM_MS = 3_600_000

export class AIInferenceClient {
  #connect
  #transport = null
  #timeoutMs
  #maxRetries
  #closing = new AbortController()

  constructor(options = {}) {
    const { apiKey = '', baseUrl = DEFAULT_URL, timeoutMs = TIMEOUT_MS, maxRetries = 2, ...ways } = options
    if (typeof apiKey !== 'string') throw wrong('apiKey', 'apiKey is a text.')
    if (!Number.isInteger(maxRetries) || maxRetries < 0) throw wrong('maxRetries', 'maxRetries is a whole number.')
    this.#timeoutMs = milliseconds('timeoutMs', timeoutMs)
    this.#maxRetries = maxRetries
    this.#connect = way(baseUrl, apiKey, ways)
  }

  // One prompt and its answer, by the platform's own call.
  async inference(request, options) {
    return (await this.#exchange(INFERENCE, inferenceInput(request), options)).content
  }

  // A whole answer to a prompt or a conversation.
  async chat(request, options) {
    return answerOf(
      await this.#exchange(CHAT, chatBody(request, { streamed: false }), { ...options, cache: request.cache })
    )
  }

  // An answer as it comes.
  stream(request, options = {}) {
    const body = chatBody(request, { streamed: true })
    const timeoutMs = this.#timeFor(CHAT, options)
    const asked = { requestId: newId(), cache: request.cache, deadlineMs: LONGEST_STREAM_MS }
    const own = new AbortController()
    const open = () =>
      this.#batches(body, asked, new Deadline(timeoutMs, [own.signal, options.signal, this.#closing.signal]))
    return new AnswerStream(open, { requestId: asked.requestId, abort: (reason) => own.abort(reason) })
  }

  // A vector for each text.
  async embed(request, options) {
    return embeddingsOf(await this.#exchange(EMBED, embedBody(request), { ...options, cache: request.cache }))
  }

  // The models that answer now.
  async models(options) {
    return (await this.#exchange(MODELS, {}, options)).content.models
  }

  // What was used, by day, key, model or status.
  async usage(query = {}, options) {
    return (await this.#exchange(USAGE, query, options)).content
  }

  // How the caller stands to every limit.
  async quota(options) {
    return (await this.#exchange(QUOTA, {}, options)).content
  }

  // Hangs up. Over the swarm a program does not end before this.
  async close() {
    this.#closing.abort(ours('closed', 'This client is closed; make another.'))
    const transport = await this.#transport?.catch(() => null)
    await transport?.close()
  }

  async #exchange(operation, input, { cache, ...options } = {}) {
    const deadlineMs = this.#timeFor(operation, options)
    const deadline = new Deadline(deadlineMs, [options.signal, this.#closing.signal])
    const asked = { requestId: newId(), cache, deadlineMs }
    try {
      return await this.#repeated(operation, asked, deadline, (transport) =>
        transport.exchange(operation, input, asked, deadline.signal)
      )
    } finally {
      deadline.end()
    }
  }

  async *#batches(body, asked, deadline) {
    let batches
    try {
      const reply = await this.#repeated(CHAT, asked, deadline, (transport) =>
        transport.stream(CHAT, body, asked, deadline.signal)
      )
      batches = reply.batches
      for (;;) {
        deadline.renew()
        const { value: chunks, done } = await named(asked, unless(deadline.signal, batches.next()))
        deadline.pause() // whoever reads may take as long as they like
        if (done) return
        yield { reply, chunks }
      }
    } finally {
      deadline.end()
      batches?.return().catch(() => {})
    }
  }

  // The connection comes first, and has a time of its own.
  async #repeated(operation, asked, deadline, once) {
    const transport = await named(asked, unless(deadline.signal, this.#reached(deadline.signal)))
    deadline.renew()
    for (let tried = 0; ; tried++) {
      try {
        return await named(asked, unless(deadline.signal, once(transport)))
      } catch (error) {
        const pause = tried < this.#maxRetries ? pauseMs(error, { looks: operation.looks === true, tried }) : null
        if (pause === null || deadline.signal.aborted) throw error
        await named(asked, sleep(pause, deadline.signal))
      }
    }
  }

  async #reached(signal) {
    signal.throwIfAborted()
    this.#transport ??= this.#connect()
    const transport = await this.#transport
    await transport.reach(signal)
    return transport
  }

  #timeFor(operation, { timeoutMs } = {}) {
    if (timeoutMs !== undefined) return milliseconds('timeoutMs', timeoutMs)
    return operation.looks ? Math.min(this.#timeoutMs, LOOK_TIMEOUT_MS) : this.#timeoutMs
  }
}

// How to connect: said now, done with the first request, so that a wrong address is told at once.
function way(baseUrl, apiKey, { connectTimeoutMs = CONNECT_TIMEOUT_MS, bootstrap, dht, fetch }) {
  if (typeof baseUrl !== 'string') throw wrong('baseUrl', 'baseUrl is a text.')
  if (!isLink(baseUrl)) {
    const address = httpAddress(baseUrl.trim())
    return async () => new HttpTransport(address, apiKey, fetch)
  }
  if (globalThis.process?.versions?.node === undefined) {
    throw wrong('baseUrl', 'A browser cannot reach the swarm: give the HTTP address of a gateway, or of a bridge.')
  }
  const link = parseLink(baseUrl)
  const options = { bootstrap, dht, connectTimeoutMs: milliseconds('connectTimeoutMs', connectTimeoutMs) }
  return async () => new (await import('#swarm')).SwarmTransport(link, apiKey, options)
}

// What went wrong on the way does not know by itself which request it was about.
async function named({ requestId }, promise) {
  try {
    return await promise
  } catch (error) {
    if (error instanceof AIInferenceError) error.requestId ??= requestId
    throw error
  }
}

// A label by which the operator finds the request; it identifies nothing and nobody.
function newId() {
  const digits = Array.from({ length: 24 }, () => Math.floor(Math.random() * 16).toString(16))
  return `req_${digits.join('')}`
}
