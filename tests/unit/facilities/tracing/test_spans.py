"""Spans: which are made, under which, and what is told of them."""

import asyncio
from collections.abc import Iterator

import pytest

from hyperinfer.errors import InternalError, Overloaded
from hyperinfer.facilities import tracing
from hyperinfer.facilities.tracing import CURRENT, Kind, Span, Tracer, calling, parse, span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Clock:
    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture(autouse=True)
def _no_span() -> Iterator[None]:
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)


def begun(tracer: Tracer) -> Span:
    one = tracer.start("GET", Kind.SERVER)
    assert one is not None
    CURRENT.set(one)
    return one


def test_blocks_are_under_each_other() -> None:
    told: list[Span] = []
    top = begun(Tracer(told.append))
    with span("queue") as queue, span("chat m", Kind.CLIENT) as chat:
        assert queue is not None
        assert chat is not None
        assert tracing.traceparent() == {"traceparent": chat.traceparent}
    assert [one.name for one in told] == ["chat m", "queue"]
    assert (chat.parent_id, queue.parent_id, top.parent_id) == (queue.span_id, top.span_id, "")
    assert {one.trace_id for one in (chat, queue, top)} == {top.trace_id}
    assert tracing.current() is top


def test_nothing_is_made_where_nothing_is_recorded() -> None:
    with span("queue") as made, calling("ping") as called:
        assert made is called is None
        assert tracing.traceparent() == {}


def test_a_span_that_has_ended_is_no_parent_of_what_outlives_it() -> None:
    tracer = Tracer(lambda _: None)
    tracer.end(begun(tracer))
    with span("later") as made:
        assert made is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded("full"), Overloaded.code),
        (ValueError(), InternalError.code),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_the_code_of_what_ended_it(error: BaseException, code: str) -> None:
    told: list[Span] = []
    begun(Tracer(told.append))
    with pytest.raises(type(error)), span("chat"):
        raise error
    assert told[0].error == code


def test_a_call_within_a_clients_span_is_that_span() -> None:
    told: list[Span] = []
    begun(Tracer(told.append))
    with calling("processRequest") as attempt, calling("processRequest") as same:
        assert attempt is same
        assert attempt is not None
    assert len(told) == 1
    assert attempt.attributes == {"rpc.system.name": "hyperswarm", "rpc.method": "processRequest"}


def test_what_was_quick_is_not_told_unless_it_failed() -> None:
    told: list[Span] = []
    clock = Clock()
    begun(Tracer(told.append, now_ns=clock))
    with span("limits", least_s=0.001):
        clock.now_ns += 999_999
    assert not told
    with span("limits", least_s=0.001):
        clock.now_ns += 1_000_000
    with pytest.raises(Overloaded), span("limits", least_s=0.001):
        raise Overloaded("no")
    assert len(told) == 2


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    told: list[Span] = []
    clock = Clock()
    top = begun(tracer := Tracer(told.append, now_ns=clock))
    clock.now_ns -= 1_000_000_000
    tracer.end(top)
    assert told[0].ended_ns == told[0].started_ns


# --- which traces are recorded -----------------------------------------------------------------------------


def test_what_a_worker_of_the_swarm_decided_holds() -> None:
    tracer = Tracer(lambda _: None, ratio=0.0)
    assert tracer.start("a", Kind.SERVER) is None
    made = tracer.start("a", Kind.SERVER, parent=parse(PARENT))
    assert made is not None
    assert (made.trace_id, made.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert Tracer(lambda _: None).start("a", Kind.SERVER, parent=parse(PARENT[:-1] + "0")) is None


def test_strangers_cannot_ask_for_more_than_so_many_a_second() -> None:
    clock = Clock()
    tracer = Tracer(lambda _: None, ratio=0.0, asked_per_s=3, now_ns=clock)

    def ask(times: int) -> int:
        return sum(
            tracer.start("a", Kind.SERVER, parent=parse(PARENT), trusted=False) is not None for _ in range(times)
        )

    assert ask(100) == 3
    clock.now_ns += 1_000_000_000
    assert ask(100) == 3


def test_strangers_have_their_share_of_the_ratio() -> None:
    tracer = Tracer(lambda _: None, ratio=0.2)
    made = sum(tracer.start("a", Kind.SERVER, parent=parse(PARENT), trusted=False) is not None for _ in range(5000))
    assert 800 < made < 1200


def test_a_busy_worker_begins_no_more_than_so_many_a_second() -> None:
    clock = Clock()
    tracer = Tracer(lambda _: None, per_s=50, now_ns=clock)
    assert sum(tracer.start("a", Kind.SERVER) is not None for _ in range(1000)) == 50
    assert tracer.start("a", Kind.SERVER, parent=parse(PARENT)) is not None  # that was decided elsewhere
    clock.now_ns += 1_000_000_000
    assert sum(tracer.start("a", Kind.SERVER) is not None for _ in range(1000)) == 50
