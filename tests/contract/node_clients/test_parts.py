"""The JavaScript client without a platform: its own tests, its types, and that it agrees with the gateway's code."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from tests.contract.node_clients.packages import OURS

from hyperinfer.contracts.membership import Epoch, Introduction, Member, MemberList, Signed
from hyperinfer.edge.errors import shown
from hyperinfer.errors import BY_CODE
from hyperinfer.facilities.net.driver import install
from hyperinfer.kernel.identity import from_seed
from hyperinfer.protocol import membership
from hyperinfer.protocol.streams import DEFAULT_WINDOW

from .conftest import Run

ROOT, AUTH, PEER, OTHER = (bytes([number]) * 32 for number in range(1, 5))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_its_own_tests(node: Run) -> None:
    await node("--test", OURS / "test" / "pure.test.js")


async def test_every_code_is_shown_as_over_http(node: Run) -> None:
    script = f"import {{ SHOWN }} from '{OURS / 'src/errors.js'}'; console.log(JSON.stringify(SHOWN))"
    table = json.loads(await node("--input-type=module", "-e", script))
    looks = {code: shown(kind("")) for code, kind in BY_CODE.items()}
    assert table == {code: [look.status, look.type, look.code] for code, look in looks.items()}


async def test_its_window_is_ours(node: Run) -> None:
    script = f"import {{ WINDOW }} from '{OURS / 'src/swarm/receiving.js'}'; console.log(WINDOW)"
    assert int(await node("--input-type=module", "-e", script)) == DEFAULT_WINDOW


def key(seed: bytes) -> str:
    return from_seed(seed).public_key.hex()


def introduction(
    *,
    root: bytes = ROOT,
    auth: bytes = AUTH,
    peer: bytes = PEER,
    role: str = "gateway",
    at: datetime = NOW,
    epoch: int = 1,
    listed: int = 1,
) -> Introduction:
    signed = membership.sign_epoch(Epoch(epoch=epoch, auth=key(AUTH)), root_seed=root)
    members = MemberList(epoch=listed, version=1, issued_at=at, members=(Member(key(peer), (role,)),))
    published = membership.publish(members, epoch=signed, auth_seed=auth, introduced=frozenset({role}))
    return Introduction(epoch=signed, certificate=published.certificates[key(peer)])


async def test_it_believes_who_we_believe(node: Run) -> None:
    good = introduction()
    cut = Signed(statement=good.certificate.statement + b" ", signature=good.certificate.signature)
    shown_cases = {
        "a gateway": good,
        "of a later epoch": introduction(epoch=7, listed=7),
        "an hour old": introduction(at=NOW - timedelta(hours=1)),
        "by a clock that is ahead": introduction(at=NOW + timedelta(minutes=4)),
        "two days old": introduction(at=NOW - timedelta(days=2)),
        "of tomorrow": introduction(at=NOW + timedelta(days=1)),
        "of another swarm": introduction(root=OTHER),
        "of another auth": introduction(auth=OTHER),
        "of another peer": introduction(peer=OTHER),
        "of an inference worker": introduction(role="inference"),
        "of another epoch": introduction(epoch=2),
        "changed": Introduction(epoch=good.epoch, certificate=cut),
        "one signature for the other": Introduction(epoch=good.certificate, certificate=good.epoch),
    }
    cases = [
        (
            name,
            one,
            membership.is_introduced(
                one, root=bytes.fromhex(key(ROOT)), peer=bytes.fromhex(key(PEER)), role="gateway", now=NOW
            ),
        )
        for name, one in shown_cases.items()
    ]
    assert [expected for *_, expected in cases] == [True] * 4 + [False] * 9
    given = {"rootKey": key(ROOT), "peerKey": key(PEER), "now": NOW.timestamp() * 1000, "cases": cases}
    await node("--test", OURS / "test" / "membership.test.js", INTRODUCTIONS=msgspec.json.encode(given).decode())


async def test_a_program_in_typescript_compiles(node: Run, app: Path) -> None:
    await node(app.parent / "node_modules/typescript/bin/tsc", "-p", app)


async def test_it_can_be_required_too(node: Run) -> None:
    script = (
        "const { AIInferenceClient } = require('hyperinfer-client'); console.log(typeof new AIInferenceClient().chat)"
    )
    assert (await node("-e", script)).strip() == "function"


async def test_the_swarm_without_its_packages_says_what_to_install(node: Run) -> None:
    # From the source tree, above which nothing is installed.
    script = (
        f"import {{ AIInferenceClient }} from '{OURS / 'src/index.js'}'\n"
        f"const client = new AIInferenceClient({{ baseUrl: 'hyper://{key(PEER)}' }})\n"
        "await client.chat({ prompt: 'x' }).catch((error) => console.log(error.code, error.message))\n"
        "await client.close()"
    )
    said = await node("--input-type=module", "-e", script)
    assert said.startswith("not_installed")
    assert "npm install @hyperswarm/rpc hyperdht" in said


async def test_the_package_holds_what_belongs_to_it(node: Run) -> None:
    npm = install._npm()
    listed = json.loads(await node(npm, "pack", OURS, "--dry-run", "--json", "--ignore-scripts", "--loglevel=error"))
    package = next(iter(listed.values())) if isinstance(listed, dict) else listed[0]
    files = {one["path"] for one in package["files"]}
    sources = {path.relative_to(OURS).as_posix() for path in (OURS / "src").rglob("*.js")}
    assert files == {"package.json", "README.md", "LICENSE", "index.d.ts", *sources}
    assert package["size"] < 40_000
