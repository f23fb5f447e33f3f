// What a client can ask, and how each of it is said over HTTP and over the swarm. `looks` is what may be asked twice.
import { fromCode } from './errors.js'
import { camel, givenFields, snakeFields } from './naming.js'

const same = (value) => value

export const INFERENCE = {
  http: { verb: 'POST', path: '/api/inference', encode: snakeFields, decode: camel },
  rpc: { method: 'processPrompt', encode: givenFields, decode: prompted }
}

export const CHAT = model('chat', '/v1/chat/completions')
export const EMBED = model('embedding', '/v1/embeddings')

export const MODELS = look('/api/models', 'listModels')
export const USAGE = look('/api/usage', 'getUserUsage')
export const QUOTA = look('/api/quota', 'getUserQuota')

// An OpenAI request, which goes as it is, and its reply, too.
function model(kind, path) {
  return {
    http: { verb: 'POST', path, encode: same, decode: same },
    rpc: {
      method: 'processInferenceRequest',
      encode: (body, { cache }) => givenFields({ kind, body, cache }),
      decode: (reply) => reply.processed.completion
    }
  }
}

function look(path, method) {
  return {
    looks: true,
    http: { verb: 'GET', path, encode: snakeFields, decode: camel },
    rpc: { method, encode: givenFields, decode: same }
  }
}

// Over a limit, the original interface answers instead of refusing.
function prompted(reply, requestId) {
  if (reply.allowed === false) {
    const details = { retryable: true, retry_after_s: reply.retryAfter }
    throw fromCode('RATE_LIMITED', reply.message || 'Rate limit exceeded', details, requestId)
  }
  const { response = '', model = '', usage = null } = reply
  const used = usage && { ...usage, totalTokens: usage.promptTokens + usage.completionTokens }
  return { response, model, usage: used, requestId: reply.requestId ?? requestId }
}
