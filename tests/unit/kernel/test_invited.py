"""Whoever connects by an invite may join, and may call no other method of any contract."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.kernel.test_dispatch import ALL, CLIENT, SERVER, authenticate

from hyperinfer.contracts.membership import JOIN
from hyperinfer.contracts.method import Method
from hyperinfer.errors import BadRequest, Forbidden, TooLarge
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Admission, Link
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel.calls import Call, Route
from hyperinfer.kernel.dispatch import STRANGER_BYTES, Dispatcher
from hyperinfer.kernel.members import Members
from hyperinfer.protocol import rpc_errors

NOW = SystemClock().now()


class Auth:
    """A dispatcher that has invited the client, and says whether a call reached its handler."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.reached = 0

    async def handler(self, request: Any, call: Call) -> Any:
        self.reached += 1
        raise BadRequest("reached")

    async def call(self, name: str, payload: bytes) -> Exception | None:
        return rpc_errors.decode(await self.link.request(name, payload, timeout_s=5))


async def connected(folder: Path, method: Method[Any, Any], *, invited: bool = True) -> Auth:
    net, clock = MemoryNet(), SystemClock()
    dispatcher = Dispatcher(
        members=Members.load(folder), clock=clock, running=Streams(stall_timeout_s=1), own_key=SERVER.public_key
    )
    endpoint = await net.open(SERVER)
    auth: Auth | None = None

    async def handler(request: Any, call: Call) -> Any:
        assert auth is not None
        return await auth.handler(request, call)

    keys = frozenset({CLIENT.public_key} if invited else ())
    dispatcher.serve([Route(method, handler)], authenticate, invited=lambda: keys)
    await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(everyone=True))
    peers = Peers(await net.open(CLIENT), clock=clock, settings=NetSettings())
    auth = Auth(await peers.link(SERVER.public_key))
    return auth


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("credential", [None, "user", "admin"])
async def test_an_invite_opens_one_method(tmp_path: Path, method: Method[Any, Any], credential: str | None) -> None:
    auth = await connected(tmp_path, method)
    payload = msgspec.json.encode({"data": {}, "meta": {"key": credential} if credential else {}})
    for name in method.names:
        error = await auth.call(name, payload)
        # `join` is admitted and then refused for its form; everything else is refused whatever it carries.
        assert isinstance(error, BadRequest if method is JOIN else Forbidden)
    assert auth.reached == 0


def asking(**more: Any) -> bytes:
    return msgspec.json.encode({"publicKey": "ab" * 32, "signature": b"s" * 64, **more})


async def test_to_join_takes_an_open_invite_and_nothing_else(tmp_path: Path) -> None:
    assert isinstance(await (await connected(tmp_path, JOIN, invited=False)).call("join", asking()), Forbidden)
    admitted = await connected(tmp_path, JOIN)
    assert isinstance(await admitted.call("join", asking()), BadRequest)
    assert admitted.reached == 1
    # Whoever is a member has no use for an invite.
    member_file.add(tmp_path, CLIENT.public_key, roles=["gateway"], name="", now=NOW)
    member = await connected(tmp_path, JOIN)
    assert isinstance(await member.call("join", asking()), Forbidden)
    assert member.reached == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"publicKey": "AB" * 32},
        {"publicKey": "ab" * 31},
        {"signature": b"s" * 63},
        {"name": "n" * 65},
        {"signature": "not base64!"},
    ],
)
async def test_a_request_of_another_form_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    auth = await connected(tmp_path, JOIN)
    assert isinstance(await auth.call("join", asking(**wrong)), BadRequest)
    assert auth.reached == 0


async def test_an_invite_sends_no_large_request(tmp_path: Path) -> None:
    auth = await connected(tmp_path, JOIN)
    assert isinstance(await auth.call("join", asking(more="x" * STRANGER_BYTES)), TooLarge)
