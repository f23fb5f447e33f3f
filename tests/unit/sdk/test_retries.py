"""What is tried again, after which pause, and what never is."""

from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer.errors import (
    BackendFailed,
    Conflict,
    HyperinferError,
    Overloaded,
    PeerLost,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.carriers.http import Http
from hyperinfer.sdk.carriers.inprocess import InProcess
from hyperinfer.sdk.replies import Usage
from hyperinfer.sdk.retries import FIRST_PAUSE_S, LONGEST_PAUSE_S, Effect, pause_s
from hyperinfer.sdk.transport import Request, Transport
from hyperinfer.testing.clock import ManualClock

REFUSED = {"status": 503}

# --- the decision --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "effects"),
    [
        (RateLimited("Enough.", status=429), "none work change"),
        (Overloaded("Full.", **REFUSED), "none work change"),
        (Unavailable("Away.", **REFUSED), "none work"),
        (Unavailable("Away.", **REFUSED, should_retry=True), "none work"),
        (Unavailable("Away.", **REFUSED, should_retry=False), ""),
        (Unavailable("No gateway answers."), ""),
        (PeerLost("It broke off."), "none"),
        (PeerLost("It broke off behind the gateway.", **REFUSED, should_retry=True), "none"),
        (BackendFailed("It broke.", status=502), ""),
        (Conflict("It is there.", status=409), ""),
        (Unauthenticated("Who?", status=401), ""),
    ],
    ids=lambda value: f"{value.code} {value.details}" if isinstance(value, HyperinferError) else "",
)
def test_what_may_help_and_can_do_no_harm_is_tried_again(error: HyperinferError, effects: str) -> None:
    tried_again = {effect.value for effect in Effect if pause_s(error, effect, tried=0) is not None}
    assert tried_again == set(effects.split())


def test_pauses_are_random_up_to_a_bound_that_doubles() -> None:
    error = Overloaded("Full.", **REFUSED)
    longest = [max(pause_s(error, Effect.WORK, tried=tried) or 0 for _ in range(200)) for tried in range(6)]
    for tried, pause in enumerate(longest):
        bound_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tried)
        assert bound_s * 0.8 < pause <= bound_s


@pytest.mark.parametrize(("asked_s", "is_made"), [(0.25, True), (5, True), (5.5, False), (60, False)])
def test_the_pause_that_is_asked_for_is_made_or_nothing_is_tried(asked_s: float, is_made: bool) -> None:
    pause = pause_s(RateLimited("Enough.", status=429, retry_after_s=asked_s), Effect.WORK, tried=0)
    assert (pause is not None) == is_made
    if pause is not None:
        assert asked_s <= pause <= asked_s + FIRST_PAUSE_S


# --- what comes of it ----------------------------------------------------------------------------------------


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
    headers: dict[bytes, bytes] = field(default_factory=dict)
    hangs_up: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["method"])
        refuses = len(self.asked) <= self.refusals
        headers = list(self.headers.items()) if refuses else []
        if refuses and self.hangs_up:
            headers.append((b"content-length", b"100"))
        status = self.status if refuses and not self.hangs_up else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}", "more_body": refuses and self.hangs_up})


async def ask(server: Server, verb: str = "GET", *, max_retries: int = 2, timeout_s: float = 30.0) -> list[float]:
    """Ask once; gives the pauses that were made."""
    clock = HastyClock()
    transport = Transport(InProcess(server), "http://in.process", max_retries=max_retries, clock=clock)
    try:
        if verb == "MODEL":
            await transport.json(Request("POST", "/x", "k", Effect.WORK, body={}), Usage, timeout_s=timeout_s)
        else:
            calls = Calls(transport, lambda: "k")
            await (calls.get("/x", Usage) if verb == "GET" else calls.send(verb, "/x", Usage))
    finally:
        await transport.close()
    return clock.pauses


@pytest.mark.parametrize("verb", ["GET", "MODEL"])
async def test_a_look_and_a_model_are_asked_again(verb: str) -> None:
    server = Server(2)
    assert len(await ask(server, verb)) == 2
    assert len(server.asked) == 3


async def test_an_answer_that_breaks_off_is_looked_up_again() -> None:
    assert len(await ask(Server(1, hangs_up=True))) == 1


async def test_the_pause_is_the_one_that_was_asked_for_to_the_millisecond() -> None:
    [pause] = await ask(Server(1, headers={b"retry-after": b"2", b"retry-after-ms": b"1250"}))
    assert 1.25 <= pause <= 1.25 + FIRST_PAUSE_S


async def test_the_third_refusal_counts() -> None:
    server = Server(3)
    with pytest.raises(Unavailable):
        await ask(server)
    assert server.asked == ["GET"] * 3


async def test_how_often_is_the_callers_decision() -> None:
    server = Server(1)
    with pytest.raises(Unavailable):
        await ask(server, max_retries=0)
    assert server.asked == ["GET"]
    assert len(await ask(Server(5), max_retries=5)) == 5


@pytest.mark.parametrize("verb", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("hangs_up", [False, True])
async def test_a_change_is_never_repeated_where_it_may_have_been_made(verb: str, hangs_up: bool) -> None:
    server = Server(1, hangs_up=hangs_up, headers={b"x-should-retry": b"true"})
    with pytest.raises(PeerLost if hangs_up else Unavailable):
        await ask(server, verb)
    assert server.asked == [verb]


async def test_a_change_is_repeated_where_it_was_refused_before_it_was_begun() -> None:
    server = Server(1, status=429)
    await ask(server, "POST")
    assert server.asked == ["POST", "POST"]


async def test_a_model_that_broke_off_is_not_asked_again() -> None:
    server = Server(1, hangs_up=True)
    with pytest.raises(PeerLost):
        await ask(server, "MODEL")
    assert server.asked == ["POST"]


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (Server(1, status=401), Unauthenticated),
        (Server(1, headers={b"retry-after": b"60"}), Unavailable),
        (Server(1, headers={b"x-should-retry": b"false"}), Unavailable),
    ],
    ids=["refused for good", "away for long", "said to be no use"],
)
async def test_what_another_try_does_not_mend_is_not_tried(server: Server, kind: type[HyperinferError]) -> None:
    with pytest.raises(kind):
        await ask(server)
    assert server.asked == ["GET"]


async def test_a_pause_that_would_outlast_the_deadline_is_not_made() -> None:
    server = Server(1, headers={b"retry-after": b"4"})
    with pytest.raises(Unavailable):
        await ask(server, "MODEL", timeout_s=3.0)
    assert len(server.asked) == 1


async def test_it_is_the_same_over_a_socket() -> None:
    server = Server(2)
    clock = HastyClock()
    async with serving(server, Listen(port=0, drain_s=1.0)) as url:
        transport = Transport(Http(url, connect_timeout_s=5.0), url, max_retries=2, clock=clock)
        try:
            await Calls(transport, lambda: "k").get("/x", Usage)
        finally:
            await transport.close()
    assert len(clock.pauses) == 2
