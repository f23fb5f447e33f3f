"""The openai backend with a server that answers and fails as it is told to: what it sends, what it takes, and when it is away."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest
from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ContextExceeded,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unavailable,
    Unsupported,
)
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer, Refusal, vector_of
from hyperinfer.workers.inference.backends import End, Job
from hyperinfer.workers.inference.backends.openai.backend import OpenAIServer as Backend
from hyperinfer.workers.inference.backends.openai.backend import open_openai
from hyperinfer.workers.inference.backends.openai.servers import servers_of
from hyperinfer.workers.inference.backends.openai.settings import OpenAISettings, ServerSettings

HELLO = [{"role": "user", "content": "What is 2 + 2?"}]
TEXT = "The answer is: 4"


class House:
    """A backend at a server. `until` waits for what it says of itself."""

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self.backend: Backend
        self.pieces: list[ChunkChoice] = []
        self._changed = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        task = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[Backend], bool], timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition(self.backend))

    async def there(self) -> None:
        await self.until(lambda backend: not backend.away and bool(backend.models()))

    async def emit(self, pieces: Sequence[ChunkChoice]) -> None:
        self.pieces += pieces

    async def chat(self, messages: Any = None, *, model: str = "m", so_far: str = "", **params: Any) -> End:
        body = {"messages": messages or HELLO, **params}
        encoded = msgspec.json.encode(body)
        asked = msgspec.json.decode(encoded, type=ChatRequest)
        self.pieces.clear()
        async with asyncio.timeout(10):
            return await self.backend.chat(Job(model, asked, encoded, so_far), self.emit)

    async def complete(self, *, so_far: str = "", **params: Any) -> End:
        encoded = msgspec.json.encode({"prompt": "One", **params})
        asked = msgspec.json.decode(encoded, type=CompletionRequest)
        self.pieces.clear()
        async with asyncio.timeout(10):
            return await self.backend.complete(Job("m", asked, encoded, so_far), self.emit)

    async def embed(self, texts: Any, **params: Any) -> Any:
        encoded = msgspec.json.encode({"input": texts, **params})
        asked = msgspec.json.decode(encoded, type=EmbeddingRequest)
        async with asyncio.timeout(10):
            return await self.backend.embed(Job("embedder", asked, encoded))

    def text(self, index: int = 0) -> str:
        return "".join(piece.delta.content or "" for piece in self.pieces if piece.index == index)

    @property
    def sent(self) -> Any:
        return self.server.record.asked[-1].body


@asynccontextmanager
async def house(*models: OpenAIModel, **settings: Any) -> AsyncIterator[House]:
    async with OpenAIServer.running(*(models or (OpenAIModel("m"), OpenAIModel("embedder")))) as server:
        running = House(server)
        server.will.key = settings.pop("shown_key", "")
        given = {"name": "box", "url": server.url, "look_every_s": 0.2, **settings}
        [one] = servers_of(OpenAISettings(servers=(msgspec.convert(given, ServerSettings),)))
        async with open_openai(one, clock=SystemClock(), changed=running.changed) as backend:
            running.backend = backend
            yield running


async def raised(asking: Any) -> HyperinferError:
    with pytest.raises(HyperinferError) as caught:
        await asking
    return caught.value


# --- what it sends -------------------------------------------------------------------------------------------


async def test_a_request_goes_on_as_it_is_but_for_who_asks_and_how() -> None:
    async with house(models={"fine": "m"}, parameters={"top_k": 5}, drop=["verbosity"], flavor="vllm") as running:
        await running.there()
        end = await running.chat(
            model="fine",
            max_completion_tokens=50,
            min_p=0.1,
            chat_template_kwargs={"enable_thinking": False},
            user="alice",
            metadata={"a": "b"},
            store=True,
            service_tier="flex",
            verbosity="medium",
            top_k=99,
            stream=False,
        )
        assert running.sent == {
            "messages": HELLO,
            "min_p": 0.1,
            "chat_template_kwargs": {"enable_thinking": False},
            "max_tokens": 50,
            "top_k": 5,
            "model": "m",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    assert running.text() == TEXT
    assert end.finish_reasons == ("stop",)
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (5, 4)


async def test_a_field_that_reaches_into_the_server_is_refused_by_name() -> None:
    async with house() as running:
        await running.there()
        error = await raised(running.chat(kv_transfer_params={"remote_host": "10.0.0.1"}))
        assert isinstance(error, Unsupported)
        assert error.details["param"] == "kv_transfer_params"
        assert (await running.chat(priority=None)).finish_reasons == ("stop",)


async def test_key_headers_and_organization_are_shown_and_the_key_may_be_in_a_file(tmp_path: Any) -> None:
    (tmp_path / "key").write_text("sk-planted\n")
    more = {"headers": {"X-Team": "a"}, "organization": "org", "project": "p", "shown_key": "sk-planted"}
    async with house(api_key_file=str(tmp_path / "key"), **more) as running:
        await running.there()
        await running.chat()
        headers = running.server.record.asked[-1].headers
    assert (headers["x-team"], headers["openai-organization"], headers["openai-project"]) == ("a", "org", "p")
    assert "accept-encoding" not in headers


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("vllm", {"continue_final_message": True, "add_generation_prompt": False}),
        ("sglang", {"continue_final_message": True, "add_generation_prompt": False}),
        ("llamacpp", {"return_progress": True}),
    ],
)
async def test_an_answer_is_gone_on_with_as_each_server_has_it(owner: str, expected: dict[str, Any]) -> None:
    async with house(OpenAIModel("m", owned_by=owner)) as running:
        running.server.will.joins_last = owner == "llamacpp"
        await running.there()
        assert "continues" in running.backend.models()[0].capabilities
        end = await running.chat(so_far="The answer", temperature=0)
        assert running.sent["messages"] == [*HELLO, {"role": "assistant", "content": "The answer"}]
        assert expected.items() <= running.sent.items()
        assert running.text() == " is: 4"
        assert end.usage.completion_tokens == 2
        await running.complete(so_far=" two", prompt="One")
        assert running.sent["prompt"] == "One two"


async def test_texts_are_limited_as_openai_s_are_and_told_in_chats_logprobs() -> None:
    async with house() as running:
        await running.there()
        running.server.will.text = "One two three"
        end = await running.complete(prompt="One", logprobs=1, echo=True)
        assert running.sent["max_tokens"] == 16
        assert "echo" not in running.sent
        assert running.text() == " two three"
        assert isinstance(running.pieces[0].logprobs, msgspec.Raw)
        [token] = json.loads(bytes(running.pieces[0].logprobs))["content"]
    one = {"token": " two", "logprob": -0.5, "bytes": list(b" two")}
    assert token == {**one, "top_logprobs": [one]}
    assert end.finish_reasons == ("stop",)


# --- what it takes -------------------------------------------------------------------------------------------


async def test_thoughts_tools_logprobs_and_several_answers_come_through() -> None:
    async with house() as running:
        await running.there()
        will = running.server.will
        for will.thinks_in in ("reasoning", "reasoning_content"):
            will.thinking = "Hm, hm."
            await running.chat()
            assert "".join(piece.delta.reasoning_content or "" for piece in running.pieces) == "Hm, hm."
            assert running.text() == TEXT
        will.thinking = ""
        end = await running.chat(n=3, logprobs=True)
        assert [running.text(index) for index in range(3)] == [TEXT] * 3
        assert end.finish_reasons == ("stop",) * 3
        assert all(isinstance(piece.logprobs, msgspec.Raw) for piece in running.pieces)
        will.calls = (("look", '{"at": "the sky"}'),)
        end = await running.chat(tools=[{"type": "function", "function": {"name": "look"}}])
        assert end.finish_reasons == ("tool_calls",)
        deltas = [json.loads(bytes(piece.delta.tool_calls))[0] for piece in running.pieces]  # type: ignore[arg-type]
        assert deltas[0]["id"] == "call-0"
        assert "".join(delta["function"]["arguments"] for delta in deltas) == '{"at": "the sky"}'


@pytest.mark.parametrize("packs", [True, False])
async def test_embeddings_come_in_the_order_of_the_texts_in_either_form(packs: bool) -> None:
    async with house() as running:
        running.server.will.packs = packs
        await running.there()
        texts = [f"text {number}" for number in range(20)]
        embedded = await running.embed(texts, dimensions=4, user="alice", encoding_format="float")
        assert running.sent == {"input": texts, "dimensions": 4, "model": "embedder", "encoding_format": "base64"}
        assert embedded.prompt_tokens == 40
        assert [list(struct.unpack("<4f", vector)) for vector in embedded.vectors] == [vector_of(t, 4) for t in texts]
        running.server.will.fault = "one_answer"
        assert isinstance(await raised(running.embed(["a", "b"])), BackendFailed)


@pytest.mark.parametrize(
    "fault",
    [
        "dies",
        "garbage",
        "error",
        "no_done",
        "no_finish",
        "odd_finish",
        "huge_line",
        "hangs_up",
        "page",
        "json",
    ],
)
async def test_an_answer_that_goes_wrong_has_failed_and_the_next_one_is_answered(fault: Any) -> None:
    async with house() as running:
        await running.there()
        running.server.will.fault = fault
        error = await raised(running.chat())
        assert isinstance(error, BackendFailed)
        assert "secret" not in error.message
        running.server.will.fault = "none"
        assert (await running.chat()).finish_reasons == ("stop",)
        await running.there()


async def test_fewer_answers_than_were_asked_for_are_a_failure() -> None:
    async with house() as running:
        await running.there()
        running.server.will.fault = "one_answer"
        assert isinstance(await raised(running.chat(n=2)), BackendFailed)


async def test_what_is_not_counted_is_estimated_and_said_so_once_unless_counts_are_required() -> None:
    with structlog.testing.capture_logs() as logged:
        async with house() as running:
            await running.there()
            running.server.will.fault = "no_usage"
            await running.chat()
            end = await running.chat()
        assert (end.usage.prompt_tokens, end.usage.completion_tokens, end.usage.total_tokens) == (4, 4, 8)
    assert [entry["model"] for entry in logged if entry["event"] == "usage_estimated"] == ["m"]
    async with house(require_usage=True) as running:
        await running.there()
        running.server.will.fault = "no_usage"
        assert isinstance(await raised(running.chat()), BackendFailed)


async def test_silence_is_noticed() -> None:
    async with house(silence_timeout_s=0.2) as running:
        await running.there()
        running.server.will.fault = "stalls"
        error = await raised(running.chat())
        assert isinstance(error, BackendFailed)
        assert running.text() == "The answer is:"


# --- refusals ------------------------------------------------------------------------------------------------

LONG = "This model's maximum context length is 100 tokens. However, you requested 150 tokens (120 in the messages, 30 in the completion)."


@pytest.mark.parametrize(
    ("refusal", "kind", "details"),
    [
        (Refusal(400, {"error": {"message": LONG}}), ContextExceeded, {"prompt_tokens": 120, "context_tokens": 100}),
        (Refusal(400, {"error": {"message": "top_k must be -1", "param": "top_k"}}), BadRequest, {"param": "top_k"}),
        (Refusal(401, {"error": {"message": "no"}}), BackendFailed, {}),
        (Refusal(403, {"error": {"message": "no"}}), BackendFailed, {}),
        (Refusal(404, {"error": {"message": "no model m"}}), ModelNotFound, {"model": "m"}),
        (Refusal(404, "nothing here"), BackendFailed, {}),
        (Refusal(429, {}, {"retry-after": "7"}), Overloaded, {"retry_after_s": 7.0}),
        (Refusal(429, {}, {"retry-after-ms": "250"}), Overloaded, {"retry_after_s": 0.25}),
        (Refusal(429, {"error": {"code": "insufficient_quota"}}), BackendFailed, {}),
        (Refusal(500, "a secret"), BackendFailed, {}),
        (Refusal(503, "", {"retry-after": "1"}), Unavailable, {"retry_after_s": 1.0}),
        (Refusal(307, "", {"location": "http://127.0.0.1:1/"}), BackendFailed, {}),
    ],
)
async def test_a_refusal_becomes_an_error_of_ours(refusal: Refusal, kind: Any, details: dict[str, Any]) -> None:
    async with house() as running:
        await running.there()
        running.server.will.refuses = refusal
        error = await raised(running.chat())
        assert type(error) is kind or (kind is BackendFailed and isinstance(error, kind))
        assert details.items() <= error.details.items()
        assert "secret" not in error.message


async def test_a_key_that_is_refused_takes_the_server_away_and_is_told_to_nobody() -> None:
    with structlog.testing.capture_logs() as logged:
        async with house(api_key="sk-wrong", shown_key="sk-right") as running:
            await running.until(lambda backend: "refuses our key" in backend.away)
            assert running.backend.models() == ()
            running.server.will.key = "sk-wrong"
            await running.there()
            running.server.will.refuses = Refusal(401, {"error": {"message": "Incorrect key sk-wrong"}})
            error = await raised(running.chat())
            assert isinstance(error, BackendFailed)
            await running.until(lambda backend: "refuses our key" in backend.away)
            assert running.backend.models()[0].state == "away"
    assert logged
    assert "sk-wrong" not in str(logged) + str(error)


# --- coming and going ----------------------------------------------------------------------------------------


async def test_leaving_drops_the_request_at_the_server_within_a_second() -> None:
    for fault, hold in (("stalls", None), ("none", asyncio.Event())):
        async with house() as running:
            await running.there()
            running.server.will.fault, running.server.will.hold = fault, hold  # type: ignore[assignment]
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(running.chat())
                await running.server.record.began.wait()
                asking.cancel()
            async with asyncio.timeout(1):
                await running.server.record.dropped.wait()
            assert asking.cancelled()


async def test_a_server_that_goes_is_away_at_once_and_comes_back_by_itself() -> None:
    async with house(look_every_s=0.6, grace_s=0.1) as running:
        await running.there()
        await running.server.stop()
        error = await raised(running.chat())
        assert isinstance(error, Unavailable)
        await running.until(lambda backend: "cannot be reached" in backend.away, timeout_s=1.5)
        await running.until(lambda backend: backend.models() == ())
        running.server.models["new"] = OpenAIModel("new")
        await running.server.start()
        await running.there()
        assert [model.name for model in running.backend.models()] == ["m", "embedder", "new"]
        assert (await running.chat()).finish_reasons == ("stop",)


async def test_models_come_and_go_as_the_server_s_do() -> None:
    async with house(models=["m*"], prefix="box/") as running:
        await running.there()
        assert [model.name for model in running.backend.models()] == ["box/m"]
        running.server.models["m2"] = OpenAIModel("m2", told={"max_model_len": 4096})
        await running.until(lambda backend: len(backend.models()) == 2)
        assert running.backend.models()[1].context_tokens == 4096
        del running.server.models["m"]
        await running.until(lambda backend: len(backend.models()) == 1)
        assert isinstance(await raised(running.chat(model="box/m")), ModelNotFound)


@pytest.mark.parametrize("body", ["[" * 100_000, "<html>", '{"data": 7}', "x" * 9_000_000], ids=len)
async def test_a_list_that_makes_no_sense_takes_the_server_away_until_it_does(body: str) -> None:
    async with house() as running:
        running.server.will.refuses_models = Refusal(200, body)
        await running.until(lambda backend: "answers what no server" in backend.away)
        running.server.will.refuses_models = None
        await running.there()


async def test_a_server_without_a_list_has_the_models_that_are_named() -> None:
    async with house(models=["m", "other-*"]) as running:
        running.server.will.refuses_models = Refusal(404, "nothing here")
        await running.there()
        assert [model.name for model in running.backend.models()] == ["m"]
        assert (await running.chat()).finish_reasons == ("stop",)


async def test_a_slow_list_does_not_take_away_a_server_that_is_answering() -> None:
    async with house(look_timeout_s=0.5, look_every_s=0.05) as running:
        await running.there()
        running.server.will.token_s = 0.1
        running.server.will.text = "word " * 20
        seen: set[str] = set()
        asking = asyncio.create_task(running.chat())
        await running.server.record.began.wait()
        hang = running.server.will.hold_models = asyncio.Event()
        while not asking.done():
            seen.add(running.backend.away)
            await asyncio.wait([asking], timeout=0.05)
        assert seen == {""}
        hang.set()


async def test_a_kept_connection_that_is_closed_as_it_is_used_costs_nobody_an_answer() -> None:
    async with house(look_every_s=60) as running:
        await running.there()
        await running.chat()
        running.server.will.fault, running.server.will.faults = "hangs_up", 1
        assert (await running.chat()).finish_reasons == ("stop",)
        assert len(running.server.record.bodies("/chat/completions")) == 3


async def test_connections_are_bounded() -> None:
    async with house(connections=2, connect_timeout_s=0.1, look_every_s=60) as running:
        await running.there()
        running.server.will.hold = asyncio.Event()
        asking = [asyncio.create_task(running.chat()) for _ in range(3)]
        done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert [type(task.exception()) for task in done] == [Unavailable]
        running.server.will.hold.set()
        await asyncio.wait(waiting, timeout=5)
        assert running.server.record.most_at_once == 2
