// The receiving side of a streamed call: chunks in their order, and when to grant more of them.
import { ours } from '../errors.js'

// So many chunks the gateway may have under way: over 1,000 tokens a second at 100 ms round trip.
export const WINDOW = 128

export class Receiving {
  #pending = []
  #due = 0
  #ungranted = 0
  #ended = false
  #failure = null
  #wake = () => {}

  receive(seq, chunks) {
    if (seq !== this.#due)
      return this.fail(ours('bad_answer', `The stream lost chunks: ${this.#due} was due and ${seq} came.`))
    this.#due += chunks.length
    this.#pending.push(...chunks)
    if (this.#pending.length + this.#ungranted > WINDOW) {
      return this.fail(ours('bad_answer', 'The gateway sent more chunks than it was granted.'))
    }
    this.#wake()
  }

  end() {
    this.#ended = true
    this.#wake()
  }

  fail(error) {
    this.#failure ??= error
    this.#wake()
  }

  // Everything that has come and was not taken yet; null at the end.
  async next() {
    for (;;) {
      if (this.#pending.length > 0) return this.#pending.splice(0)
      if (this.#failure) throw this.#failure
      if (this.#ended) return null
      await new Promise((resolve) => (this.#wake = resolve))
    }
  }

  // So many chunks have been read; says how many to grant now, in steps of half a window.
  consumed(chunks) {
    this.#ungranted += chunks
    if (this.#ungranted * 2 < WINDOW) return 0
    const grant = this.#ungranted
    this.#ungranted = 0
    return grant
  }
}
