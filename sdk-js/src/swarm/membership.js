// A gateway's introduction: proof, under the root key that its swarm is named by, that it is a gateway of that swarm.
import { createPublicKey, verify } from 'node:crypto'

const EPOCH = 'hyperinfer epoch 1\n'
const CERTIFICATE = 'hyperinfer certificate 1\n'
const MAX_AGE_MS = 24 * 3600 * 1000
const CLOCKS_APART_MS = 5 * 60 * 1000

// An ed25519 public key in DER (RFC 8410) begins so.
const KEY_HEADING = Buffer.from('302a300506032b6570032100', 'hex')

// Whether a peer, whose key the handshake has proven, is a gateway of the root key's swarm: its certificate names that
// key, is signed by the auth worker that the root key names, and is fresh. Keys are hexadecimal.
export function isIntroduced(introduction, { rootKey, peerKey, now = Date.now() }) {
  const epoch = signed(EPOCH, introduction?.epoch, rootKey)
  const certificate = epoch && signed(CERTIFICATE, introduction.certificate, epoch.auth)
  if (!certificate) return false
  const ageMs = now - Date.parse(certificate.issuedAt)
  return (
    certificate.epoch === epoch.epoch &&
    certificate.publicKey === peerKey &&
    Array.isArray(certificate.roles) &&
    certificate.roles.includes('gateway') &&
    ageMs >= -CLOCKS_APART_MS &&
    ageMs <= MAX_AGE_MS
  )
}

// The statement, if this key has signed it behind this heading; else null.
function signed(heading, { statement, signature } = {}, key) {
  try {
    const said = Buffer.from(statement, 'base64')
    const publicKey = createPublicKey({
      key: Buffer.concat([KEY_HEADING, Buffer.from(key, 'hex')]),
      format: 'der',
      type: 'spki'
    })
    const isSigned = verify(
      null,
      Buffer.concat([Buffer.from(heading), said]),
      publicKey,
      Buffer.from(signature, 'base64')
    )
    return isSigned ? JSON.parse(said.toString()) : null
  } catch {
    return null // no key, no signature or no statement: nothing is proven
  }
}
