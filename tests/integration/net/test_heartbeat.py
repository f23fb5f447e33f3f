"""When a link is given up: its peer is silent, which one that sends a large message over a slow line is not."""

import subprocess

import msgspec
import pytest

from hyperinfer.facilities.net.driver.install import SOURCE, ensure_installed, node_path

EVERY_MS = 2000
BEATS = """
const Link = require(process.argv[1])
const steps = JSON.parse(process.argv[2])
const link = Object.create(Link.prototype)
let destroyed = false
let asked = 0
const rawStream = { packetsReceived: 7 }
link.stream = { rawStream, destroy: () => { destroyed = true } }
link.rpc = { lastSeen: 0, opened: true, heartbeat: () => asked++ }
link._receivedBefore = 7
for (const [now, packets] of steps) {
  rawStream.packetsReceived += packets
  link.beat(now, EVERY)
}
console.log(JSON.stringify({ destroyed, asked }))
""".replace("EVERY", str(EVERY_MS))


async def beat(*steps: tuple[int, int]) -> dict[str, object]:
    """What becomes of a link that is looked at at these times (ms), with so many packets received since the last one."""
    modules = await ensure_installed(None)
    words = (node_path(None), "-e", BEATS, str(SOURCE / "link.js"), msgspec.json.encode(steps).decode())
    env = {"NODE_PATH": str(modules / "node_modules")}
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=20, check=True)  # noqa: ASYNC221 - it ends at once
    return msgspec.json.decode(ended.stdout, type=dict[str, object])


@pytest.mark.parametrize(
    ("steps", "destroyed"),
    [
        ([(1000, 0), (2000, 0), (3000, 0), (4000, 0)], False),
        ([(1000, 0), (2000, 0), (3000, 0), (4000, 0), (5000, 0)], True),
        ([(1000 * second, 40) for second in range(1, 30)], False),
        ([*[(1000 * second, 40) for second in range(1, 10)], *[(1000 * second, 0) for second in range(10, 15)]], True),
    ],
    ids=["silent for two beats", "silent for longer", "in a long message", "gone in mid-message"],
)
async def test_a_peer_is_given_up_once_nothing_at_all_comes_from_it(
    steps: list[tuple[int, int]], destroyed: bool
) -> None:
    assert (await beat(*steps))["destroyed"] is destroyed


async def test_a_peer_is_asked_before_it_is_given_up() -> None:
    assert (await beat((1000, 0), (2000, 0), (3000, 0)))["asked"] == 3
