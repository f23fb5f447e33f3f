"""The engine's client against an engine that answers what the test says: what it takes, and what it takes for failure."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web

from hyperinfer.contracts.openai import CachedTokens, ChunkChoice
from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded, HyperinferError, Unavailable
from hyperinfer.workers.inference.backends import End
from hyperinfer.workers.inference.backends.llamacpp.client import EngineClient, EngineLost, EngineStalled
from hyperinfer.workers.inference.backends.llamacpp.wire import said
from hyperinfer.workers.inference.backends.llamacpp.wire.texts import TextReader

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}}


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return b"data: " + json.dumps({"choices": choices, "model": "/a/path", "id": "theirs"} | more).encode() + b"\n\n"


PROGRESS = chunk({"role": "assistant", "content": None}, prompt_progress={"total": 3, "processed": 3})
ANSWER = (
    PROGRESS,
    chunk({"content": "one"}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": " two"}),
    chunk({}, "stop"),
    chunk(usage=USAGE, timings={"prompt_ms": 3}),
    b"data: [DONE]\n\n",
)


class Engine:
    """What it was asked, and what it answers: `pieces`, then it hangs or ends."""

    def __init__(self, *pieces: bytes, status: int = 200, hangs: bool = False) -> None:
        self.pieces = pieces
        self.status = status
        self.hangs = hangs
        self.asked: list[web.Request] = []
        self.began = asyncio.Event()
        self.left = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.began.set()
        reply = web.StreamResponse(status=self.status, headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        try:
            for piece in self.pieces:
                await reply.write(piece)
                await asyncio.sleep(0)
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.left.set()
        return reply


@asynccontextmanager
async def client(engine: Engine, *, stall_timeout_s: float = 5.0) -> AsyncIterator[EngineClient]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", engine.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        await web.UnixSite(runner, str(path)).start()
        try:
            async with EngineClient(path, "secret", stall_timeout_s=stall_timeout_s) as talking:
                yield talking
        finally:
            await runner.cleanup()


async def ask(talking: EngineClient) -> tuple[list[ChunkChoice], End]:
    heard: list[ChunkChoice] = []

    async def emit(pieces: Sequence[ChunkChoice]) -> None:
        heard.extend(pieces)

    return heard, await talking.chat(b"{}", emit)


async def test_an_answer_is_its_deltas_and_its_end() -> None:
    engine = Engine(*ANSWER)
    async with client(engine) as talking:
        heard, end = await ask(talking)
    assert [(piece.delta.content, piece.delta.reasoning_content) for piece in heard] == [
        ("one", None),
        (None, "hm"),
        (" two", None),
    ]
    assert end.finish_reasons == ("stop",)
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (3, 2)
    assert end.usage.prompt_tokens_details == CachedTokens(1)
    assert engine.asked[0].headers["authorization"] == "Bearer secret"


async def test_its_end_mark_ends_it_even_if_the_connection_stays() -> None:
    async with client(Engine(*ANSWER, hangs=True)) as talking, asyncio.timeout(5):
        await ask(talking)


@pytest.mark.parametrize("missing", [-1, -2, -3])
async def test_an_answer_that_lacks_its_end_has_failed(missing: int) -> None:
    pieces = [piece for index, piece in enumerate(ANSWER) if index != len(ANSWER) + missing]
    async with client(Engine(*pieces)) as talking:
        with pytest.raises(BackendFailed) as failed:
            await ask(talking)
    assert failed.value.retryable


@pytest.mark.parametrize(
    "piece",
    [b"data: {nonsense\n\n", b'data: {"choices": 7}\n\n', b"data: \xff\n\n", b'data: {"error":{"message":"no"}}\n\n'],
)
async def test_an_answer_that_makes_no_sense_has_failed(piece: bytes) -> None:
    async with client(Engine(*ANSWER[:2], piece, *ANSWER[2:])) as talking:
        with pytest.raises(BackendFailed):
            await ask(talking)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 5}, ContextExceeded),
        (400, {"type": "invalid_request_error", "message": "JSON schema error"}, BadRequest),
        (503, {"type": "unavailable_error", "message": "Loading model"}, Unavailable),
        (500, {"type": "server_error", "message": "secret internals"}, BackendFailed),
        (401, {"type": "authentication_error"}, BackendFailed),
        (302, None, BackendFailed),
    ],
)
async def test_a_refusal_becomes_an_error_of_ours(
    status: int, error: dict[str, Any] | None, kind: type[HyperinferError]
) -> None:
    body = json.dumps({"error": error}).encode() if error else b"moved"
    async with client(Engine(body, status=status)) as talking:
        with pytest.raises(kind) as refused:
            await ask(talking)
    assert "secret" not in refused.value.message
    if kind is ContextExceeded:
        assert (refused.value.details["prompt_tokens"], refused.value.details["context_tokens"]) == (9, 5)


async def test_silence_is_noticed() -> None:
    async with client(Engine(PROGRESS, hangs=True), stall_timeout_s=0.1) as talking:
        with pytest.raises(EngineStalled):
            await ask(talking)


async def test_leaving_closes_the_connection() -> None:
    engine = Engine(*ANSWER[:2], hangs=True)
    async with client(engine) as talking, asyncio.timeout(5):
        asking = asyncio.create_task(ask(talking))
        await engine.began.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await engine.left.wait()


async def test_an_engine_that_is_not_there_has_not_seen_the_request(tmp_path: Path) -> None:
    async with EngineClient(tmp_path / "none.sock", "secret", stall_timeout_s=1) as talking:
        with pytest.raises(EngineLost) as lost:
            await ask(talking)
    assert not lost.value.begun


NATIVE = (
    b'data: {"content":"","prompt_progress":{"total":3,"processed":3}}\n\n',
    b'data: {"content":"one","completion_probabilities":[{"token":"one","logprob":-1,"top_logprobs":[]}]}\n\n',
    b'data: {"content":" two"}\n\n',
    b'data: {"stop":true,"stop_type":"limit","tokens_predicted":2,"tokens_evaluated":3,"timings":{"cache_n":1}}\n\n',
)


def test_a_text_is_read_the_same_however_it_is_cut() -> None:
    whole = b"".join(NATIVE)
    for size in (1, 7, 100, 1000):
        reading = TextReader()
        pieces = [piece for at in range(0, len(whole), size) for piece in reading.take(whole[at : at + size])]
        assert [piece.delta.content for piece in pieces] == ["one", " two"]
        assert json.loads(bytes(pieces[0].logprobs)) == {  # type: ignore[arg-type]  # Raw, where there are some
            "content": [{"token": "one", "logprob": -1, "top_logprobs": []}]
        }
        assert reading.done
        end = reading.end()
        assert end.finish_reasons == ("length",)
        assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (3, 2)
        assert end.usage.prompt_tokens_details == CachedTokens(1)


@pytest.mark.parametrize("event", [b"data: nonsense\n\n", b'data: {"error":{"message":"no"}}\n\n'])
def test_a_text_that_makes_no_sense_has_failed(event: bytes) -> None:
    with pytest.raises(BackendFailed):
        TextReader().take(event)
    with pytest.raises(BackendFailed):
        TextReader().end()


def test_vectors_are_put_in_the_order_of_their_inputs_and_none_may_be_missing() -> None:
    reply = said.Vectors(
        data=(said.Vector(1, "AAAAAA=="), said.Vector(0, "AACAPw==")), usage=said.VectorUsage(prompt_tokens=2)
    )
    assert reply.in_order(2) == (b"\0\0\x80?", b"\0\0\0\0")
    with pytest.raises(BackendFailed):
        reply.in_order(3)
