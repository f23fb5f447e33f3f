"""A server that speaks OpenAI's API as vLLM, SGLang, llama.cpp's server and OpenAI do, and fails as it is told to.

Answers are made of fixed words instead of a model's, and a token is a word. What it was asked can be read afterwards.
"""

import asyncio
import base64
import hashlib
import json
import re
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

from hyperinfer.testing.servers.process import HOST

STREAM = "text/event-stream"
ID = {"id": "theirs", "created": 1, "model": "/a/path/of/theirs", "system_fingerprint": "fp"}
Fault = Literal[
    "none",
    "dies",
    "garbage",
    "stalls",
    "error",
    "no_done",
    "no_finish",
    "no_usage",
    "odd_finish",
    "one_answer",
    "huge_line",
    "hangs_up",
    "page",
    "json",
]
"""What goes wrong after `fault_after` tokens: it closes the connection, says what is no JSON, says nothing more, reports an
error in the stream. It may leave out an end (`no_done`, `no_finish`, `no_usage`), end for a reason that nobody knows, or give
one answer where several were asked for. `hangs_up` closes the connection before an answer, `page` and `json` answer with
something that is no stream, and a `huge_line` has no end."""

BODY: web.RequestKey[Mapping[str, Any]] = web.RequestKey("body", Mapping)
_words = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model it lists, with whatever else (`told`) it tells of it."""

    id: str
    owned_by: str = "vllm"
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that it got; names of headers are in small letters."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and what is said with it."""

    status: int
    body: Mapping[str, Any] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Behaviour:
    """How it answers; may be changed at any time.

    `thinks_in` is the field that thoughts come in. `calls` are the tools that a model calls when it is given tools, as
    `(name, arguments)`. `fault` is that of the next `faults` requests. With `refuses` every request for an answer is
    refused, with `refuses_models` the list. `hold` is waited for before the headers of an answer, `hold_models` before
    the list; `key` is what has to be shown. `packs` is whether embeddings come in base64 where that is asked for.
    """

    text: str = "The answer is: 4"
    thinking: str = ""
    thinks_in: str = "reasoning_content"
    calls: tuple[tuple[str, str], ...] = ()
    token_s: float = 0.0
    fault: Fault = "none"
    faults: int = 1_000_000
    fault_after: int = 3
    refuses: Refusal | None = None
    refuses_models: Refusal | None = None
    hold: asyncio.Event | None = None
    hold_models: asyncio.Event | None = None
    key: str = ""
    packs: bool = True
    props: Mapping[str, Any] | None = None
    joins_last: bool = False


@dataclass(slots=True)
class Record:
    """What has happened; `dropped` is set once a client goes away before its answer has ended, and counted in `drops`."""

    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_at_once: int = 0
    drops: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    def bodies(self, path: str) -> list[Mapping[str, Any]]:
        """The requests of one route, named by its end."""
        return [asked.body for asked in self.asked if asked.path.endswith(path)]


class OpenAIServer:
    """A server with these models."""

    def __init__(self, *models: OpenAIModel) -> None:
        self.models = {model.id: model for model in models}
        self.will = Behaviour()
        self.record = Record()
        self._port = 0
        self._runner: web.AppRunner | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, *models: OpenAIModel) -> AsyncIterator[Self]:
        """A server on a free port, for the length of the block."""
        server = cls(*models)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    @property
    def url(self) -> str:
        """Where it is, with its `/v1`."""
        return f"http://{HOST}:{self._port}/v1"

    async def start(self) -> None:
        """Start it, or start it again on the same port."""
        app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.get("/props", self._props),
                web.post("/v1/chat/completions", self._answer),
                web.post("/v1/completions", self._answer),
                web.post("/v1/embeddings", self._embed),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End it, with every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- what it has -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = json.loads(await request.read()) if request.method == "POST" else {}
        request[BODY] = body
        self.record.asked.append(
            Asked(request.path, body, {name.lower(): value for name, value in request.headers.items()})
        )
        if self.will.key and request.headers.get("authorization") != f"Bearer {self.will.key}":
            said = f"Incorrect API key provided: {request.headers.get('authorization', '')}."
            return _refused(Refusal(401, {"error": {"message": said, "code": "invalid_api_key"}}))
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _models(self, request: web.Request) -> web.Response:
        if self.will.hold_models is not None:
            await self.will.hold_models.wait()
        if self.will.refuses_models:
            return _refused(self.will.refuses_models)
        listed = [
            {"id": one.id, "object": "model", "owned_by": one.owned_by, **one.told} for one in self.models.values()
        ]
        return web.json_response({"object": "list", "data": listed})

    async def _props(self, request: web.Request) -> web.Response:
        if self.will.props is None:
            return _refused(Refusal(404, {"error": {"message": "File Not Found"}}))
        return web.json_response(self.will.props)

    # --- answers -----------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        will, record = self.will, self.record
        record.in_flight += 1
        record.most_at_once = max(record.most_at_once, record.in_flight)
        try:
            if will.hold is not None:
                record.began.set()
                await will.hold.wait()
            if refusal := will.refuses or self._unknown(request[BODY]):
                return _refused(refusal)
            return await self._say(request, self._fault())
        except (asyncio.CancelledError, ConnectionError):
            record.drops += 1
            record.dropped.set()
            raise
        finally:
            record.in_flight -= 1

    def _unknown(self, body: Mapping[str, Any]) -> Refusal | None:
        if body.get("model") in self.models:
            return None
        said = f"The model `{body.get('model')}` does not exist."
        return Refusal(404, {"error": {"message": said, "type": "NotFoundError", "param": "model", "code": 404}})

    def _fault(self) -> Fault:
        if self.will.fault == "none" or not self.will.faults:
            return "none"
        self.will.faults -= 1
        return self.will.fault

    async def _say(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        body, will = request[BODY], self.will
        assert request.transport is not None
        if fault == "hangs_up":
            request.transport.abort()
        if fault in ("page", "hangs_up"):
            return web.Response(text="<html>Log in</html>", content_type="text/html")
        if fault == "json":
            return web.json_response({"choices": []})
        assert body["stream"] is True
        reply = web.StreamResponse(headers={"content-type": STREAM})
        await reply.prepare(request)
        for number, event in enumerate(self._events(body, fault)):
            if number == will.fault_after and fault in ("dies", "garbage", "stalls", "error", "huge_line"):
                return await self._fail(request, reply, fault)
            await reply.write(event)
            self.record.began.set()
            await asyncio.sleep(will.token_s)
        await reply.write_eof()
        return reply

    def _events(self, body: Mapping[str, Any], fault: Fault) -> Iterator[bytes]:
        is_chat = "messages" in body
        answers = 1 if fault == "one_answer" else body.get("n") or 1
        pieces = list(self._pieces(body))
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        reason = (
            "length" if limit is not None and limit < len(pieces) else "tool_calls" if self._calls(body) else "stop"
        )
        pieces = pieces[:limit] if reason == "length" else pieces
        for piece in pieces:
            for index in range(answers):
                yield _event([{"index": index, "finish_reason": None, **piece}])
        for index in range(answers if fault != "no_finish" else 0):
            odd = "abort" if fault == "odd_finish" else reason
            yield _event([{"index": index, "finish_reason": odd, **({"delta": {}} if is_chat else {"text": ""})}])
        if (body.get("stream_options") or {}).get("include_usage") and fault != "no_usage":
            counted, said = _count(body), len(pieces) * answers
            usage = {"prompt_tokens": counted, "completion_tokens": said, "total_tokens": counted + said}
            yield _event([], usage=usage)
        if fault != "no_done":
            yield b"data: [DONE]\n\n"

    def _pieces(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """What each token adds."""
        if "messages" not in body:
            text = self.will.text.removeprefix(_written(body["prompt"]))
            at = 0
            for word in _words.findall(text):
                yield {"text": word, "logprobs": _columns(word, at) if body.get("logprobs") is not None else None}
                at += len(word)
            return
        for word in _words.findall(self.will.thinking):
            yield {"delta": {self.will.thinks_in: word}}
        calls = self._calls(body)
        for number, (name, arguments) in enumerate(calls):
            function = {"name": name, "arguments": ""}
            yield _called({"index": number, "id": f"call-{number}", "type": "function", "function": function})
            for piece in _words.findall(arguments):
                yield _called({"index": number, "function": {"arguments": piece}})
        last = body["messages"][-1]
        goes_on = last["role"] == "assistant" and (self.will.joins_last or body.get("continue_final_message"))
        text = "" if calls else self.will.text.removeprefix(last["content"] if goes_on else "")
        for word in _words.findall(text):
            told = {"content": [_token(word)], "refusal": None} if body.get("logprobs") else None
            yield {"delta": {"content": word, "tool_calls": None}, "logprobs": told}

    def _calls(self, body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        return self.will.calls if body.get("tools") else ()

    async def _fail(self, request: web.Request, reply: web.StreamResponse, fault: Fault) -> web.StreamResponse:
        if fault == "dies":
            assert request.transport is not None
            request.transport.abort()
            return reply
        if fault == "stalls":
            await asyncio.get_running_loop().create_future()
        if fault == "garbage":
            await reply.write(b'data: {"choices":\xff\x00[\n\n')
        if fault == "error":
            error = {"message": "a secret of the server's", "type": "InternalServerError", "code": 500}
            await reply.write(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        while fault == "huge_line":
            await reply.write(b"x" * 65536)
        await reply.write_eof()
        return reply

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body, will = request[BODY], self.will
        if refusal := will.refuses or self._unknown(body):
            return _refused(refusal)
        given = body["input"]
        texts = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        packs = will.packs and body.get("encoding_format") == "base64"
        vectors = [vector_of(str(text), body.get("dimensions") or 8) for text in texts]
        listed = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packs else vector}
            for index, vector in enumerate(vectors)
        ]
        if self._fault() == "one_answer":
            listed = listed[:1]
        usage = {"prompt_tokens": sum(len(str(text).split()) for text in texts)}
        # Servers do not promise an order.
        return web.json_response({"object": "list", "data": listed[::-1], "usage": usage})


def vector_of(text: str, size: int = 8) -> list[float]:
    """The vector that it gives a text."""
    return [byte / 128 for byte in hashlib.shake_256(text.encode()).digest(size)]


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _refused(refusal: Refusal) -> web.Response:
    text = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
    kind = "text/html" if isinstance(refusal.body, str) else "application/json"
    return web.Response(status=refusal.status, text=text, content_type=kind, headers=refusal.headers)


def _event(choices: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
    return b"data: " + json.dumps({**ID, "choices": choices, **more}).encode() + b"\n\n"


def _called(delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"delta": {"tool_calls": [delta]}}


def _count(body: Mapping[str, Any]) -> int:
    if "messages" not in body:
        return len(_written(body["prompt"]).split())
    contents = (message.get("content") for message in body["messages"])
    return sum(len(content.split()) for content in contents if isinstance(content, str))


def _written(prompt: object) -> str:
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt if isinstance(prompt, list) else ()))


def _token(word: str) -> dict[str, Any]:
    one = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    return {**one, "top_logprobs": [one]}


def _columns(word: str, at: int) -> dict[str, Any]:
    return {"tokens": [word], "token_logprobs": [-0.5], "top_logprobs": [{word: -0.5}], "text_offset": [at]}
