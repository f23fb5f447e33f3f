// A gateway reached over Hyperswarm: calls of its RPC, over a connection of our own, made when needed and kept.
import { sleep, unless } from '../deadline.js'
import { ours } from '../errors.js'
import { Search } from './search.js'
import { stack } from './stack.js'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2000
const LATE = ours('connection_failed', 'It does not answer.')

export class SwarmTransport {
  #place
  #apiKey
  #options
  #connectTimeoutMs
  #opened = null
  #finding = null
  #link = null
  #closing = new AbortController()

  constructor(place, apiKey, { bootstrap, dht = {}, connectTimeoutMs }) {
    this.#place = place
    this.#apiKey = apiKey
    this.#options = { ...dht, ...(bootstrap ? { bootstrap } : {}) }
    this.#connectTimeoutMs = connectTimeoutMs
  }

  // Find a gateway, have it prove itself, and be connected to it, unless that is done. One looks for all who wait.
  async reach(signal) {
    if (this.#link && !this.#link.closed && (await this.#isTrusted(this.#link))) return this.#link
    this.#finding ??= this.#find().finally(() => (this.#finding = null))
    return await unless(signal, this.#finding)
  }

  async exchange({ rpc }, input, asked, signal) {
    const link = await this.reach(signal)
    const reply = await link.call(rpc.method, rpc.encode(input, asked), this.#meta(asked), signal)
    return {
      content: rpc.decode(reply, asked.requestId),
      requestId: asked.requestId,
      worker: workerOf(reply?.head ?? reply)
    }
  }

  // The first chunk tells who answers; each after it is one of OpenAI's.
  async stream({ rpc }, input, asked, signal) {
    const link = await this.reach(signal)
    const batches = link.stream(rpc.method, rpc.encode(input, asked), this.#meta(asked), signal)
    const { value: first, done } = await batches.next()
    if (done) throw ours('bad_answer', 'The gateway ended the stream before it began.')
    const [head, ...chunks] = first
    return { batches: resumed(chunks, batches), requestId: asked.requestId, worker: workerOf(head) }
  }

  async close() {
    this.#closing.abort(ours('closed', 'This client is closed; make another.'))
    await this.#finding?.catch(() => {})
    const { rpc } = (await this.#opened?.catch(() => null)) ?? {}
    await rpc?.destroy({ force: true })
    await rpc?.dht.destroy({ force: true })
  }

  async #isTrusted(link) {
    const { search } = await this.#opened
    if (search.trusts(link)) return true
    try {
      await search.prove(link)
      return true
    } catch {
      link.close()
      return false
    }
  }

  async #find() {
    this.#opened ??= this.#open()
    const { search } = await this.#opened
    const until = Date.now() + this.#connectTimeoutMs
    let trouble = LATE
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        return (this.#link = await this.#before(until, search.found()))
      } catch (error) {
        if (this.#closing.signal.aborted) throw error
        if (error !== LATE) trouble = error
        if (Date.now() + pause >= until)
          throw ours(trouble.code, `${search.name} is out of reach. ${trouble.message}`, trouble)
      }
      await sleep(pause, this.#closing.signal)
    }
  }

  // What is found too late is closed again.
  async #before(until, finding) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(LATE), Math.max(0, until - Date.now()))
    })
    try {
      return await unless(this.#closing.signal, Promise.race([finding, late]))
    } catch (error) {
      finding.then(
        (link) => link.close(),
        () => {}
      )
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async #open() {
    const { RPC, DHT } = await stack()
    const rpc = new RPC({ dht: new DHT(this.#options) })
    return { rpc, search: new Search(this.#place, rpc, DHT) }
  }

  #meta({ requestId, deadlineMs }) {
    return { ...(this.#apiKey ? { key: this.#apiKey } : {}), requestId, deadlineMs }
  }
}

function workerOf(head) {
  return typeof head?.worker === 'string' ? head.worker.slice(0, 12) : ''
}

async function* resumed(chunks, batches) {
  if (chunks.length > 0) yield chunks
  yield* batches
}
