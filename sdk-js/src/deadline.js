// A time that may pass, and a caller that may leave: one signal for both.
import { ours, wrong } from './errors.js'

const LONGEST_MS = 2 ** 31 - 1

export class Deadline {
  #controller = new AbortController()
  #ms
  #timer
  #outer
  #leave

  // `outer` are the signals of whoever may leave; some may be undefined.
  constructor(ms, outer) {
    this.#ms = ms
    this.#outer = outer.filter((signal) => signal !== undefined && signal !== null)
    this.#leave = () => this.#controller.abort(this.#outer.find((signal) => signal.aborted).reason)
    for (const signal of this.#outer) signal.addEventListener('abort', this.#leave, { once: true })
    if (this.#outer.some((signal) => signal.aborted)) this.#leave()
  }

  get signal() {
    return this.#controller.signal
  }

  // The time counts anew, from now on.
  renew() {
    this.pause()
    const late = () => this.#controller.abort(ours('timeout', `No answer within ${this.#ms / 1000} s.`))
    this.#timer = setTimeout(late, this.#ms)
  }

  // It does not count while nobody waits.
  pause() {
    clearTimeout(this.#timer)
  }

  // Whatever still runs for it stops.
  end() {
    this.pause()
    for (const signal of this.#outer) signal.removeEventListener('abort', this.#leave)
    this.#controller.abort()
  }
}

// What a promise gives, unless the signal comes first.
export async function unless(signal, promise) {
  let leave
  const left = new Promise((_, reject) => {
    leave = () => reject(signal.reason)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  try {
    return await Promise.race([promise, left])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

export async function sleep(ms, signal) {
  let timer
  try {
    await unless(signal, new Promise((resolve) => (timer = setTimeout(resolve, ms))))
  } finally {
    clearTimeout(timer)
  }
}

export function milliseconds(name, value) {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_MS) return value
  throw wrong(name, `${name} is a number of milliseconds above 0.`)
}
