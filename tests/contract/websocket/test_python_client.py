"""`/ws` of the whole product as the `websockets` client sees it: many sockets at once, and what goes wrong on some."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .conftest import SOCKETS, House, house, memory_bytes, said, show, start

pytestmark = pytest.mark.slow


def key_of(home: House) -> dict[str, str]:
    return {"Authorization": f"Bearer {home.key}"}


async def hear(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(30):
        heard: dict[str, Any] = json.loads(await connection.recv())
    return heard


async def until(connection: ClientConnection, kind: str) -> dict[str, Any]:
    while (heard := await hear(connection))["type"] != kind:
        pass
    return heard


async def one_socket(home: House, number: int) -> dict[str, str]:
    """Three conversations: one to its end, one cancelled in mid-answer, one that is refused or to its end as well."""
    texts: dict[str, str] = {"a": "", "b": "", "c": ""}
    ends: dict[str, str] = {}
    async with connect(home.ws, additional_headers=key_of(home)) as connection:
        await until(connection, "authenticated")
        model = "missing" if number % 2 else "echo"
        await connection.send(start("a", said(number, "a")))
        await connection.send(start("b", said(number, "b")))
        await connection.send(start("c", said(number, "c"), model=model))
        while len(ends) < 3:
            message = await hear(connection)
            kind, conversation = message["type"], message.get("id", "")
            if kind == "delta":
                if conversation == "b" and not texts["b"]:
                    await connection.send(json.dumps({"type": "cancel", "id": "b"}))
                texts[conversation] += message["text"]
            elif kind in ("done", "error", "cancelled"):
                assert conversation not in ends
                ends[conversation] = kind
    assert texts["a"] == said(number, "a")
    assert said(number, "b").startswith(texts["b"])
    assert texts["c"] == ("" if number % 2 else said(number, "c"))
    return ends


async def test_two_hundred_sockets_of_three_conversations(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    before, began = memory_bytes(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one_socket(home, number)) for number in range(SOCKETS)]
    show(capsys, "Python client", time.perf_counter() - began, memory_bytes() - before)
    for number, task in enumerate(tasks):
        assert task.result() == {"a": "done", "b": "cancelled", "c": "error" if number % 2 else "done"}, number
    await home.until_idle()


async def test_sockets_that_are_cut_in_mid_answer_leave_no_slot_taken(home: House) -> None:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(connect(home.ws, additional_headers=key_of(home))) for _ in range(20)
        ]
        for connection in connections:
            for conversation in "abc":
                await connection.send(start(conversation, "word " * 2000))
            await until(connection, "delta")
        assert await home.busy() > 0
        for connection in connections:
            connection.transport.abort()
        await home.until_idle(timeout_s=2.0)


async def test_a_key_that_is_revoked_starts_nothing_more(home: House) -> None:
    async with home.http.post("/api/auth/api-keys", json={"name": "short"}) as reply:
        made = await reply.json()
    async with connect(home.ws, additional_headers={"X-API-Key": made["key"]}) as connection:
        await connection.send(start("a", "hello"))
        await until(connection, "done")
        async with home.http.delete(f"/api/auth/api-keys/{made['id']}") as reply:
            assert reply.status == 200
        heard: dict[str, Any] = {"type": "done"}
        async with asyncio.timeout(10):
            while heard["type"] == "done":  # until the gateway has heard of it
                await connection.send(start("a", "hello"))
                heard = await hear(connection)
                if heard["type"] == "started":
                    heard = await until(connection, "done")
        assert heard["error"]["code"] == "invalid_api_key"
        await connection.send(json.dumps({"type": "auth", "key": home.key}))
        await until(connection, "authenticated")
        await connection.send(start("b", "hello"))
        await until(connection, "done")


async def test_a_key_that_may_not_ask_models_opens_no_socket(home: House) -> None:
    async with home.http.post("/api/auth/api-keys", json={"name": "reader", "scopes": ["usage"]}) as reply:
        key = (await reply.json())["key"]
    with pytest.raises(InvalidStatus) as raised:
        await connect(home.ws, additional_headers={"X-API-Key": key})
    assert raised.value.response.status_code == 403


async def test_a_gateway_that_stops_lets_answers_end(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(house(tmp_path, token_s=0.02))
        connection = await connect(home.ws, additional_headers=key_of(home))
        await connection.send(start("a", said(1, "a")))
        await until(connection, "started")
        stopping = asyncio.create_task(stack.aclose())
        texts, heard = "", await hear(connection)
        while heard["type"] == "delta":
            texts += heard["text"]
            heard = await hear(connection)
        assert (heard["type"], texts) == ("done", said(1, "a"))
        with pytest.raises(ConnectionClosed):
            await hear(connection)
        assert connection.close_code == 1012
        await stopping
