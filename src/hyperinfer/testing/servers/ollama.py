"""A server that speaks Ollama's native API as a real 0.32.15 does, errors included, and fails as it is told to.

Answers are made of fixed words instead of a model's. Shapes, texts, statuses and headers are those of the recording of
the real one; what it was asked can be read afterwards.
"""

import asyncio
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

from hyperinfer.testing.servers.process import HOST

NDJSON = "application/x-ndjson"
JSON = "application/json"
STAMP = "2026-11-21T02:57:31.445348961Z"
DEFAULT_CONTEXT = 2048
DONE_NS = {"total_duration": 1671891072, "load_duration": 1360899617, "eval_duration": 133116999}
BUSY = "server busy, please try again.  maximum pending requests exceeded"
BROKEN = "an error was encountered while running the model: unexpected EOF"
Fault = Literal["none", "dies", "error", "garbage", "stalls", "no_end", "page", "page_of_models", "huge_line"]
"""What goes wrong after `fault_after` tokens: it closes the connection, reports an error in a line, says what is no JSON,
says nothing more, ends without an end mark. `page` answers with HTML instead; with a `huge_line` a line has no end."""

BODY: web.RequestKey[Mapping[str, Any]] = web.RequestKey("body", Mapping)
_words = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model on its disk. `opens` is whether its template leaves a last message of the assistant open."""

    name: str
    capabilities: tuple[str, ...] = ("completion",)
    context_length: int = 8192
    embedding_length: int = 384
    size: int = 98_362_745
    remote_host: str = ""
    opens: bool = False

    @property
    def digest(self) -> str:
        """Of its name and what it can do: another one after it has been made anew."""
        return hashlib.sha256(f"{self.name} {self.capabilities}".encode()).hexdigest()

    def details(self, *, sizes: bool) -> dict[str, Any]:
        """As lists have them; `sizes` are told by `/api/tags` alone."""
        told = {"context_length": self.context_length, "embedding_length": self.embedding_length}
        return {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "134.52M",
            "quantization_level": "Q4_1",
        } | (told if sizes else {})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that it got; names of headers are in small letters."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(slots=True)
class Behaviour:
    """How it answers; may be changed at any time.

    `calls` are the tools that a model calls when it is given tools, as `(name, arguments)`. With `refuses` every request
    for an answer gets this status and text. `hold` is waited for before a first token, `key` is what has to be shown.
    `lists_capabilities` is whether `/api/tags` has them, as newer versions do; `keeps_loaded` is whether models are in use
    by others when they are unloaded.
    """

    text: str = "The answer is: 4"
    thinking: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    token_s: float = 0.0
    fault: Fault = "none"
    fault_after: int = 3
    refuses: tuple[int, str] | None = None
    hold: asyncio.Event | None = None
    key: str = ""
    version: str = "0.0.0"
    parallel: int = 1
    lists_capabilities: bool = True
    redirects_to: str = ""
    keeps_loaded: bool = False


@dataclass(slots=True)
class Record:
    """What has happened. `loads` counts how often each model was loaded, `most_at_once` the requests of one in flight;
    `dropped` is set once a client goes away before its answer has ended.
    """

    asked: list[Asked] = field(default_factory=list)
    loads: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    def bodies(self, path: str) -> list[Mapping[str, Any]]:
        """The requests of one route."""
        return [asked.body for asked in self.asked if asked.path == path]


class Refused(Exception):
    """Ends a request with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class OllamaServer:
    """A server with these models. `registry` are models that can be pulled, with their sizes."""

    def __init__(self, *models: OllamaModel, registry: Mapping[str, int] | None = None) -> None:
        self.models = {model.name: model for model in models}
        self.loaded: dict[str, tuple[int, bool]] = {}
        self.registry = dict(registry or {})
        self.will = Behaviour()
        self.record = Record()
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._turns: dict[str, asyncio.Semaphore] = {}

    @classmethod
    @asynccontextmanager
    async def running(cls, *models: OllamaModel, registry: Mapping[str, int] | None = None) -> AsyncIterator[Self]:
        """A server on a free port, for the length of the block."""
        server = cls(*models, registry=registry)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._port}"

    async def start(self) -> None:
        """Start it, or start it again on the same port with nothing in memory."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/", self._root),
                web.get("/api/version", self._version),
                web.get("/api/tags", self._tags),
                web.get("/api/ps", self._ps),
                web.post("/api/show", self._show),
                web.post("/api/chat", self._answering),
                web.post("/api/generate", self._answering),
                web.post("/api/embed", self._embed),
                web.post("/api/pull", self._pull),
            ]
        )
        app.middlewares.append(self._guard)
        self.loaded.clear()
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End it, with every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- what it has -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        will = self.will
        try:
            body = await self._body(request)
            self.record.asked.append(
                Asked(request.path, body, {name.lower(): value for name, value in request.headers.items()})
            )
            if will.redirects_to:
                raise web.HTTPTemporaryRedirect(will.redirects_to)
            if will.key and request.headers.get("authorization") != f"Bearer {will.key}":
                raise Refused(401, "unauthorized")
            if will.fault == "page_of_models" and request.method == "GET":
                return web.Response(text="<html>Log in</html>", content_type="text/html")
            answer: web.StreamResponse = await handler(request)
        except Refused as refused:
            return web.json_response({"error": refused.text}, status=refused.status)
        return answer

    async def _body(self, request: web.Request) -> Mapping[str, Any]:
        if request.method != "POST":
            return {}
        try:
            body: Mapping[str, Any] = json.loads(await request.read())
        except ValueError:
            raise Refused(400, "invalid character 'b' looking for beginning of object key string") from None
        request[BODY] = body
        return body

    async def _root(self, request: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self.will.version})

    async def _tags(self, request: web.Request) -> web.Response:
        listed = []
        for model in self.models.values():
            entry: dict[str, Any] = {"name": model.name, "model": model.name, "modified_at": STAMP}
            entry |= {"size": model.size, "digest": model.digest, "details": model.details(sizes=True)}
            if self.will.lists_capabilities:
                entry["capabilities"] = list(model.capabilities)
            if model.remote_host:
                entry |= {"remote_model": model.name, "remote_host": model.remote_host}
            listed.append(entry)
        return web.json_response({"models": listed})

    async def _ps(self, request: web.Request) -> web.Response:
        listed = []
        for name, (context, _) in self.loaded.items():
            model = self.models[name]
            entry = {"name": name, "model": name, "size": model.size * 3, "digest": model.digest}
            entry |= {"details": model.details(sizes=False), "expires_at": STAMP, "size_vram": 0}
            listed.append(entry | {"context_length": context})
        return web.json_response({"models": listed})

    async def _show(self, request: web.Request) -> web.Response:
        model = self._model(request[BODY])
        told = {"modelfile": "", "template": "", "details": model.details(sizes=False), "modified_at": STAMP}
        info = {"general.architecture": "llama", "llama.context_length": model.context_length}
        return web.json_response(told | {"model_info": info, "capabilities": list(model.capabilities)})

    def _model(self, body: Mapping[str, Any]) -> OllamaModel:
        name = body.get("model", "")
        if not name:
            raise Refused(400, "model is required")
        found = self.models.get(name) or self.models.get(f"{name}:latest")
        if found is None:
            raise Refused(404, f"model '{name}' not found")
        return found

    def _load(self, model: OllamaModel, body: Mapping[str, Any]) -> int:
        """The tokens of its context; another one, or another way when it is full, loads it anew."""
        asked: int = (body.get("options") or {}).get("num_ctx", DEFAULT_CONTEXT)
        wanted = (min(asked, model.context_length), bool(body.get("shift", True)))
        if self.loaded.get(model.name) != wanted:
            self.record.loads[model.name] += 1
            self.loaded[model.name] = wanted
        return wanted[0]

    # --- answers -----------------------------------------------------------------------------------------

    async def _answering(self, request: web.Request) -> web.StreamResponse:
        body = request[BODY]
        model = self._model(body)
        is_chat = request.path == "/api/chat"
        is_empty = not (body.get("messages") if is_chat else body.get("prompt"))
        if is_empty and body.get("keep_alive") == 0:
            if not self.will.keeps_loaded:
                self.loaded.pop(model.name, None)
            return web.json_response(self._last(model, is_chat, done_reason="unload"))
        self._check(model, body, "chat" if is_chat else "generate")
        context = self._load(model, body)
        if is_empty:
            return web.json_response(self._last(model, is_chat, done_reason="load"))
        tokens = self._count(body, is_chat=is_chat)
        if tokens > context:
            if body.get("truncate", True):
                tokens = context // 2
            else:
                raise Refused(400, _too_long(tokens, context))
        if self.will.refuses is not None:
            raise Refused(*self.will.refuses)
        async with self._turn(model):
            return await self._say(request, model, list(self._lines(model, body, is_chat=is_chat)), tokens, is_chat)

    def _check(self, model: OllamaModel, body: Mapping[str, Any], doing: str) -> None:
        can = model.capabilities
        if "completion" not in can:
            raise Refused(400, f'"{model.name}" does not support {doing}')
        if body.get("tools") and "tools" not in can:
            raise Refused(400, f"{model.name} does not support tools")
        if body.get("think") and "thinking" not in can:
            raise Refused(400, f'"{model.name}" does not support thinking')
        if body.get("suffix") and "insert" not in can:
            raise Refused(400, f"{model.name} does not support insert")

    def _count(self, body: Mapping[str, Any], *, is_chat: bool) -> int:
        texts = [said["content"] for said in body["messages"]] if is_chat else [body["prompt"], body.get("suffix", "")]
        return sum(len(text.split()) for text in texts)

    def _lines(self, model: OllamaModel, body: Mapping[str, Any], *, is_chat: bool) -> Iterator[dict[str, Any]]:
        """What each token adds."""
        thinks = "thinking" in model.capabilities and body.get("think") is not False
        for word in _words.findall(self.will.thinking if thinks else ""):
            yield {"thinking": word}
        calls = self.will.calls if body.get("tools") and body["messages"][-1]["role"] != "tool" else ()
        for number, (name, arguments) in enumerate(calls):
            function = {"index": number, "name": name, "arguments": arguments}
            yield {"tool_calls": [{"id": f"call_{number}abcdefg", "function": function}]}
        for word in _words.findall("" if calls else self._text(model, body, is_chat=is_chat)):
            yield {"content": word}

    def _text(self, model: OllamaModel, body: Mapping[str, Any], *, is_chat: bool) -> str:
        if body.get("format"):
            return '{\n  "city": "Paris",\n  "pop": 1123282228\n}'
        text = self.will.text
        for stop in (body.get("options") or {}).get("stop", ()):
            text = text.partition(stop)[0]
        if is_chat:
            last = body["messages"][-1]
            so_far = last["content"] if last["role"] == "assistant" and model.opens else ""
            return text.removeprefix(so_far)
        prompt = body["prompt"]
        at = max((size for size in range(len(text) + 1) if prompt.endswith(text[:size])), default=0)
        return text[at:]

    async def _say(
        self, request: web.Request, model: OllamaModel, lines: Sequence[dict[str, Any]], tokens: int, is_chat: bool
    ) -> web.StreamResponse:
        body, will = request[BODY], self.will
        if will.fault == "page":
            return web.Response(text="<html>Log in</html>", content_type="text/html")
        limit = (body.get("options") or {}).get("num_predict", -1)
        reason = "length" if 0 <= limit < len(lines) else "stop"
        lines = lines[:limit] if reason == "length" else lines
        logprobs = [_logprob(line, body) for line in lines]
        last = self._last(model, is_chat, done_reason=reason)
        last |= DONE_NS | {name: count for name, count in _counts(tokens, len(lines)).items() if count}
        if body.get("stream", True) is False:
            return web.json_response(_joined(last, lines, logprobs, is_chat=is_chat))
        reply = web.StreamResponse(headers={"content-type": NDJSON})
        reply.enable_chunked_encoding()
        try:
            if will.hold is not None:
                self.record.began.set()
                await will.hold.wait()
            for number, (line, told) in enumerate(zip(lines, logprobs, strict=True)):
                if will.fault != "none" and number == will.fault_after:
                    return await self._fail(request, reply)
                if not reply.prepared:
                    await reply.prepare(request)
                await reply.write(_line(_part(model, line, is_chat=is_chat) | told))
                self.record.began.set()
                await asyncio.sleep(will.token_s)
            if not reply.prepared:
                await reply.prepare(request)
            await reply.write(_line(last))
        except (asyncio.CancelledError, ConnectionError):
            self.record.dropped.set()
            raise
        await reply.write_eof()
        return reply

    async def _fail(self, request: web.Request, reply: web.StreamResponse) -> web.StreamResponse:
        fault = self.will.fault
        if fault == "error" and not reply.prepared:
            raise Refused(500, BROKEN)
        if not reply.prepared:
            await reply.prepare(request)
        if fault == "stalls":
            await asyncio.get_running_loop().create_future()
        if fault == "dies":
            assert request.transport is not None
            request.transport.abort()
            return reply
        if fault == "garbage":
            await reply.write(b'\xff\x00{"message":\n')
        if fault == "error":
            await reply.write(_line({"error": BROKEN}))
        while fault == "huge_line":
            await reply.write(b"x" * 65536)
        await reply.write_eof()
        return reply

    def _last(self, model: OllamaModel, is_chat: bool, *, done_reason: str) -> dict[str, Any]:
        part = _part(model, {"content": ""}, is_chat=is_chat)
        return part | {"done": True, "done_reason": done_reason}

    @asynccontextmanager
    async def _turn(self, model: OllamaModel) -> AsyncIterator[None]:
        """So many at once; the others wait without end, as there."""
        record = self.record
        record.in_flight[model.name] += 1
        record.most_at_once = max(record.most_at_once, record.in_flight[model.name])
        try:
            async with self._turns.setdefault(model.name, asyncio.Semaphore(self.will.parallel)):
                yield
        finally:
            record.in_flight[model.name] -= 1

    # --- embeddings and pulling ----------------------------------------------------------------------------

    async def _embed(self, request: web.Request) -> web.Response:
        body = request[BODY]
        model = self._model(body)
        self._load(model, body)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not texts:
            return web.json_response({"model": body["model"], "embeddings": []})
        if "embedding" not in model.capabilities:
            raise Refused(501, "This server does not support embeddings. Start it with `--embeddings`")
        if self.will.refuses is not None:
            raise Refused(*self.will.refuses)
        if any(len(text.split()) > model.context_length for text in texts) and not body.get("truncate", True):
            raise Refused(400, "the input length exceeds the context length")
        if self.will.hold is not None:
            self.record.began.set()
            try:
                await self.will.hold.wait()
            except asyncio.CancelledError:
                self.record.dropped.set()
                raise
        size = min(body.get("dimensions") or model.embedding_length, model.embedding_length)
        told = {"model": body["model"], "embeddings": [_vector(text, size) for text in texts]}
        counted = {"prompt_eval_count": sum(len(text.split()) for text in texts)}
        return web.json_response(told | {"total_duration": 280791782, "load_duration": 265485679} | counted)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        name = request[BODY].get("model") or request[BODY].get("name", "")
        reply = web.StreamResponse(headers={"content-type": NDJSON})
        await reply.prepare(request)
        await reply.write(_line({"status": "pulling manifest"}))
        if name not in self.registry:
            await reply.write(_line({"error": "pull model manifest: file does not exist"}))
            await reply.write_eof()
            return reply
        model = OllamaModel(name, size=self.registry[name])
        layer = {"status": f"pulling {model.digest[:12]}", "digest": f"sha256:{model.digest}", "total": model.size}
        await reply.write(_line(layer))
        for quarter in range(1, 5):
            await reply.write(_line(layer | {"completed": model.size * quarter // 4}))
            await asyncio.sleep(self.will.token_s)
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            await reply.write(_line({"status": status}))
        self.models[name] = model
        await reply.write_eof()
        return reply


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _part(model: OllamaModel, line: Mapping[str, Any], *, is_chat: bool) -> dict[str, Any]:
    frame: dict[str, Any] = {"model": model.name, "created_at": STAMP}
    if is_chat:
        return frame | {"message": {"role": "assistant", "content": "", **line}, "done": False}
    said = {"response": line.get("content", "")}
    return frame | said | ({"thinking": line["thinking"]} if "thinking" in line else {}) | {"done": False}


def _joined(
    last: dict[str, Any], lines: Sequence[Mapping[str, Any]], logprobs: Sequence[Mapping[str, Any]], *, is_chat: bool
) -> dict[str, Any]:
    """The answer in one piece."""
    text = "".join(line.get("content", "") for line in lines)
    thoughts = "".join(line.get("thinking", "") for line in lines)
    calls = [call for line in lines for call in line.get("tool_calls", ())]
    told = [token for part in logprobs for token in part.get("logprobs", ())]
    thinking = {"thinking": thoughts} if thoughts else {}
    whole = last | ({"logprobs": told} if told else {})
    if not is_chat:
        return whole | {"response": text} | thinking
    message = {"role": "assistant", "content": text} | thinking | ({"tool_calls": calls} if calls else {})
    return whole | {"message": message}


def _logprob(line: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """What Ollama tells of a token: no empty lists, and no `top_logprobs` unless they are asked for."""
    if not body.get("logprobs") or "content" not in line:
        return {}
    token = {"token": line["content"], "logprob": -0.5, "bytes": list(line["content"].encode())}
    top = body.get("top_logprobs", 0)
    return {"logprobs": [token | ({"top_logprobs": [token] * top} if top else {})]}


def _counts(prompt_tokens: int, tokens: int) -> dict[str, int]:
    return {"prompt_eval_count": prompt_tokens, "eval_count": tokens}


def _too_long(tokens: int, context: int) -> str:
    said = f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
    error = {"code": 400, "message": said, "type": "exceed_context_size_error", "n_prompt_tokens": tokens}
    return json.dumps({"error": error | {"n_ctx": context}})


def _vector(text: str, size: int) -> list[float]:
    numbers = [byte / 127.5 - 1 for byte in hashlib.shake_256(text.encode()).digest(size)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
