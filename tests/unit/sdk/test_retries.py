"""What is repeated, and what never is."""

from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer.errors import HyperinferError, PeerLost, Unauthenticated, Unavailable
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.replies import Usage
from hyperinfer.sdk.transport import Transport
from hyperinfer.testing.clock import ManualClock


class HastyClock(ManualClock):
    """Wakes whoever sleeps at once, and remembers for how long they meant to."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.pauses.append(delay_s)


@dataclass
class Server:
    """Refuses so many requests in this way, and answers those after them."""

    refusals: int
    status: int = 503
    retry_after: bytes = b""
    hangs_up: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["method"])
        refuses = len(self.asked) <= self.refusals
        headers = [(b"retry-after", self.retry_after)] if refuses and self.retry_after else []
        if refuses and self.hangs_up:
            headers.append((b"content-length", b"100"))
        status = self.status if refuses and not self.hangs_up else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}", "more_body": refuses and self.hangs_up})


async def ask(server: Server, verb: str = "GET") -> list[float]:
    """Ask once; gives the pauses that were made."""
    clock = HastyClock()
    async with (
        serving(server, Listen(port=0, drain_s=1.0)) as url,
        Transport(url, connect_timeout_s=5.0, clock=clock) as transport,
    ):
        calls = Calls(transport, lambda: "k")
        await (calls.get("/x", Usage) if verb == "GET" else calls.send(verb, "/x", Usage))
    return clock.pauses


async def test_a_look_is_repeated_after_short_pauses() -> None:
    assert await ask(Server(2)) == [0.2, 1.0]
    assert await ask(Server(1, retry_after=b"2")) == [2]


async def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    assert await ask(Server(1, hangs_up=True)) == [0.2]


async def test_the_third_refusal_counts() -> None:
    server = Server(3)
    with pytest.raises(Unavailable):
        await ask(server)
    assert server.asked == ["GET"] * 3


@pytest.mark.parametrize("verb", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("hangs_up", [False, True])
async def test_a_change_is_never_repeated(verb: str, hangs_up: bool) -> None:
    server = Server(1, hangs_up=hangs_up)
    with pytest.raises(PeerLost if hangs_up else Unavailable):
        await ask(server, verb)
    assert server.asked == [verb]


@pytest.mark.parametrize(
    ("server", "kind"),
    [(Server(1, status=401), Unauthenticated), (Server(1, retry_after=b"60"), Unavailable)],
    ids=["refused for good", "away for long"],
)
async def test_what_another_try_does_not_mend_is_not_tried(server: Server, kind: type[HyperinferError]) -> None:
    with pytest.raises(kind):
        await ask(server)
    assert server.asked == ["GET"]
