// One connection of ours to one gateway: calls, streamed calls and a heartbeat.
import { AIInferenceError, fromWire, ours } from '../errors.js'
import { Receiving, WINDOW } from './receiving.js'

const SIGN = '[HRPC_ERR]='
const BEAT_MS = 1000
const SILENT_MS = 4000
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
const NULL = Buffer.from('null')

export class Link {
  #peer
  #ids = 0
  #reading = new Map()
  #responding = new Set()
  #beat = null
  #lastSeen = Date.now()
  #received = 0

  constructor(peer, key) {
    this.#peer = peer
    this.key = key // hexadecimal
    this.provenAt = null
    this.closed = false
    this.onclose = new Promise((resolve) => peer.once('close', resolve)).then(() => this.#ended())
    this.opened = new Promise((resolve) => peer.once('open', resolve)).then(() => this.#keepBeating())
  }

  close() {
    this.#peer.destroy()
  }

  // A method's reply. When the signal comes, the gateway is told to stop.
  call(method, data, meta, signal) {
    return this.#call(method, { data, meta, id: ++this.#ids }, signal)
  }

  // A streamed method's chunks in batches, as far as they are wanted; the reply ends them, or what it fails with.
  async *stream(method, data, meta, signal) {
    const id = ++this.#ids
    const receiving = new Receiving()
    this.#listen(method)
    this.#reading.set(id, receiving)
    const reply = this.#call(method, { data, meta, id, stream: true, window: WINDOW }, signal)
    reply.then(
      () => receiving.end(),
      (error) => receiving.fail(error)
    )
    try {
      for (;;) {
        const chunks = await receiving.next()
        if (chunks === null) return
        yield chunks
        const grant = receiving.consumed(chunks.length)
        if (grant > 0) this.#tell(`${method}.more`, { id, n: grant })
      }
    } finally {
      this.#reading.delete(id)
    }
  }

  async #call(method, envelope, signal) {
    const payload = Buffer.from(JSON.stringify(envelope))
    if (payload.length > MAX_PAYLOAD_BYTES) throw fromWire('TOO_LARGE: A request is 8 MiB at most.')
    signal.throwIfAborted()
    const leave = () => this.#tell(`${method}.cancel`, { id: envelope.id })
    signal.addEventListener('abort', leave, { once: true })
    try {
      return decode(await this.#peer.request(method, payload), envelope.meta?.requestId)
    } catch (error) {
      if (error instanceof AIInferenceError) throw error
      throw this.#failed(error)
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #failed(error) {
    if (error.code === 'UNKNOWN_METHOD') return fromWire(`UNKNOWN_METHOD: ${error.message}`)
    if (!this.closed && !this.#peer.closed) return fromWire(`REMOTE: ${error.message}`)
    return ours('connection_lost', 'The connection to the gateway was lost with this request under way.', error)
  }

  #tell(method, content) {
    if (!this.closed && !this.#peer.closed) this.#peer.event(method, Buffer.from(JSON.stringify(content)))
  }

  // Chunks come as events of the method's name, those of all its calls together.
  #listen(method) {
    if (this.#responding.has(method)) return
    this.#responding.add(method)
    this.#peer.rpc.respond(`${method}.chunk`, (payload) => {
      const { id, seq, chunks } = JSON.parse(payload)
      this.#reading.get(id)?.receive(seq, chunks)
    })
  }

  // A gateway that was killed says no goodbye. Who is in the midst of a large message is not silent: packets count. And
  // nobody is, while this process itself stood still.
  #keepBeating() {
    let last = Date.now()
    this.#lastSeen = last
    this.#beat = setInterval(() => {
      const now = Date.now()
      const received = this.#peer.stream?.rawStream?.packetsReceived ?? 0
      if (received !== this.#received || now - last > SILENT_MS / 2) this.#lastSeen = now
      this.#received = received
      last = now
      const silentMs = now - this.#lastSeen
      if (silentMs > SILENT_MS) this.close()
      else if (silentMs >= BEAT_MS) this.#peer.request('ping', NULL).catch(() => {}) // any reply is packets
    }, BEAT_MS)
  }

  #ended() {
    this.closed = true
    clearInterval(this.#beat)
  }
}

function decode(payload, requestId) {
  let reply
  try {
    reply = JSON.parse(payload)
  } catch (error) {
    throw ours('bad_answer', 'The gateway answered with what is no JSON.', error)
  }
  if (typeof reply === 'string' && reply.startsWith(SIGN)) throw fromWire(reply.slice(SIGN.length), requestId)
  return reply
}
