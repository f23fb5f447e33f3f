"""One machine whose workers are processes of their own: to be killed one by one, and asked over HTTP like by anybody."""

import asyncio
import json
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from .conftest import ECHO, Child, Starter, environment, ran

LOOPBACK = {"HYPERINFER_COMMON__NET__HOST": "127.0.0.1", "HYPERINFER_COMMON__NET__FIREWALLED": "false"}
PASSWORD = "correct horse battery"


@dataclass
class Machine:
    """A DHT node, and workers by name: a type, or a type and a rack (`gateway-b`)."""

    home: Path
    start: Starter
    more: dict[str, str] = field(default_factory=dict)
    bootstrap: str = ""
    key: str = ""
    account: dict[str, str] = field(default_factory=dict)
    url: str = ""
    context: ssl.SSLContext | None = None
    dht: Child | None = None
    children: dict[str, Child] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process here."""
        net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": self.bootstrap, **LOOPBACK}
        return environment(self.home, **{**ECHO, **net, "HYPERINFER_COMMON__DRAIN_S": "2", **self.more})

    def found(self, *names: str) -> None:
        """Start the DHT, make the swarm and the administrator, and admit the workers."""
        self.run_dht()
        done("swarm", "init", env=self.env)
        for name in names:
            wtype, _, rack = name.partition("-")
            key = done("identity", wtype, *(("--rack", rack) if rack else ()), env=self.env).strip()
            done("members", "add", key, "--role", wtype, "--name", name, env=self.env)
        self.account = json.loads(done("users", "create-admin", "--json", env=self.env))
        self.key = self.account["api_key"]

    def run_dht(self) -> None:
        """Start the DHT, or start it again where it was."""
        port = self.bootstrap.rpartition(":")[2] or "0"
        dht = self.dht = self.start("dht", "--port", port, env=environment(self.home / "dht"))
        dht.until(lambda: bool(dht.out))
        self.bootstrap = dht.out[0].removeprefix("net.bootstrap=")

    def run(self, name: str, *words: str, inside: Sequence[str] = ()) -> Child:
        """Start one worker and wait until it runs."""
        wtype, _, rack = name.partition("-")
        options = ("--rack", rack) if rack else ()
        child = self.start("worker", "--wtype", wtype, *options, *words, env=self.env, inside=inside)
        self.children[name] = child
        child.until_said("worker_running")
        if wtype == "gateway":
            line = next(line for line in child.err if "worker_running" in line)
            self.url = self.urls[name] = json.loads(line)["http"]
        return child

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, url: str = ""
    ) -> tuple[int, Any, dict[str, str]]:
        """One HTTP request; gives status, body and headers."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{url or self.url}{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15, context=self.context) as reply:
                text = reply.read()
                return reply.status, json.loads(text) if text else None, dict(reply.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null"), dict(error.headers)

    def until_answers(self, *, url: str = "", timeout_s: float = 30.0) -> None:
        """Wait until a prompt is answered."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                status, body, _ = self.call("POST", "/v1/chat/completions", CHAT, url=url)
                if status == 200:
                    return
            except OSError as error:
                body = error
            if time.monotonic() > deadline:
                said = "\n".join(child.said for child in self.children.values())
                raise AssertionError(f"no answer: {body}\n{said}")
            time.sleep(0.05)

    def person(self, name: str) -> tuple[str, str]:
        """Register somebody and log in; gives the first API key and the session token."""
        email = f"{name}@example.org"
        status, made, _ = self.call("POST", "/api/auth/register", {"email": email, "password": PASSWORD})
        assert status == 201, made
        status, session, _ = self.call("POST", "/api/auth/login", {"email": email, "password": PASSWORD})
        assert status == 200, session
        return made["api_key"]["key"], session["access_token"]

    def administrator(self) -> str:
        """Log in as the administrator; gives the session token."""
        known = {name: self.account[name] for name in ("username", "password")}
        status, session, _ = self.call("POST", "/api/auth/login", known)
        assert status == 200, session
        token: str = session["access_token"]
        return token

    def ledger(self, key: str) -> list[dict[str, Any]]:
        """Every request in the ledger that this session may see, page by page, as far as auth can be reached."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = f"/api/usage/requests?limit=200{f'&cursor={cursor}' if cursor else ''}"
            status, page, _ = self.call("GET", query, key=key)
            if status == 503:  # auth is being found again
                return rows
            assert status == 200, page
            rows += page["data"]
            cursor = page.get("next") or ""
            if not cursor:
                return rows


CHAT = {"messages": [{"role": "user", "content": "hello there"}]}


@contextmanager
def machine(home: Path, *names: str, **more: str) -> Iterator[Machine]:
    """Run these workers on one machine, in the order given; `more` is further environment."""
    start = Starter()
    try:
        one = Machine(home, start, more)
        one.found(*names)
        for name in names:
            one.run(name)
        one.until_answers()
        yield one
    finally:
        start.close()


def done(*words: str, env: dict[str, str]) -> str:
    """What a command says that must succeed."""
    ended = ran(*words, env=env)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


class Asker:
    """Asks many prompts at once, and keeps for each label what came of it: `whole`, `cut` (something came) or `none`, and
    for the streamed ones how many words."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.ends: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.words: Counter[str] = Counter()

    @property
    def whole(self) -> set[str]:
        """Labels of the requests that were answered in full."""
        return {label for label, end in self.ends.items() if end == "whole"}

    @property
    def cut(self) -> set[str]:
        """Labels of the requests of whose answer something came, and not the end."""
        return {label for label, end in self.ends.items() if end == "cut"}

    async def ask(self, session: aiohttp.ClientSession, label: str, *, stream: bool) -> None:
        """Ask once."""
        self.ends[label] = "none"
        headers = {**self._headers, "X-Request-Id": label}
        try:
            async with session.post(
                f"{self._url}/v1/chat/completions", json={**CHAT, "stream": stream}, headers=headers
            ) as reply:
                if reply.status != 200:
                    self.errors[label] = f"{reply.status} {(await reply.text())[:200]}"
                    return
                if not stream:
                    await reply.read()
                    self.ends[label] = "whole"
                    return
                async for line in reply.content:
                    if b'"content":"' in line and b'"content":""' not in line:
                        self.ends[label] = "cut"
                        self.words[label] += 1
                    if line.startswith(b"data: [DONE]"):
                        self.ends[label] = "whole"
                if self.ends[label] != "whole":
                    self.errors[label] = "the stream ended early"
        except (aiohttp.ClientError, OSError) as error:
            self.errors[label] = f"{type(error).__name__}: {error}"

    async def many(self, labels: list[str], *, at_once: int) -> None:
        """Ask once for each label, every second one streamed, so many at once."""
        turns = asyncio.Semaphore(at_once)

        async def one(number: int, label: str) -> None:
            async with turns:
                await self.ask(session, label, stream=bool(number % 2))

        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once), timeout=timeout) as session:
            await asyncio.gather(*(one(number, label) for number, label in enumerate(labels)))
