"""Marks that are planted wherever a person, an operator or a server says something, and all ways to say it to a running swarm."""

import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from hyperinfer.contracts.method import PUBLIC, Meta, Method, Wire
from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed

TIMEOUT_S = 20.0
PNG = b"\x89PNG\r\n\x1a\n"


def mark(what: str) -> str:
    """Something that nobody else says."""
    return f"planted-{what}-{secrets.token_hex(8)}"


@dataclass
class Marks:
    """What is said where. `secret` is to be found nowhere; `people` are names of people and of what is theirs, which the accounts'
    database and what is made for administrators may have; `named` are names of what there is not, which only who sent them is told."""

    prompt: str = field(default_factory=lambda: mark("prompt"))
    system: str = field(default_factory=lambda: mark("system"))
    arguments: str = field(default_factory=lambda: mark("arguments"))
    image: str = field(default_factory=lambda: mark("image"))
    answer: str = field(default_factory=lambda: mark("answer"))
    words: str = field(default_factory=lambda: mark("words-of-a-backend"))
    password: str = field(default_factory=lambda: mark("password"))
    wrong: str = field(default_factory=lambda: mark("wrong-password"))
    key: str = field(default_factory=lambda: f"hi_planted0_{secrets.token_hex(21)}x")
    webhook: str = field(default_factory=lambda: mark("webhook"))
    mail: str = field(default_factory=lambda: mark("mail"))
    traces: str = field(default_factory=lambda: mark("traces"))
    backend: str = field(default_factory=lambda: mark("key-of-a-backend"))
    email: str = field(default_factory=lambda: f"{mark('email')}@example.org")
    username: str = field(default_factory=lambda: mark("username"))
    key_name: str = field(default_factory=lambda: mark("key-name"))
    model: str = field(default_factory=lambda: mark("model"))
    header: str = field(default_factory=lambda: mark("header"))
    path: str = field(default_factory=lambda: mark("path"))
    name: str = field(default_factory=lambda: mark("field"))
    given: list[str] = field(default_factory=list)
    """Keys, tokens and codes that the swarm gave out."""

    @property
    def said(self) -> dict[str, str]:
        """What a request may hold that is answered in full."""
        return {name: getattr(self, name) for name in ("prompt", "system", "arguments", "answer")}

    @property
    def secret(self) -> list[str]:
        """What is nowhere, in the ways in which it might be written."""
        plain = [*self.said.values(), self.image, self.words, self.password, self.wrong, self.key]
        plain += [self.webhook, self.mail, self.traces, self.backend, *self.given]
        return [form for text in plain for form in _forms(text)]

    @property
    def people(self) -> list[str]:
        """Names of people and of what is theirs."""
        return [self.email, self.username, self.key_name]

    @property
    def named(self) -> list[str]:
        """Names of what there is not."""
        return [self.model, self.header, self.path, self.name]


def _forms(text: str) -> list[str]:
    """As it is, and within base64 at any of three places."""
    coded = (base64.b64encode(b"x" * at + text.encode()).decode() for at in range(3))
    return [text, *(one[4:-4] for one in coded)]


@dataclass
class Reply:
    """A status, and what was said with it."""

    way: str
    status: int
    text: str


class Sayer:
    """Says the marks to one address, in good and in bad requests; every reply is put to the `replies`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, marks: Marks, replies: list[Reply]) -> None:
        self.replies = replies
        self._session = session
        self._url = url
        self._marks = marks

    async def ask(self, method: str, path: str, body: Any = None, *, by: str = "", **headers: str) -> Any:
        """One request; gives what it is answered."""
        own = {"Authorization": f"Bearer {by}"} if by else {}
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **own, **headers}
        async with self._session.request(method, self._url + path, data=content, headers=sent) as reply:
            text = (await reply.read()).decode(errors="replace")
        self.replies.append(Reply(f"{method} {path}", reply.status, text))
        return json.loads(text) if reply.content_type == "application/json" and text else None

    async def say_all(self, key: str, model: str) -> None:
        """Every way to ask a model, in good requests and in bad ones."""
        marks = self._marks
        said = {"role": "user", "content": marks.prompt}
        chat = {"model": model, "messages": [{"role": "system", "content": marks.system}, said]}
        for stream in (False, True):
            await self.ask("POST", "/v1/chat/completions", {**chat, "stream": stream}, by=key)
        await self.ask("POST", "/v1/chat/completions", {**chat, **self._tools()}, by=key)
        await self.ask("POST", "/v1/chat/completions", {**chat, "messages": [self._shown()]}, by=key)
        await self.ask("POST", "/v1/completions", {"model": model, "prompt": marks.prompt}, by=key)
        await self.ask(
            "POST", "/v1/responses", {"model": model, "input": marks.prompt, "instructions": marks.system}, by=key
        )
        anthropic = {"model": model, "max_tokens": 9, "system": marks.system, "messages": [said]}
        await self.ask("POST", "/v1/messages", anthropic, **{"x-api-key": key})
        await self.ask("POST", "/v1/messages/count_tokens", anthropic, **{"x-api-key": key})
        await self.ask("POST", "/v1/embeddings", {"model": "echo", "input": marks.prompt}, by=key)
        await self.ask("POST", "/api/chat", chat, by=key)
        await self.ask("POST", "/api/generate", {"model": model, "prompt": marks.prompt}, by=key)
        await self.ask("POST", "/api/inference", {"model": model, "prompt": marks.prompt}, by=key)
        for wrong in (
            {**chat, "model": marks.model},
            {**chat, "messages": marks.prompt},
            {**chat, "temperature": marks.prompt},
            {**chat, "max_tokens": [marks.prompt]},
            {**chat, marks.name: marks.prompt},
            {**chat, "response_format": {"type": marks.name}},
            {**chat, "messages": [{"role": marks.prompt, "content": marks.prompt}]},
            [marks.prompt],
        ):
            await self.ask("POST", "/v1/chat/completions", wrong, by=key)
        await self.ask("POST", "/v1/messages", {**anthropic, "messages": marks.prompt}, **{"x-api-key": key})
        await self.ask("POST", "/v1/responses", {"model": model, "input": {marks.prompt: marks.prompt}}, by=key)
        await self.ask("POST", "/api/generate", {"model": marks.model, "prompt": [marks.prompt]}, by=key)
        await self.ask("POST", "/v1/chat/completions", chat, by=marks.key)
        await self.ask("POST", "/v1/chat/completions", chat)
        for headers in (
            {"User-Agent": marks.header, "X-Odd": marks.header, "X-Request-Id": f"{marks.header} with spaces"},
            {"traceparent": marks.header, "tracestate": marks.header, "X-Hyperinfer-Cache": marks.header},
            {"Origin": f"http://{marks.header}.example"},
            {"Host": f"{marks.header}.example"},
        ):
            await self.ask("POST", "/v1/chat/completions", chat, by=key, **headers)
        await self.ask("GET", f"/{marks.path}", by=key)
        await self.ask("GET", f"/v1/models/{marks.model}", by=key)
        await self.ask("PROPFIND", f"/v1/{marks.path}?q={marks.prompt}&api_key={marks.key}", by=key)

    async def over_a_socket(self, key: str, model: str) -> None:
        """The same by WebSocket."""
        marks = self._marks
        chat = {"model": model, "messages": [{"role": "user", "content": marks.prompt}]}
        headers = {"Authorization": f"Bearer {key}", "X-Odd": marks.header}
        for message in (
            json.dumps({"type": "chat", "id": "1", "request": chat}),
            json.dumps({"type": marks.name, "request": chat}),
            json.dumps({"type": "chat", "id": "2", "request": {**chat, "model": marks.model}}),
            marks.prompt,
        ):
            async with self._session.ws_connect(f"{self._url}/ws", headers=headers) as socket:
                await socket.send_str(message)
                got = await socket.receive(TIMEOUT_S)
                self.replies.append(Reply(f"/ws {message[:12]}", 0, str(got.data)))

    def _tools(self) -> dict[str, Any]:
        function = {"name": "look", "description": self._marks.system, "parameters": {"type": "object"}}
        called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": self._marks.arguments}}
        messages = [
            {"role": "user", "content": self._marks.prompt},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "c1", "content": self._marks.arguments},
        ]
        return {"tools": [{"type": "function", "function": function}], "messages": messages}

    def _shown(self) -> dict[str, Any]:
        shown = base64.b64encode(PNG + self._marks.image.encode()).decode()
        url = {"url": f"data:image/png;base64,{shown}"}
        parts = [{"type": "text", "text": self._marks.prompt}, {"type": "image_url", "image_url": url}]
        return {"role": "user", "content": parts}


class Said(Wire, frozen=True):
    """The reply to a call in the form of the original clients."""

    response: str = ""
    message: str = ""


@asynccontextmanager
async def stranger(bootstrap: str) -> AsyncIterator[Peers]:
    """A peer that no member list knows."""
    settings = NetSettings(bootstrap=(bootstrap,), host="127.0.0.1", firewalled=False)
    async with hyperswarm(settings) as net:
        endpoint = await net.open(from_seed(secrets.token_bytes(32)))
        async with Peers(endpoint, clock=SystemClock(), settings=settings) as peers:
            yield peers


async def call(peers: Peers, gateway: bytes, method: str, data: dict[str, Any], key: str = "") -> Reply:
    """One call over the swarm, in the form of the original clients: data, and a credential beside it."""
    asked = Method(method, dict[str, Any], Said, PUBLIC)
    try:
        said = await peers.call(gateway, asked, data, meta=Meta(key=key), timeout_s=TIMEOUT_S)
    except HyperinferError as error:
        return Reply(method, 400, f"{error.code} {error} {error.details}")
    return Reply(method, 200, f"{said.response} {said.message}")
