"""The ollama backend with an Ollama that is away, comes back, breaks off, talks nonsense or nothing at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from hyperinfer.errors import (
    BackendFailed,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unavailable,
)
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.servers.ollama import Fault, OllamaModel, OllamaServer
from hyperinfer.testing.servers.process import HOST, free_port
from hyperinfer.testing.serving import Heard, Serving
from hyperinfer.workers.inference.backends.ollama.backend import Ollama, open_ollama
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

MODEL = OllamaModel("smollm2:135m")
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 2 + 2?"}]}
QUICK: dict[str, Any] = {"look_every_s": 0.05, "look_timeout_s": 0.5, "grace_s": 0.0}
House = Serving[Ollama]


@asynccontextmanager
async def serving(url: str, *, service: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[House]:
    there = House(**(service or {}))
    wanted = OllamaSettings(**{"url": url, **QUICK, **settings})
    async with there.running(open_ollama(wanted, clock=SystemClock(), changed=there.changed, found=there.service.add)):
        yield there


@asynccontextmanager
async def house(*, service: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[tuple[House, OllamaServer]]:
    async with OllamaServer.running(MODEL) as server, serving(server.url, service=service, **settings) as there:
        await there.until(lambda found: MODEL.name in found)
        yield there, server


# --- away and back ---------------------------------------------------------------------------------------


async def test_its_models_leave_and_rejoin_as_it_goes_and_comes_back() -> None:
    async with house() as (there, server):
        await server.stop()
        await there.until(lambda found: not found)
        assert server.url in there.backend.away
        [status] = there.service.status().backends
        assert (status.available, status.models) == (False, 0)
        with pytest.raises(ModelNotFound):
            await there.ask(CHAT, model=MODEL.name)
        await server.start()
        await there.until(lambda found: MODEL.name in found)
        assert (await there.whole(CHAT))["choices"][0]["finish_reason"] == "stop"


async def test_for_a_while_its_models_are_away_rather_than_gone() -> None:
    async with house(grace_s=60) as (there, server):
        await server.stop()
        await there.until(lambda found: found[MODEL.name].state == "away")
        with pytest.raises(Unavailable) as caught:
            await there.ask(CHAT, model=MODEL.name)
        assert caught.value.details["retry_after_s"] > 0
        await server.start()
        await there.until(lambda found: found[MODEL.name].state == "idle")


async def test_a_request_that_finds_nobody_is_retryable_and_has_the_server_looked_at() -> None:
    async with house(look_every_s=60, grace_s=60) as (there, server):
        await server.stop()
        with pytest.raises(Unavailable) as caught:
            await there.ask(CHAT)
        assert caught.value.retryable
        await there.until(lambda found: found[MODEL.name].state == "away")


async def test_a_model_that_is_gone_is_noticed_by_the_request_for_it() -> None:
    async with house(look_every_s=60) as (there, server):
        server.models.clear()
        with pytest.raises(ModelNotFound):
            await there.ask(CHAT, model=MODEL.name)
        await there.until(lambda found: not found)


async def test_where_there_is_none_nothing_is_said() -> None:
    with structlog.testing.capture_logs() as logs:
        async with serving(f"http://{HOST}:{free_port()}") as there:
            await there.until(lambda _: "There is no Ollama" in there.backend.away)
            assert there.models == {}
            assert there.service.status().backends == ()
    assert logs == []


async def test_where_one_has_to_be_its_absence_is_said_once() -> None:
    with structlog.testing.capture_logs() as logs:
        async with OllamaServer.running(MODEL) as server:
            await server.stop()
            async with serving(server.url, enabled=True) as there:
                await there.until(lambda _: "There is no Ollama" in there.backend.away)
                assert [backend.available for backend in there.service.status().backends] == [False]
                await server.start()
                await there.until_there()
    assert [(log["log_level"], log["available"]) for log in logs if log["event"] == "backend"] == [
        ("warning", False),
        ("info", True),
    ]


async def test_a_key_that_is_refused_is_said_to_the_operator_alone() -> None:
    async with house(api_key="hunter2", look_every_s=60) as (there, server):
        server.will.key = "another"
        with pytest.raises(BackendFailed) as caught:
            await there.ask(CHAT)
        assert "key" not in caught.value.message
        await there.until(lambda found: not found)
        assert "refuses our key (401)" in there.backend.away
        assert "hunter2" not in there.backend.away


async def test_a_server_that_is_no_ollama_is_away() -> None:
    async with house() as (there, server):
        server.will.fault = "page_of_models"
        await there.until(lambda found: not found)
        server.will.fault = "none"
        await there.until(bool)


async def test_redirects_are_not_followed() -> None:
    async with OllamaServer.running(MODEL) as other, house(look_every_s=60) as (there, server):
        server.will.redirects_to = f"{other.url}/api/chat"
        with pytest.raises(BackendFailed):
            await there.ask(CHAT)
        await there.until(lambda found: not found)
        assert "307" in there.backend.away
        assert other.record.asked == []


async def test_a_server_that_takes_connections_and_says_nothing_is_away() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(silent, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with serving(f"http://{HOST}:{port}", look_timeout_s=0.1) as there:
            await there.until(lambda _: "does not answer in time" in there.backend.away)
        gone.set()


# --- answers that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault_after", [0, 2])
@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("fault", ["dies", "error", "garbage", "no_end", "page", "huge_line"])
async def test_an_answer_that_breaks_is_a_failure(fault: Fault, fault_after: int, *, is_streamed: bool) -> None:
    async with house() as (there, server):
        server.will.fault, server.will.fault_after = fault, fault_after
        heard = Heard()
        with pytest.raises(BackendFailed) as caught:
            await there.ask({**CHAT, "stream": is_streamed}, send=heard if is_streamed else None)
        assert caught.value.retryable
        assert "EOF" not in caught.value.message
        server.will.fault = "none"
        assert (await there.whole(CHAT))["choices"][0]["message"]["content"] == "The answer is: 4"


@pytest.mark.parametrize("kind", ["completion", "embedding"])
async def test_texts_and_vectors_fail_alike(kind: Any) -> None:
    embedder = OllamaModel("minilm:latest", ("embedding",))
    async with house() as (there, server):
        server.models[embedder.name] = embedder
        await there.until(lambda found: embedder.name in found)
        body = {"prompt": "a"} if kind == "completion" else {"input": "a"}
        server.will.refuses = (500, "an error was encountered while running the model: unexpected EOF")
        with pytest.raises(BackendFailed):
            await there.ask(body, kind=kind, model=MODEL.name if kind == "completion" else embedder.name)


async def test_silence_in_mid_answer_is_a_failure() -> None:
    async with house(service={"stall_timeout_s": 0.2}) as (there, server):
        server.will.fault = "stalls"
        heard = Heard()
        with pytest.raises(BackendFailed, match=r"nothing for 0\.2 s"):
            await there.ask({**CHAT, "stream": True}, send=heard)
        assert heard.text == "The answer is:"
        async with asyncio.timeout(1):
            await server.record.dropped.wait()


@pytest.mark.parametrize(("service", "settings"), [({"first_token_timeout_s": 0.2}, {}), ({}, {"load_timeout_s": 0.2})])
async def test_silence_before_an_answer_is_a_failure(service: dict[str, Any], settings: dict[str, Any]) -> None:
    async with house(service=service, **settings) as (there, server):
        server.will.hold = asyncio.Event()
        with pytest.raises(BackendFailed, match=r"nothing for 0\.2 s"):
            await there.ask(CHAT)
        async with asyncio.timeout(1):
            await server.record.dropped.wait()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (503, "server busy, please try again.  maximum pending requests exceeded", Overloaded),
        (500, "model requires more system memory (8.4 GiB) than is available (3.1 GiB)", Unavailable),
        (500, "llama runner process has terminated: exit status 2", BackendFailed),
    ],
)
async def test_refusals_of_a_running_server(status: int, text: str, kind: type[HyperinferError]) -> None:
    async with house() as (there, server):
        server.will.refuses = (status, text)
        with pytest.raises(kind) as caught:
            await there.ask(CHAT)
        assert type(caught.value) is kind
        assert caught.value.retryable


async def test_an_unloaded_model_that_somebody_else_uses_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hyperinfer.workers.inference.backends.ollama.backend.UNLOADED_WITHIN_S", 0.3)
    async with house() as (there, server):
        await there.service.load(MODEL.name)
        server.will.keeps_loaded = True
        with pytest.raises(Unavailable, match="somebody else"):
            await there.service.unload(MODEL.name)
