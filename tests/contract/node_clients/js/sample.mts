// A program as somebody writes it in TypeScript: it must compile as strictly as can be, and then run.
import {
  AIInferenceClient,
  AIInferenceError,
  type Answer,
  type Message,
  type Model,
  type Quota
} from 'hyperinfer-client'

const client: AIInferenceClient = new AIInferenceClient({
  apiKey: process.env['KEY'] ?? '',
  baseUrl: `${process.env['ADDRESS']}/v1`,
  timeoutMs: 20_000,
  maxRetries: 1,
  fetch: globalThis.fetch
})

const { response, model, usage, requestId } = await client.inference({
  prompt: 'one two',
  model: 'echo',
  maxTokens: 20
})
const words: string[] = [response, model, requestId]
const tokens: number = usage?.totalTokens ?? 0

const messages: Message[] = [{ role: 'user', content: 'My name is Ada.' }]
const answer = await client.chat(
  { messages, model: 'echo', temperature: 0.2, seed: 7, logit_bias: {} },
  { timeoutMs: 5000 }
)
messages.push(answer.message, { role: 'user', content: [{ type: 'text', text: 'And now?' }] })
const again: Answer = await client
  .stream({ messages, system: 'Be brief.', model: 'echo' }, { signal: new AbortController().signal })
  .finalAnswer()

const stream = client.stream({ prompt: 'one two three', model: 'echo', responseFormat: { type: 'text' } })
for await (const piece of stream) words.push(piece.toUpperCase())
const reason: string | null = stream.finishReason

const { vectors } = await client.embed({ texts: ['a', 'b'], model: 'echo' })
const first: number = vectors[0]?.[0] ?? 0
const models: Model[] = await client.models()
const report = await client.usage({ group: 'model' })
const quota: Quota = await client.quota()

try {
  await client.chat({ prompt: 'x', model: 'nothing' })
} catch (error) {
  if (!(error instanceof AIInferenceError)) throw error
  const status: number | null = error.status
  words.push(`${status} ${error.code} ${error.retryAfter ?? 0}`)
}

// @ts-expect-error a prompt is a text
const wrong = () => client.inference({ prompt: 5 })
// @ts-expect-error either messages or a prompt
const neither = () => client.chat({ model: 'echo' })
// @ts-expect-error there is no such option
const unknown = () => new AIInferenceClient({ apikey: '' })

console.log(
  JSON.stringify({
    words,
    tokens,
    again: again.text,
    reason,
    first,
    models: models.length,
    rows: report.rows.length,
    tier: quota.tier
  })
)
await client.close()
void [wrong, neither, unknown]
