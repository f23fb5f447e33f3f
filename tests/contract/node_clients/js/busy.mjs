// How many slots of a model are taken, as the platform says.
import assert from 'node:assert/strict'

const { URL: url, KEY: key } = process.env

export async function untilBusy(model, slots) {
  for (let left = 200; left > 0; left--) {
    const reply = await fetch(`${url}/api/workers`, { headers: { authorization: `Bearer ${key}` } })
    const models = (await reply.json()).workers.flatMap((worker) => worker.models)
    const busy = models.filter(({ name }) => name === model).reduce((sum, one) => sum + one.busy, 0)
    if (busy === slots) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`${model} never had ${slots} slots taken`)
}
