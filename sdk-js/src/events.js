// Server-sent events: the data of each, in batches as they arrive. What is no data is passed over.
import { ours } from './errors.js'

const MAX_EVENT_CHARS = 16 * 1024 * 1024

export async function* events(pieces) {
  const decoder = new TextDecoder()
  let rest = ''
  let data = []
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop()
    const batch = []
    for (const line of lines.map((one) => one.replace(/\r$/, ''))) {
      if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
      if (line !== '' || data.length === 0) continue
      batch.push(data.join('\n'))
      data = []
    }
    if (rest.length > MAX_EVENT_CHARS) throw ours('bad_answer', 'A piece of the answer is larger than 16 MiB.')
    if (batch.length > 0) yield batch
  }
}
