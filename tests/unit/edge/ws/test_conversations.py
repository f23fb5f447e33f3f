"""What a client hears of its conversations: how each begins, goes on and ends, alone and beside others."""

import asyncio
from typing import Any

import pytest

from hyperinfer.edge.ws import conversations as running

from .conftest import Asked, Served, start, text_of


async def test_an_answer_as_it_is_made(served: Served) -> None:
    client = await served.ready()
    await client.say(start("c1", "hello"))
    started, *deltas, done = await client.until("done")
    request_id = started.pop("request_id")
    assert request_id.startswith("req_")
    assert started == {
        "type": "started",
        "id": "c1",
        "model": "m",
        "worker": "abababababab",
        "attempts": 1,
        "queued_s": 0.0,
        "first_token_s": 0.5,
        "limits": {
            "remaining_requests": 9,
            "max_requests": 10,
            "next_reset_in_seconds": 30,
            "window_duration_minutes": 1,
            "remaining_tokens": None,
            "max_tokens": None,
            "tokens_reset_in_seconds": None,
        },
    }
    assert text_of(deltas) == "hello"
    assert {message["id"] for message in deltas} == {"c1"}
    assert done == {
        "type": "done",
        "id": "c1",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }


async def test_an_answer_as_a_whole(served: Served) -> None:
    client = await served.ready()
    await client.say(start("c1", "hello", stream=False))
    _, done = await client.hears("started", "done")
    assert done["message"] == {"role": "assistant", "content": "hello"}


async def test_a_completion(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say({"type": "start", "id": "c1", "request": {"prompt": "go on"}, "cache": True})
    assert text_of(await client.until("done")) == "go on"
    [request] = [request for name, request, _ in asked.fake.calls if name == "processInferenceRequest"]
    assert (request.kind, request.cache, bytes(request.body)) == ("completion", True, b'{"prompt": "go on"}')


async def test_several_at_once_each_by_its_own_name(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say(start("a", "wait"), start("b", "beta"), start("c", "missing"))
    heard = await client.until("error")
    if not any(message["type"] == "done" for message in heard):
        heard += await client.until("done")
    assert text_of([message for message in heard if message.get("id") == "b"]) == "beta"
    [error] = [message for message in heard if message["type"] == "error"]
    assert error == {
        "type": "error",
        "id": "c",
        "error": {
            "message": "No worker has it.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
            "retry_after_s": 2.0,
        },
    }
    assert asked.under_way == 1
    await client.say({"type": "cancel", "id": "a"})
    assert await client.hears("cancelled") == [{"type": "cancelled", "id": "a"}]
    await asked.until(lambda: asked.under_way == 0)


async def test_an_id_may_be_used_again_once_its_end_is_told(served: Served) -> None:
    client = await served.ready()
    for word in ("one", "missing", "two"):
        await client.say(start("same", word))
        heard = await client.until("error" if word == "missing" else "done")
        assert text_of(heard) == ("" if word == "missing" else word)


async def test_an_id_in_use_is_refused_and_its_conversation_goes_on(served: Served) -> None:
    client = await served.ready()
    await client.say(start("c1", "wait"))
    await client.hears("started")
    await client.say(start("c1", "hello"))
    [error] = await client.hears("error")
    assert "id" not in error
    assert (error["error"]["code"], error["error"]["param"]) == ("conflict", "id")
    await client.say({"type": "cancel", "id": "c1"})
    await client.hears("cancelled")


async def test_to_cancel_at_once_is_to_cancel(served: Served, asked: Asked) -> None:
    client = await served.ready()
    cancel = {"type": "cancel", "id": "c1"}
    await client.say(start("c1", "wait"), cancel, cancel, start("c2", "hello"))
    heard = await client.until("done")
    assert [message["type"] for message in heard if message.get("id") == "c1"][-1] == "cancelled"
    assert sum(message["type"] == "cancelled" for message in heard) == 1
    await asked.until(lambda: asked.under_way == 0)


async def test_to_cancel_what_is_not_there_says_nothing(served: Served) -> None:
    client = await served.ready()
    await client.say({"type": "cancel", "id": "c1"}, {"type": "ping"})
    await client.hears("pong")


async def test_no_more_than_so_many_at_once(served: Served, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_RUNNING", 2)
    client = await served.ready()
    await client.say(start("a", "wait"), start("b", "wait"))
    await client.hears("started", "started")
    await client.say(start("c", "hello"))
    [error] = await client.hears("error")
    assert (error["id"], error["error"]["code"], error["error"]["retry_after_s"]) == ("c", "rate_limit_exceeded", 1.0)
    await client.say({"type": "cancel", "id": "a"})
    await client.hears("cancelled")
    await client.say(start("c", "hello"))
    assert text_of(await client.until("done")) == "hello"


@pytest.mark.parametrize(
    ("request_body", "param", "code"),
    [
        ({"model": "m"}, "messages", None),
        ({"messages": [], "prompt": ""}, "prompt", None),
        ({"messages": [], "n": 2}, "n", "unsupported_parameter"),
        ({"messages": [], "n": "2"}, "n", None),
        ({"messages": [], "stream": "no"}, "stream", None),
        ([], None, None),
        ("text", None, None),
    ],
)
async def test_a_request_that_cannot_be_is_the_end_of_its_conversation(
    served: Served, request_body: Any, param: str | None, code: str | None
) -> None:
    client = await served.ready()
    await client.say({"type": "start", "id": "c1", "request": request_body})
    [error] = await client.hears("error")
    assert (error["id"], error["error"]["param"], error["error"]["code"]) == ("c1", param, code)


async def test_leaving_cancels_everything_within_a_second(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say(*(start(f"c{number}", "wait") for number in range(8)))
    await client.hears(*["started"] * 8)
    async with asyncio.timeout(1):
        await client.connection.close()
        await asked.until(lambda: asked.under_way == 0)
    assert asked.cancelled == 8


async def test_a_connection_that_is_reset_cancels_everything_within_a_second(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say(start("c1", "wait"), start("c2", "wait", stream=False))
    await asked.until(lambda: asked.begun == 2)
    async with asyncio.timeout(1):
        client.connection.transport.abort()
        await asked.until(lambda: asked.under_way == 0)


async def test_a_fault_of_ours_hides_its_internals(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say({"type": "start", "id": "c1", "request": {"messages": [{}]}})  # the fake breaks on it
    [error] = await client.hears("error")
    assert error["error"]["code"] == "internal_error"
    assert "KeyError" not in error["error"]["message"]
    await client.say(start("c1", "hello"))
    await client.until("done")
