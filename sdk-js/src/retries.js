// What is tried again, and after which pause.
import { AIInferenceError } from './errors.js'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 5000

// How long to wait before the next try, `tried` having failed before this one; null to give up. Pauses are random up to
// a bound that doubles, so that those who were refused together do not come back together. A gateway that wants more than
// five seconds is obeyed by giving up.
export function pauseMs(error, { looks, tried, random = Math.random }) {
  if (!isWorthIt(error, looks)) return null
  const jitterMs = random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tried)
  if (error.retryAfter === null) return jitterMs
  const askedMs = error.retryAfter * 1000
  return askedMs <= LONGEST_PAUSE_MS ? askedMs + Math.min(jitterMs, FIRST_PAUSE_MS) : null
}

// Whether trying again may help and cannot do harm: a model that was asked already would work, and be counted, twice.
function isWorthIt(error, looks) {
  if (!(error instanceof AIInferenceError) || error.shouldRetry === false) return false
  if (error.code === 'connection_lost') return looks
  if (error.status === null) return looks && error.code === 'connection_failed'
  return error.status === 429 || error.status === 503
}
