"""Whose a socket is: by the handshake's headers or by a message, in time, and only while the key is valid."""

import asyncio
import json

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from hyperinfer.edge.ws import places, session

from .conftest import KEY, Asked, Serve, Served, start, text_of

NOBODY: dict[str, str] = {}


@pytest.mark.parametrize("headers", [KEY, {"X-API-Key": "hi_ada"}])
async def test_a_key_in_the_headers(served: Served, headers: dict[str, str]) -> None:
    client = await served.open(headers=headers)
    ready, authenticated = await client.hears("ready", "authenticated")
    assert ready == {"type": "ready", "version": 1, "max_conversations": 32, "max_message_bytes": 8 * 1024 * 1024}
    assert authenticated["username"] == "ada"
    assert authenticated["limits"]["remaining_requests"] == 9


async def test_a_key_in_a_message(served: Served) -> None:
    client = await served.open(headers=NOBODY)
    [ready] = await client.hears("ready")
    assert ready["auth_within_s"] == session.AUTH_S
    await client.say({"type": "auth", "key": "hi_bob"})
    [authenticated] = await client.hears("authenticated")
    assert authenticated["username"] == "bob"
    await client.say(start("c1", "hello"))
    assert text_of(await client.until("done")) == "hello"


async def test_another_key_counts_for_what_is_started_from_then_on(served: Served, asked: Asked) -> None:
    client = await served.ready()
    await client.say({"type": "auth", "key": "hi_bob"}, start("c1", "hello"))
    await client.until("done")
    await client.say({"type": "auth", "key": "hi_nobody"}, start("c2", "hello"))
    await client.hears("error")
    await client.until("done")
    keys = [meta.key for name, _, meta in asked.fake.calls if name == "processInferenceRequest"]
    assert keys == ["hi_bob", "hi_bob"]


async def test_a_wrong_key_in_the_headers_is_refused_before_there_is_a_socket(served: Served) -> None:
    with pytest.raises(InvalidStatus) as raised:
        await served.open(headers={"Authorization": "Bearer hi_nobody"})
    response = raised.value.response
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert json.loads(bytes(response.body or b""))["error"]["code"] == "invalid_api_key"


async def test_a_wrong_key_in_a_message_is_the_end(served: Served) -> None:
    client = await served.open(headers=NOBODY)
    await client.hears("ready")
    await client.say({"type": "auth", "key": "hi_nobody"})
    [error] = await client.hears("error")
    assert error["error"]["type"] == "authentication_error"
    assert await client.closed() == (4401, "the key is not valid")


async def test_without_a_key_nothing_is_started(served: Served, asked: Asked) -> None:
    client = await served.open(headers=NOBODY)
    await client.hears("ready")
    await client.say(start("c1", "hello"))
    [error] = await client.hears("error")
    assert (error["id"], error["error"]["type"]) == ("c1", "authentication_error")
    assert asked.fake.calls == []


async def test_a_cookie_is_no_key(served: Served) -> None:
    client = await served.open(headers={"Cookie": "hi_session=hi_ada"})
    [ready] = await client.hears("ready")
    assert "auth_within_s" in ready


async def test_a_key_has_to_come_in_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "AUTH_S", 0.05)
    client = await served.open(headers=NOBODY)
    assert await client.closed() == (4408, "no key came in time")


async def test_who_waits_longest_for_a_key_makes_room(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_WAITING", 2)
    clients = [await served.open(headers=NOBODY) for _ in range(3)]
    assert await clients[0].closed() == (4408, "no key came in time")
    for client in clients[1:]:
        await client.say({"type": "auth", "key": "hi_ada"})
        await client.hears("ready", "authenticated")


async def test_a_revoked_key_starts_nothing_and_another_is_waited_for(
    served: Served, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await served.ready()
    await client.say(start("c1", "wait"))
    await client.hears("started")
    del asked.keys["hi_ada"]
    await client.say(start("c2", "hello"))
    [error] = await client.hears("error")
    assert (error["id"], error["error"]["code"]) == ("c2", "invalid_api_key")
    await client.say({"type": "auth", "key": "hi_bob"}, start("c3", "hello"))
    assert text_of(await client.until("done")) == "hello"

    monkeypatch.setattr(session, "AUTH_S", 0.05)
    del asked.keys["hi_bob"]
    await client.say(start("c4", "hello"))
    assert await client.closed() == (4408, "no key came in time")
    async with asyncio.timeout(1):
        await asked.until(lambda: asked.under_way == 0)


async def test_no_more_sockets_than_so_many_of_one_person(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_OF_PERSON", 1)
    first = await served.ready()
    with pytest.raises(InvalidStatus) as raised:
        await served.open()
    assert raised.value.response.status_code == 429
    second = await served.open(headers=NOBODY)
    await second.say({"type": "auth", "key": "hi_ada"})
    await second.hears("ready", "error")
    code, reason = await second.closed()
    assert (code, "1 sockets open" in (reason or "")) == (4429, True)
    await served.ready(headers={"X-API-Key": "hi_bob"})
    await first.connection.close()
    again = await served.open(headers=NOBODY)
    await again.say({"type": "auth", "key": "hi_ada"})
    await again.hears("ready", "authenticated")


async def test_half_of_all_connections_may_be_sockets(serve: Serve, asked: Asked) -> None:
    served = await serve(asked.fake, max_connections=2)
    await served.ready()
    with pytest.raises(InvalidStatus) as raised:
        await served.open()
    assert raised.value.response.status_code == 503
    assert raised.value.response.headers["retry-after"] == "5"


# --- what every request goes through ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Authorization": "Bearer hi_ada", "X-API-Key": "hi_bob"}, 400),
        ({"Host": "rebound.example"}, 403),
    ],
)
async def test_who_may_not_ask_may_not_connect(served: Served, headers: dict[str, str], status: int) -> None:
    with pytest.raises(InvalidStatus) as raised:
        await served.open(headers=headers)
    response = raised.value.response
    assert response.status_code == status
    assert "message" in json.loads(bytes(response.body or b""))["error"]
    assert response.headers["x-request-id"].startswith("req_")


async def test_pages_of_ours_and_those_that_are_named_may_connect(serve: Serve, asked: Asked) -> None:
    served = await serve(asked.fake, origins=("https://app.example",))
    for origin in ("https://app.example", served.url):
        await served.ready(headers=KEY | {"Origin": origin})


async def test_a_key_in_the_address_is_refused(served: Served) -> None:
    served.ws += "?api_key=hi_ada"
    with pytest.raises(InvalidStatus) as raised:
        await served.open()
    assert raised.value.response.status_code == 400


async def test_there_is_no_other_socket(served: Served) -> None:
    served.ws = served.ws.replace("/ws", "/v1/chat/completions")
    with pytest.raises(InvalidStatus) as raised:
        await served.open()
    assert raised.value.response.status_code == 404


async def test_a_request_that_is_no_handshake_is_told_so(served: Served) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{served.url}/ws", headers=KEY) as answer:
        assert answer.status == 426
        assert answer.headers["upgrade"] == "websocket"
        assert (await answer.json())["error"]["code"] == "upgrade_required"
