// Links: how somebody outside names a gateway, or a swarm whose gateways prove themselves. None is a credential.
import { wrong } from './errors.js'

const KEY = '([0-9a-f]{64})'
const GATEWAY = new RegExp(`^hyper://${KEY}$`)
const SWARM = new RegExp(`^hyper://swarm/${KEY}/${KEY}$`)

export function isLink(address) {
  return /^\s*hyper:/i.test(address)
}

// `{gatewayKey}` of one gateway, or `{swarmKey, rootKey}` of any gateway of a swarm; keys are hexadecimal.
export function parseLink(text) {
  const link = text.trim().toLowerCase()
  const gateway = GATEWAY.exec(link)
  if (gateway) return { gatewayKey: gateway[1] }
  const swarm = SWARM.exec(link)
  if (swarm) return { swarmKey: swarm[1], rootKey: swarm[2] }
  throw wrong(
    'baseUrl',
    'A link is hyper://GATEWAYKEY or hyper://swarm/SWARMKEY/ROOTKEY, as `hyperinfer link` prints it.'
  )
}
