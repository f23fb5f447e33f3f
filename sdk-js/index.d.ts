// The types of hyperinfer-client. Times in milliseconds end in `Ms`.

export interface ClientOptions {
  /** An API key, or a session's token. It goes to the gateway of `baseUrl` and nowhere else. */
  apiKey?: string
  /**
   * The gateway's address: `https://ai.example.com`, with or without `/v1`, or in Node a link of the swarm as
   * `hyperinfer link` prints it: `hyper://GATEWAYKEY`, `hyper://swarm/SWARMKEY/ROOTKEY`.
   * Left out, it is `http://127.0.0.1:3000`.
   */
  baseUrl?: string
  /** For a whole answer, tries and pauses included, or for each next piece of a streamed one; 600,000 unless said. */
  timeoutMs?: number
  /** How often a request that was refused for a moment is tried again; 2 unless said. */
  maxRetries?: number
  /** Over the swarm: how long a gateway may take to be found and reached; 30,000 unless said. */
  connectTimeoutMs?: number
  /** Over the swarm: the first nodes of a private DHT, as `host:port`. */
  bootstrap?: string[]
  /** Over the swarm: further options of HyperDHT. */
  dht?: Record<string, unknown>
  /** Over HTTP: what stands for the platform's own `fetch`. */
  fetch?: typeof globalThis.fetch
}

export interface CallOptions {
  /** Aborting stops the model; the call then fails with the signal's reason. */
  signal?: AbortSignal
  /** Instead of the client's. */
  timeoutMs?: number
}

export interface Usage {
  promptTokens: number
  completionTokens: number
  totalTokens: number
}

export interface InferenceRequest {
  prompt: string
  /** Left out, the gateway's default answers. */
  model?: string
  maxTokens?: number
}

export interface Inference {
  response: string
  model: string
  usage: Usage | null
  requestId: string
}

/** A message of a conversation, as OpenAI's API has it. */
export interface Message {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  content: string | Array<Record<string, unknown>> | null
  tool_calls?: Array<{ id: string; type: 'function'; function: { name: string; arguments: string } }>
  tool_call_id?: string
  name?: string
}

/** What is not named here goes to the model as it is, in camelCase or as OpenAI names it. */
export interface SampleOptions {
  /** Left out, the gateway's default answers. */
  model?: string
  maxTokens?: number
  temperature?: number
  topP?: number
  seed?: number
  stop?: string | string[]
  /** What the model may call, and whether it may, must or must not, as OpenAI's API has it. */
  tools?: Array<Record<string, unknown>>
  toolChoice?: 'auto' | 'none' | 'required' | Record<string, unknown>
  /** Asks for JSON, and by which schema. */
  responseFormat?: Record<string, unknown>
  reasoningEffort?: string
  /** Whether the answer may come from, and go to, the response cache; left out, the workers' settings decide. */
  cache?: boolean
  [field: string]: unknown
}

export interface Conversation extends SampleOptions {
  messages: Message[]
  prompt?: undefined
  /** Becomes the first message. */
  system?: string
}

export interface Prompt extends SampleOptions {
  /** Short for one message of the user's. */
  prompt: string
  messages?: undefined
  system?: string
}

export type ChatRequest = Conversation | Prompt

export interface ToolCall {
  id: string
  name: string
  /** JSON as the model wrote it. */
  arguments: string
}

export interface Answer {
  text: string
  /** The answer as a message, to go on with the conversation. */
  message: Message
  /** `stop`, `length` where it was cut off, `tool_calls`; null while more is to come. */
  finishReason: string | null
  usage: Usage
  model: string
  id: string
  /** What the model thought aloud, where it does. */
  thinking: string
  /** Why it would not answer. */
  refusal: string
  toolCalls: ToolCall[]
  /** Names the request in the operator's log. */
  requestId: string
  /** The start of the key of who answered. */
  worker: string
}

/** An answer as it comes: iterate for pieces of text. Leaving the loop early stops the model. */
export interface AnswerStream extends AsyncIterable<string> {
  /** The answer as far as it has come. */
  readonly answer: Answer
  readonly text: string
  readonly finishReason: string | null
  readonly usage: Usage
  readonly model: string
  readonly requestId: string
  /** Takes what is left of it, and gives the whole answer. */
  finalAnswer(): Promise<Answer>
  /** Stops the model; whoever waits for the next piece gets the reason. */
  abort(reason?: unknown): void
  [Symbol.asyncIterator](): AsyncGenerator<string, void, void>
}

export interface EmbedRequest {
  texts: string | string[]
  model?: string
  /** Where a model leaves the choice. */
  dimensions?: number
  cache?: boolean
}

export interface Embeddings {
  /** One for each text, in their order. */
  vectors: number[][]
  model: string
  usage: Usage
  requestId: string
  worker: string
}

/** A model that answers now, summed over its workers; an alias says in `answeredBy` what it stands for. */
export interface Model {
  id: string
  created: number
  workers: number
  slots: number
  busy: number
  queued: number
  contextTokens: number
  state: 'ready' | 'idle' | 'loading'
  capabilities: string[]
  tokensPerS: number
  firstTokenS: number
  errorRate: number
  answeredBy: string[]
}

/** Days are `YYYY-MM-DD` in UTC; the last 30 unless said. */
export interface UsageQuery {
  since?: string
  until?: string
  group?: 'day' | 'key' | 'model' | 'status'
  apiKeyId?: string
  model?: string
}

export interface UsageRow {
  key: string
  label: string
  requests: number
  errors: number
  promptTokens: number
  completionTokens: number
  totalTokens: number
  cost: number | null
}

export interface UsageReport {
  since: string
  until: string
  group: string
  rows: UsageRow[]
  total: UsageRow
  currency: string | null
}

export interface Quota {
  tier: string
  /** How the caller stands to every limit; none means that nothing limits. */
  limits: Array<{ of: string; name: string; limit: number; used: number; remaining: number; resetsAt: string | null }>
}

export class AIInferenceClient {
  constructor(options?: ClientOptions)
  /** One prompt and its answer, by the platform's own call. */
  inference(request: InferenceRequest, options?: CallOptions): Promise<Inference>
  /** A whole answer to a prompt or a conversation; `raw` is OpenAI's completion, with all choices. */
  chat(request: ChatRequest, options?: CallOptions): Promise<Answer & { raw: Record<string, any> }>
  /** An answer as it comes. Nothing is sent before the first piece is asked for. */
  stream(request: ChatRequest, options?: CallOptions): AnswerStream
  /** A vector for each text. */
  embed(request: EmbedRequest, options?: CallOptions): Promise<Embeddings>
  /** The models that answer now. */
  models(options?: CallOptions): Promise<Model[]>
  /** What was used. */
  usage(query?: UsageQuery, options?: CallOptions): Promise<UsageReport>
  /** How the caller stands to every limit. */
  quota(options?: CallOptions): Promise<Quota>
  /** Hangs up. Over the swarm a program does not end before this. */
  close(): Promise<void>
}

/** What a gateway refuses with; or, where `status` is null, what happened on the way. */
export class AIInferenceError extends Error {
  private constructor()
  /** The HTTP status, over the swarm, too; null where no gateway has answered. */
  readonly status: number | null
  /**
   * Of a gateway, as OpenAI has it: `model_not_found`, `rate_limit_exceeded`, …; null for a mere wrong field. Of the
   * client: `connection_failed`, `connection_lost`, `timeout`, `untrusted`, `bad_answer`, `bad_request`, `closed`,
   * `not_installed`.
   */
  readonly code: string | null
  readonly type: string | null
  /** The field that is wrong. */
  readonly param: string | null
  readonly requestId: string | null
  /** Seconds after which to come again. */
  readonly retryAfter: number | null
  /** Whether coming again may help at all, where the gateway says. */
  readonly shouldRetry: boolean | null
}
