// Introductions as the gateway makes them: the cases come from its own code, as `[name, introduction, expected]`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIntroduced } from '../src/swarm/membership.js'

const { rootKey, peerKey, now, cases } = JSON.parse(process.env.INTRODUCTIONS)
for (const [name, introduction, expected] of cases) {
  test(name, () => assert.equal(isIntroduced(introduction, { rootKey, peerKey, now }), expected))
}
test('nonsense proves nothing', () => {
  for (const nonsense of [
    null,
    {},
    { epoch: {}, certificate: {} },
    { epoch: { statement: 5, signature: 'x' } },
    'x',
    []
  ]) {
    assert.equal(isIntroduced(nonsense, { rootKey, peerKey, now }), false)
  }
})
