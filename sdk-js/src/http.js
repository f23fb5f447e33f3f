// A gateway reached over HTTP, by `fetch` alone: the same in Node and in browsers.
import { AIInferenceError, fromReply, ours } from './errors.js'
import { events } from './events.js'

const MAX_REPLY_BYTES = 64 * 1024 * 1024
const END_MARK = '[DONE]'

export class HttpTransport {
  #address
  #apiKey
  #fetch

  constructor(address, apiKey, fetch = globalThis.fetch) {
    this.#address = address
    this.#apiKey = apiKey
    this.#fetch = (url, init) => fetch(url, init) // as a method, browsers refuse it
  }

  // Whoever sends sees whether somebody is there.
  async reach() {}

  async close() {}

  async exchange({ http }, input, asked, signal) {
    const reply = await this.#ask(http, http.encode(input), asked, signal)
    const text = await this.#whole(reply)
    try {
      return { content: http.decode(JSON.parse(text)), ...told(reply, asked) }
    } catch (error) {
      throw ours('bad_answer', `${this.#address}${http.path} answered with what is no JSON.`, error)
    }
  }

  async stream({ http }, input, asked, signal) {
    const reply = await this.#ask(http, http.encode(input), asked, signal)
    return { batches: this.#chunks(reply), ...told(reply, asked) }
  }

  async #ask({ verb, path }, input, { requestId, cache }, signal) {
    const headers = { 'x-request-id': requestId }
    if (this.#apiKey) headers.authorization = `Bearer ${this.#apiKey}`
    if (cache !== undefined && cache !== null) headers['x-hyperinfer-cache'] = cache ? 'on' : 'off'
    const init = { method: verb, headers, signal, redirect: 'error', credentials: 'omit', cache: 'no-store' }
    let url = this.#address + path
    if (verb === 'GET') {
      const query = new URLSearchParams(input).toString()
      if (query) url += `?${query}`
    } else {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(input)
    }
    const reply = await this.#reached(signal, this.#fetch(url, init))
    if (!reply.ok) throw fromReply(reply.status, reply.headers, await this.#whole(reply))
    return reply
  }

  async #reached(signal, reply) {
    try {
      return await reply
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const reason = error.cause?.code ?? error.cause?.message ?? error.message
      throw ours('connection_failed', `No gateway answers at ${this.#address}: ${reason}.`, error)
    }
  }

  async #whole(reply) {
    const decoder = new TextDecoder()
    let text = ''
    let bytes = 0
    for await (const piece of this.#pieces(reply)) {
      bytes += piece.byteLength
      if (bytes > MAX_REPLY_BYTES) throw ours('bad_answer', `${this.#address} answered with more than 64 MiB.`)
      text += decoder.decode(piece, { stream: true })
    }
    return text + decoder.decode()
  }

  async *#chunks(reply) {
    let isWhole = false
    // To the very end, so that the connection can be kept.
    for await (const batch of events(this.#pieces(reply))) {
      const end = batch.indexOf(END_MARK)
      isWhole ||= end >= 0
      const chunks = (end < 0 ? batch : batch.slice(0, end)).map(parsed)
      if (chunks.length > 0) yield chunks
    }
    if (!isWhole) throw ours('connection_lost', 'The answer broke off.')
  }

  // Browsers' streams cannot all be iterated; with a reader they can all be read.
  async *#pieces(reply) {
    if (reply.body === null) return
    const reader = reply.body.getReader()
    try {
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return
        yield value
      }
    } catch (error) {
      if (error instanceof AIInferenceError) throw error
      throw ours('connection_lost', `The connection to ${this.#address} broke off.`, error)
    } finally {
      reader.cancel().catch(() => {})
    }
  }
}

function told(reply, { requestId }) {
  return {
    requestId: reply.headers.get('x-request-id') ?? requestId,
    worker: reply.headers.get('x-hyperinfer-worker') ?? ''
  }
}

function parsed(event) {
  try {
    return JSON.parse(event)
  } catch (error) {
    throw ours('bad_answer', 'A piece of the answer is no JSON.', error)
  }
}
