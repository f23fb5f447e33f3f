// A model's answer, whole or as it comes: OpenAI's completions, chunks and embeddings.
import { fromRefusal, ours } from './errors.js'
import { camel } from './naming.js'

const NO_TOKENS = { promptTokens: 0, completionTokens: 0, totalTokens: 0 }

// What has been said so far, piece by piece. Of several choices it is the first; all are in the raw completion.
class Said {
  text = ''
  thinking = ''
  refusal = ''
  finishReason = null
  #calls = new Map()

  add(delta) {
    this.text += delta.content ?? ''
    this.thinking += delta.reasoning_content ?? ''
    this.refusal += delta.refusal ?? ''
    for (const called of delta.tool_calls ?? []) {
      const index = called.index ?? this.#calls.size
      const call = this.#calls.get(index) ?? { id: '', name: '', arguments: '' }
      call.id = called.id ?? call.id
      call.name = called.function?.name ?? call.name
      call.arguments += called.function?.arguments ?? ''
      this.#calls.set(index, call)
    }
  }

  answer(frame, usage, reply) {
    const toolCalls = [...this.#calls.entries()].sort(([a], [b]) => a - b).map(([, call]) => ({ ...call }))
    return {
      text: this.text,
      message: messageOf(this.text, toolCalls),
      finishReason: this.finishReason,
      usage: usageOf(usage),
      model: frame.model ?? '',
      id: frame.id ?? '',
      thinking: this.thinking,
      refusal: this.refusal,
      toolCalls,
      requestId: reply.requestId,
      worker: reply.worker
    }
  }
}

// The answer as a message, to go on with the conversation.
function messageOf(text, toolCalls) {
  if (toolCalls.length === 0) return { role: 'assistant', content: text }
  const calls = toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: 'function',
    function: { name, arguments: given }
  }))
  return { role: 'assistant', content: text || null, tool_calls: calls }
}

function usageOf(usage) {
  if (!usage) return { ...NO_TOKENS }
  const { promptTokens = 0, completionTokens = 0, totalTokens = promptTokens + completionTokens } = camel(usage)
  return { promptTokens, completionTokens, totalTokens }
}

export function answerOf(reply) {
  const choice = reply.content?.choices?.[0]
  if (!choice) throw ours('bad_answer', 'The answer holds no choice.')
  const said = new Said()
  said.add(choice.message ?? {})
  said.finishReason = choice.finish_reason ?? 'stop'
  return { ...said.answer(reply.content, reply.content.usage, reply), raw: reply.content }
}

export function embeddingsOf(reply) {
  const rows = reply.content?.data
  if (!Array.isArray(rows)) throw ours('bad_answer', 'The answer holds no embeddings.')
  const vectors = [...rows].sort((a, b) => a.index - b.index).map((row) => vectorOf(row.embedding))
  const { model = '', usage } = reply.content
  return { vectors, model, usage: usageOf(usage), requestId: reply.requestId, worker: reply.worker }
}

// Little-endian 32-bit numbers in base64, or numbers from servers that know nothing else.
function vectorOf(embedding) {
  if (typeof embedding !== 'string') return embedding
  const bytes = Uint8Array.from(atob(embedding), (letter) => letter.charCodeAt(0))
  const view = new DataView(bytes.buffer)
  return Array.from({ length: bytes.length >> 2 }, (_, at) => view.getFloat32(4 * at, true))
}

// An answer as it comes: iterate for pieces of text. Leaving the loop early stops the model.
export class AnswerStream {
  #said = new Said()
  #last = {}
  #usage = null
  #reply
  #pieces
  #abort

  // `open` asks, and gives batches of chunks; nothing is sent before the first piece is wanted.
  constructor(open, { requestId, abort }) {
    this.#reply = { requestId, worker: '' }
    this.#abort = abort
    this.#pieces = this.#read(open)
  }

  [Symbol.asyncIterator]() {
    return this.#pieces
  }

  // The answer as far as it has come; `finishReason` is null while more is to come.
  get answer() {
    return this.#said.answer(this.#last, this.#usage, this.#reply)
  }

  get text() {
    return this.#said.text
  }

  get finishReason() {
    return this.#said.finishReason
  }

  get usage() {
    return usageOf(this.#usage)
  }

  get model() {
    return this.#last.model ?? ''
  }

  get requestId() {
    return this.#reply.requestId
  }

  // Takes what is left of it, and gives the whole answer.
  async finalAnswer() {
    for await (const _ of this.#pieces);
    return this.answer
  }

  // Stops the model; whoever waits for the next piece gets the reason.
  abort(reason = new DOMException('This answer was aborted.', 'AbortError')) {
    this.#abort(reason)
  }

  async *#read(open) {
    for await (const { reply, chunks } of open()) {
      this.#reply = reply
      for (const chunk of chunks) {
        const piece = this.#take(chunk)
        if (piece) yield piece
      }
    }
    if (this.#said.finishReason === null) throw ours('connection_lost', 'The answer ended without saying why.')
  }

  #take(chunk) {
    if (chunk.error) throw fromRefusal(chunk.error, { requestId: this.#reply.requestId })
    this.#last = chunk
    this.#usage = chunk.usage ?? this.#usage
    const before = this.#said.text.length
    for (const choice of chunk.choices ?? []) {
      if (choice.index !== 0) continue
      this.#said.add(choice.delta ?? {})
      this.#said.finishReason = choice.finish_reason ?? this.#said.finishReason
    }
    return this.#said.text.slice(before)
  }
}
