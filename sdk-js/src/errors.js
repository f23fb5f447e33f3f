// The one class of errors, and how each code of the wire is shown: as over HTTP, whichever way it came.

const REQUEST = 'invalid_request_error'
const SERVER = 'server_error'

// A pause that a gateway asks for and that is longer is not worth another try by itself.
const WORTH_WAITING_S = 60

// HTTP status, type and code of each code of the RPC; what is not here is `REMOTE`.
export const SHOWN = {
  BAD_REQUEST: [400, REQUEST, null],
  UNSUPPORTED: [400, REQUEST, 'unsupported_parameter'],
  CONTEXT_EXCEEDED: [400, REQUEST, 'context_length_exceeded'],
  UNAUTHENTICATED: [401, 'authentication_error', 'invalid_api_key'],
  FORBIDDEN: [403, 'permission_error', 'forbidden'],
  UNTRUSTED: [403, 'permission_error', 'forbidden'],
  NOT_FOUND: [404, REQUEST, 'not_found'],
  MODEL_NOT_FOUND: [404, REQUEST, 'model_not_found'],
  UNKNOWN_METHOD: [404, REQUEST, 'not_found'],
  CONFLICT: [409, REQUEST, 'conflict'],
  TOO_LARGE: [413, REQUEST, 'too_large'],
  RATE_LIMITED: [429, 'rate_limit_error', 'rate_limit_exceeded'],
  UNAVAILABLE: [503, SERVER, 'unavailable'],
  OVERLOADED: [503, SERVER, 'overloaded'],
  DRAINING: [503, SERVER, 'unavailable'],
  PEER_LOST: [503, SERVER, 'connection_lost'],
  PEER_UNREACHABLE: [503, SERVER, 'unavailable'],
  DRIVER_LOST: [503, SERVER, 'connection_lost'],
  DEADLINE_EXCEEDED: [504, SERVER, 'deadline_exceeded'],
  BACKEND_FAILED: [502, SERVER, 'backend_failed'],
  MAIL_REFUSED: [502, SERVER, 'mail_refused'],
  REMOTE: [502, SERVER, 'remote_error'],
  STREAM_STALLED: [408, REQUEST, 'stream_stalled'],
  CANCELLED: [500, SERVER, 'internal_error'],
  CONFIG: [500, SERVER, 'internal_error'],
  IDENTITY: [500, SERVER, 'internal_error'],
  START: [500, SERVER, 'internal_error'],
  INTERNAL: [500, SERVER, 'internal_error']
}

// What a gateway refuses with, or what happened on the way: then `status` is null, and `code` is one of ours.
export class AIInferenceError extends Error {
  constructor(
    message,
    {
      status = null,
      type = null,
      code = null,
      param = null,
      requestId = null,
      retryAfter = null,
      shouldRetry = null,
      cause
    } = {}
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AIInferenceError'
    this.status = status
    this.type = type
    this.code = code
    this.param = param
    this.requestId = requestId
    this.retryAfter = retryAfter
    this.shouldRetry = shouldRetry
  }
}

// An error of the client's own.
export function ours(code, message, cause) {
  return new AIInferenceError(message, { type: 'client_error', code, cause })
}

// What the caller has to change.
export function wrong(param, message) {
  return new AIInferenceError(message, { type: REQUEST, code: 'bad_request', param })
}

// From a reply over HTTP.
export function fromReply(status, headers, text) {
  const named = {
    status,
    requestId: headers.get('x-request-id'),
    retryAfter: retryAfter(headers),
    shouldRetry: { true: true, false: false }[headers.get('x-should-retry')] ?? null
  }
  const refusal = parsed(text)?.error
  if (refusal === null || typeof refusal !== 'object') {
    return new AIInferenceError(
      `The server answered with status ${status} and no reason; is a hyperinfer gateway there?`,
      named
    )
  }
  return fromRefusal(refusal, named)
}

// From OpenAI's error object, which also ends a stream that has broken off.
export function fromRefusal({ message, type, code, param }, named = {}) {
  const text = typeof message === 'string' && message ? message : 'The gateway refused without saying why.'
  return new AIInferenceError(text, { ...named, type: type ?? null, code: code ?? null, param: param ?? null })
}

// From what follows `[HRPC_ERR]=` in a reply over the swarm: `CODE: message {json}`, or anything else from a stranger.
export function fromWire(text, requestId) {
  const coded = /^([A-Z][A-Z0-9_]*): ([^]*)$/.exec(text)
  if (coded === null) return fromCode('REMOTE', text || 'The gateway answered with an error.', {}, requestId)
  const [message, details] = split(coded[2])
  return fromCode(coded[1], message, details, requestId)
}

export function fromCode(name, message, details, requestId) {
  const [status, type, code] = Object.hasOwn(SHOWN, name) ? SHOWN[name] : SHOWN.REMOTE
  const after = details.retry_after_s
  const retryAfter = typeof after === 'number' && Number.isFinite(after) ? Math.max(0, after) : null
  const param = typeof details.param === 'string' && details.param ? details.param : null
  const shouldRetry = details.retryable === true && (retryAfter ?? 0) <= WORTH_WAITING_S
  return new AIInferenceError(message, { status, type, code, param, requestId, retryAfter, shouldRetry })
}

// The message may hold braces itself: the last part that is a JSON object is the details.
function split(text) {
  for (
    let start = text.lastIndexOf(' {');
    start >= 0 && text.endsWith('}');
    start = text.lastIndexOf(' {', start - 1)
  ) {
    const details = parsed(text.slice(start + 1))
    if (details !== undefined) return [text.slice(0, start), details]
    if (start === 0) break
  }
  return [text, {}]
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// In seconds, to the millisecond where the server says so.
function retryAfter(headers) {
  const exact = headers.get('retry-after-ms')
  const seconds = headers.get('retry-after')
  if (/^\d+$/.test(exact ?? '')) return Number(exact) / 1000
  return /^\d+$/.test(seconds ?? '') ? Number(seconds) : null
}
