"""Lines as people read them."""

import re
from typing import Any

import pytest

from hyperinfer.facilities.log.terminal import Terminal

CALL = {
    "timestamp": "2027-01-15T08:00:00.250000Z",
    "level": "info",
    "event": "call",
    "worker": "gateway",
    "method": "processInferenceRequest",
    "status": "ok",
    "duration_ms": 12345.6,
    "request_id": "req_0123456789abcdef01234567",
    "model": "echo",
    "prompt_tokens": 3,
    "completion_tokens": 40,
    "first_token_ms": 12.3,
    "attempts": 1,
}


def without_time(text: str) -> str:
    return text.partition(" ")[2]


def plain(event: dict[str, Any], **options: Any) -> str:
    return without_time(Terminal(colours=False, **options).line(event))


def test_a_call_is_one_short_line() -> None:
    assert plain(CALL) == (
        "info    gateway    processInferenceRequest ok 12.3 s echo 3→40 tokens first 12 ms req_01234567…"
    )


def test_of_a_call_only_what_is_not_as_usual_is_told_besides() -> None:
    usual = {**CALL, "streamed": True, "queued_ms": 0.2, "finish": "stop"}
    assert plain(usual).endswith(" req_01234567… streamed")
    assert plain({**usual, "attempts": 2, "queued_ms": 40.0, "finish": "length", "streamed": False}).endswith(
        " req_01234567… attempts=2 queued_ms=40.0 finish=length"
    )


def test_whole_ids_can_be_copied() -> None:
    assert "req_0123456789abcdef01234567" in plain(CALL, whole_ids=True)
    assert "mine-1" in plain({**CALL, "request_id": "mine-1"})


def test_anything_else_is_its_name_and_its_fields() -> None:
    event = {
        "level": "warning",
        "event": "model_not_loaded",
        "name": "x",
        "reason": "No room.",
        "logger": "y",
        "count": 0,
    }
    assert plain(event).endswith('warning -          model_not_loaded name=x reason="No room." count=0')


def test_a_traceback_stands_below() -> None:
    assert plain({"level": "error", "event": "call_failed", "exception": "  File …\nValueError"}).endswith(
        "call_failed\n  File …\nValueError"
    )


def test_the_member_stands_for_its_worker() -> None:
    assert " gpu-box " in plain({**CALL, "member": "gpu-box"})


def test_the_day_is_said_where_it_is_another() -> None:
    assert re.match(r"2027-01-1\d \d\d:\d\d:\d\d\.250 ", Terminal(colours=False, today="2026-12-31").line(CALL))


@pytest.mark.parametrize(
    "field",
    [
        *("event", "level", "timestamp", "worker", "member", "reason", "request_id", "model", "status"),
        *("prompt_tokens", "completion_tokens", "first_token_ms", "duration_ms"),
    ],
)
def test_nothing_acts_on_the_terminal(field: str) -> None:
    shown = Terminal(colours=True).line({**CALL, field: "a\x1b]0;title\x07\nb"})
    assert "\x1b]" not in shown
    assert "\n" not in shown


def test_nor_does_the_name_of_a_field() -> None:
    assert "\x1b" not in plain({**CALL, "a\x1b[2J": 1})


@pytest.mark.parametrize("timestamp", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", 5, None])
def test_a_time_that_is_none_is_shown_as_it_is(timestamp: object) -> None:
    assert " ok " in plain({**CALL, "timestamp": timestamp})


def test_each_worker_has_a_colour_of_its_own() -> None:
    terminal = Terminal(colours=True)
    first, second = (terminal.line({**CALL, "worker": worker}) for worker in ("gateway", "inference"))
    colour = re.compile(r"\x1b\[(\d+)m(?:gateway|inference)")
    assert colour.findall(first) != colour.findall(second)
