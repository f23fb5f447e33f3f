// Hyperswarm's own packages, loaded when a swarm is first asked: whoever speaks HTTP alone need not have them.
import { ours } from '../errors.js'

export async function stack() {
  try {
    const [rpc, dht] = await Promise.all([import('@hyperswarm/rpc'), import('hyperdht')])
    return { RPC: rpc.default, DHT: dht.default }
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw ours('not_installed', 'The swarm needs two packages more: npm install @hyperswarm/rpc hyperdht', error)
  }
}
