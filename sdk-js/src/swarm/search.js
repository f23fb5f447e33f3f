// Finding a gateway: who may be one by the link, in which order they are tried, and what each has to prove.
import { createHmac } from 'node:crypto'
import { ours } from '../errors.js'
import { unless } from '../deadline.js'
import { Link } from './link.js'
import { isIntroduced } from './membership.js'

const TRY_MS = 10_000
const LOOKUP_MS = 5000
const SETTLE_MS = 1000
const PROOF_MS = 10_000
const PROVEN_MS = 600_000
const HEAD_START_MS = 300
const MAX_CANDIDATES = 16
const NOT_NEEDED = ours('connection_failed', 'Another one was found.')

export class Search {
  #place
  #rpc
  #DHT

  constructor(place, rpc, DHT) {
    this.#place = place
    this.#rpc = rpc
    this.#DHT = DHT
  }

  get name() {
    const { gatewayKey, rootKey } = this.#place
    return gatewayKey
      ? `The gateway hyper://${gatewayKey.slice(0, 12)}…`
      : `A gateway of the swarm ${rootKey.slice(0, 12)}…`
  }

  // Whether a credential may go over this link.
  trusts(link) {
    if (this.#place.gatewayKey) return link.key === this.#place.gatewayKey
    return link.provenAt !== null && Date.now() - link.provenAt < PROVEN_MS
  }

  // A link to the first of those who may be it that is there and proves it.
  async found() {
    let won = null
    let turn = Promise.resolve()
    const tries = (await this.#candidates()).map((key) => {
      const attempt = turn.then(async () => {
        if (won) throw NOT_NEEDED
        const link = await this.#proven(key)
        if (!won) return (won = link)
        link.close()
        throw NOT_NEEDED
      })
      // One that does not answer must not use up the time of all.
      turn = turn.then(() => Promise.race([attempt.catch(() => {}), headStart()]))
      return attempt
    })
    try {
      return await Promise.any(tries)
    } catch ({ errors }) {
      throw errors.at(-1)
    }
  }

  async #proven(key) {
    const link = await this.#connected(key)
    try {
      await this.prove(link)
    } catch (error) {
      link.close()
      throw error
    }
    return link
  }

  // Has a gateway introduce itself, where the link names no gateway but a swarm.
  async prove(link) {
    if (this.#place.gatewayKey) return
    const signal = timeout(PROOF_MS)
    const asked = link.call('introduce', {}, { deadlineMs: PROOF_MS }, signal).catch((error) => {
      if (error.status === null || error.shouldRetry) throw error // it is away, which proves nothing
    })
    const introduction = await unless(signal, asked)
    if (!isIntroduced(introduction, { rootKey: this.#place.rootKey, peerKey: link.key })) {
      throw ours('untrusted', 'Who announces to be one cannot prove it.')
    }
    link.provenAt = Date.now()
  }

  async #connected(key) {
    const publicKey = Buffer.from(key, 'hex')
    // Upstream first asks the nodes through which it last reached a key, each for long; a peer that moved has others.
    this.#rpc.dht._relayAddressesCache?.delete(key)
    let guessing = false
    const random = this.#DHT.FIREWALL.RANDOM
    const holepunch = (remote, local) => {
      guessing ||= remote >= random || local >= random
      return true
    }
    const link = new Link(this.#rpc.connect(publicKey, { holepunch }), key)
    let timer
    // Where a router gives every flow another port, it has to be guessed, which takes its time.
    const late = new Promise((resolve) => (timer = setTimeout(() => guessing || resolve('late'), TRY_MS)))
    try {
      const how = await Promise.race([link.opened.then(() => 'open'), link.onclose.then(() => 'closed'), late])
      if (how === 'open') return link
      throw this.#away(how === 'late' ? 'It does not answer.' : 'It is not there, or refuses us.')
    } catch (error) {
      link.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #away(reason) {
    const isOffline = this.#rpc.dht.nodes.length === 0
    return ours('connection_failed', isOffline ? 'No node of the DHT answers: is this machine online?' : reason)
  }

  async #candidates() {
    if (this.#place.gatewayKey) return [this.#place.gatewayKey]
    const name = createHmac('sha256', Buffer.from(this.#place.swarmKey, 'hex')).update('gateway').digest()
    const query = this.#rpc.dht.lookup(this.#DHT.hash(name))
    const found = new Set()
    let over
    const late = new Promise((resolve) => (over = resolve))
    const timer = setTimeout(over, LOOKUP_MS)
    let settled = null
    const looking = async () => {
      for await (const { peers } of query) {
        for (const { publicKey } of peers) found.add(publicKey.toString('hex'))
        if (found.size > 0) settled ??= setTimeout(over, SETTLE_MS)
      }
    }
    try {
      // Whatever happens to it afterwards, what was found by then is what counts.
      await Promise.race([looking().catch(() => {}), late])
    } finally {
      query.destroy()
      clearTimeout(timer)
      clearTimeout(settled)
    }
    if (found.size === 0) throw this.#away('Nobody announces to be one now.')
    return [...found].sort(() => Math.random() - 0.5).slice(0, MAX_CANDIDATES)
  }
}

function headStart() {
  return new Promise((resolve) => setTimeout(resolve, HEAD_START_MS).unref())
}

function timeout(ms) {
  const controller = new AbortController()
  setTimeout(() => controller.abort(ours('connection_failed', 'It does not answer.')), ms).unref()
  return controller.signal
}
