"""The bridge: the whole surface from a machine outside the swarm, whoever asks, and whether the gateway is there or not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.conftest import House, house

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.errors import ConfigError, PeerUnreachable, StartError
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.calls import Call
from hyperinfer.kernel.compose import running
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.auth import PASSWORD
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference, echo
from hyperinfer.testing.swarm import part
from hyperinfer.workers.client.reach import Gone, Reached
from hyperinfer.workers.client.worker import WORKER

from .conftest import BODY, Bridged, bridged, link_of


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference("m", slots=64)


@pytest.fixture
async def home(tmp_path: Path, inference: FakeInference) -> AsyncIterator[House]:
    async with house(tmp_path / "swarm", inference) as one:
        yield one


@pytest.fixture
async def bridge(home: House, tmp_path: Path) -> AsyncIterator[Bridged]:
    async with bridged(home, tmp_path / "outside") as one:
        yield one


async def test_it_serves_the_gateways_whole_surface(home: House, bridge: Bridged) -> None:
    status, answer = await bridge.chat(home.key)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "one two three"
    streamed = await bridge.stream(home.key)
    assert streamed.endswith("data: [DONE]\n\n")
    assert [word for word in ("one", "two", "three") if f'"{word}"' in streamed] == ["one", "two", "three"]
    for path in ("/v1/models", "/api/models", "/api/quota", "/api/workers"):
        status, text = await bridge.get(path, **{"X-API-Key": home.key})
        assert status == 200, text
    for path in ("/openapi.json", "/docs", "/.well-known/jwks.json", "/health"):
        status, _ = await bridge.get(path)
        assert status == 200
    async with bridge.http.post(
        "/inference", json={"query": "hi"}, headers={"Authorization": f"Bearer {home.key}"}
    ) as got:
        assert (await got.json())["response"] == "one two three"


async def test_it_speaks_websocket_too(home: House, bridge: Bridged) -> None:
    heard: list[dict[str, Any]] = []
    async with bridge.http.ws_connect("/ws", headers={"Authorization": f"Bearer {home.key}"}) as socket:
        await socket.send_json({"type": "start", "id": "c1", "request": BODY})
        while not heard or heard[-1]["type"] not in ("done", "error"):
            heard.append(await socket.receive_json(timeout=10))
    assert heard[-1]["type"] == "done"
    assert "".join(one["text"] for one in heard if one["type"] == "delta") == "onetwothree"


async def test_its_health_and_metrics_are_its_own(home: House, bridge: Bridged) -> None:
    await bridge.chat(home.key)
    status, text = await bridge.get("/readyz")
    assert (status, json.loads(text)["service"]) == (200, "client")
    _, text = await bridge.get("/metrics")
    assert 'ai_platform_requests_total{method="processInferenceRequest",service="client",status="ok"} 1.0' in text
    await eventually(lambda: _is(bool(bridge.news)))
    assert "ai_platform_gateway_reached 1.0" in (await bridge.get("/metrics"))[1]
    await home.stop("gateway")
    await eventually(lambda: _is(isinstance(bridge.news[-1], Gone)))
    status, text = await bridge.get("/readyz")
    assert status == 503
    assert "hyper://" in json.loads(text)["reasons"][0]
    assert (await bridge.get("/healthz"))[0] == 200
    assert (await bridge.get("/health"))[0] == 200
    assert "ai_platform_gateway_reached 0.0" in (await bridge.get("/metrics"))[1]


async def test_a_large_body_passes_with_a_key_and_not_without(
    home: House, inference: FakeInference, bridge: Bridged
) -> None:
    large: list[Any] = [{"role": "user", "content": "x" * 7_000_000}]
    status, answer = await bridge.chat(home.key, messages=large)
    assert status == 200, answer
    assert len(bytes(inference.requests[-1].body)) > 7_000_000
    status, answer = await bridge.chat("hi_nobody", messages=large)
    assert status == 401
    async with bridge.http.post("/login", json={"email": "x" * 70_000}) as got:
        assert got.status == 400


async def test_many_people_behind_one_bridge_are_not_one_stranger(
    home: House, inference: FakeInference, bridge: Bridged
) -> None:
    inference.report(slots=1000)
    arrived, go = asyncio.Semaphore(0), asyncio.Event()

    async def wait(request: ProcessRequest, call: Call) -> Processed:
        arrived.release()
        await go.wait()
        return await echo(request, call)

    inference.answer = wait
    asking = [asyncio.create_task(bridge.chat(home.key)) for _ in range(300)]
    for _ in asking:
        await arrived.acquire()
    go.set()
    assert {status for status, _ in await asyncio.gather(*asking)} == {200}


# --- nobody's identity but the caller's ---------------------------------------------------------------------------


async def test_nobody_is_taken_for_somebody_else(home: House, bridge: Bridged, tmp_path: Path) -> None:
    home.auth.person("bob")
    async with bridge.http.post("/login", json={"email": "bob@example.com", "password": PASSWORD}) as got:
        assert got.status == 200
        assert "set-cookie" not in got.headers
        token = (await got.json())["token"]
    assert await _who(bridge, token) == "bob@example.com"
    assert (await bridge.chat())[0] == 401
    assert await _who(bridge, home.key) == "ada@example.com"
    assert (await bridge.get("/verify-session", verb="POST"))[0] == 401
    async with bridged(home, tmp_path / "second") as other:
        assert (await other.chat())[0] == 401
        names = await asyncio.gather(*(_who(one, key) for one in (bridge, other) * 20 for key in (token, home.key)))
    assert names == ["bob@example.com", "ada@example.com"] * 40


async def _who(bridge: Bridged, key: str) -> str:
    status, text = await bridge.get("/verify-session", verb="POST", Authorization=f"Bearer {key}")
    assert status == 200, text
    email: str = json.loads(text)["email"]
    return email


async def test_what_it_may_lend_is_lent_for_models_alone(home: House, tmp_path: Path) -> None:
    links: list[str] = []

    def lender(link: str) -> Any:
        links.append(link)
        return lambda: home.key

    async with bridged(home, tmp_path / "outside", lender=lender, use_local_session=True) as bridge:
        assert links == [link_of(home)]
        assert (await bridge.chat())[0] == 200
        assert (await bridge.chat("hi_wrong"))[0] == 401
        assert (await bridge.get("/v1/models"))[0] == 200
        assert (await bridge.get("/v1/models", **{"Sec-Fetch-Site": "cross-site"}))[0] == 401
        assert (await bridge.get("/v1/models", Origin="https://evil.example"))[0] == 401
        assert (await bridge.get("/v1/models", Host="evil.example"))[0] == 403
        for path in ("/api/me", "/api/auth/api-keys", "/api/models"):
            assert (await bridge.get(path))[0] == 401
        assert (await bridge.get("/get-api-token", verb="POST"))[0] == 401


# --- a gateway that goes and comes back ---------------------------------------------------------------------------


async def test_a_request_waits_for_a_gateway_that_is_away_and_then_says_so(home: House, tmp_path: Path) -> None:
    async with bridged(home, tmp_path / "outside", wait_s=20.0) as bridge:
        assert (await bridge.chat(home.key))[0] == 200
        await home.stop("gateway")
        waiting = asyncio.create_task(bridge.chat(home.key))
        await eventually(lambda: _is(bool(bridge.worker.not_ready())))
        await home.start("gateway")
        assert (await waiting)[0] == 200
        await eventually(lambda: _is([type(one) for one in bridge.news] == [Reached, Gone, Reached]))


async def test_a_request_that_waited_in_vain_is_told_when_to_come_again(home: House, bridge: Bridged) -> None:
    assert (await bridge.chat(home.key))[0] == 200
    await home.stop("gateway")
    async with bridge.http.post("/v1/chat/completions", json={}, headers={"X-API-Key": home.key}) as got:
        assert got.status == 503
        assert int(got.headers["retry-after"]) > 0
        message = (await got.json())["error"]["message"]
    assert f"hyper://{home.running['gateway'].public_key.hex()[:12]}…" in message
    assert "since" in message
    async with bridge.http.post("/inference", json={"query": "hi"}, headers={"X-API-Key": home.key}) as got:
        assert got.status == 503
        assert (await got.json())["success"] is False


async def test_a_stream_that_is_cut_says_so(home: House, inference: FakeInference, bridge: Bridged) -> None:
    async def hang(request: ProcessRequest, call: Call) -> Processed:
        chunk = {"id": request.completion_id, "choices": [{"index": 0, "delta": {"content": "one"}}]}
        await call.stream([json.dumps(chunk).encode()])
        await asyncio.Event().wait()
        raise AssertionError

    inference.answer = hang
    headers = {"Authorization": f"Bearer {home.key}"}
    async with bridge.http.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=headers) as reply:
        assert b"one" in await reply.content.readuntil(b"\n\n")
        await home.kill("gateway")
        rest = await reply.text()
    assert json.loads(rest.removeprefix("data: "))["error"]["message"].startswith(
        "The connection to the gateway was lost"
    )
    assert len(inference.requests) == 1


async def test_who_hangs_up_at_the_bridge_ends_the_work_behind_it(
    home: House, inference: FakeInference, bridge: Bridged
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: ProcessRequest, call: Call) -> Processed:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    inference.answer = hang
    asking = asyncio.create_task(bridge.chat(home.key))
    await begun.wait()
    asking.cancel()
    async with asyncio.timeout(5):
        await cancelled.wait()


# --- how it starts ------------------------------------------------------------------------------------------------


async def test_nobody_can_call_it(home: House, bridge: Bridged) -> None:
    stranger = await home.net.open(from_seed(b"x" * 32))
    with pytest.raises(PeerUnreachable):
        await stranger.connect(bridge.worker.public_key, _NOBODY, timeout_s=1)


_NOBODY: Any = object()


async def test_a_machine_of_the_swarm_needs_no_link(home: House) -> None:
    async with bridged(home, home.home, gateway="") as bridge:
        assert (await bridge.chat(home.key))[0] == 200


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({}, StartError, "belongs to no swarm"),
        ({"gateway": "http://127.0.0.1:3000"}, ConfigError, "A link is hyper://"),
        ({"gateway": f"hyper://{'ab' * 32}", "use_local_session": True}, StartError, "there is none here"),
        (
            {"gateway": f"hyper://{'ab' * 32}", "use_local_session": True, "http__host": "0.0.0.0"},
            StartError,
            "whoever reaches 0.0.0.0",
        ),
    ],
    ids=["no gateway", "no link", "nothing to lend", "lent to a network"],
)
async def test_what_cannot_be_meant_stops_it(
    tmp_path: Path, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        async with running([part(WORKER, home=tmp_path, http__port=0, **settings)], home=tmp_path, net=MemoryNet()):
            pass


async def _is(value: bool) -> bool:
    return value
