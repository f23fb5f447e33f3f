"""Marks that are planted wherever people, operators and servers say something are where they belong, and nowhere else that can be looked at."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hyperinfer.testing.servers import PostgresServer
from hyperinfer.testing.servers.mail import MailServer
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer, Refusal
from hyperinfer.testing.servers.otlp import Collector, collecting
from hyperinfer.testing.servers.webhook import WebhookReceiver

from .alerting import Told, case, configure, rules
from .conftest import Child, Starter, environment
from .planted import PNG, Marks, Reply, Sayer, call, stranger
from .processes import LOOPBACK, Machine, done

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.needs_postgres]

MODEL = "told"
WORKERS = ("auth", "inference", "gateway", "metrics")
UNLIMITED = {"tiers": {"default": {"requests_per_minute": None, "requests_per_hour": None}}}
OWN_FILES = ("config", "xdg", "swarm")
"""What an operator has written, what the person at the machine has, and the swarm's own keys: there they belong."""

PEOPLE_ARE_IN = {"database", "data/gateway/directory.sqlite", "api/admin/audit"}


@dataclass
class Stack:
    """Every kind of worker, and everybody who is told something of them."""

    machine: Machine
    marks: Marks
    server: OpenAIServer
    told: Told
    collector: Collector
    postgres: PostgresServer
    database: str
    session: aiohttp.ClientSession
    replies: list[Reply] = field(default_factory=list)
    bridge: Child | None = None

    @property
    def home(self) -> Path:
        return self.machine.home

    def address(self, name: str, what: str) -> str:
        """Where a worker serves something."""
        found: str = self.status(name)["addresses"][what]
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "status" / f"{name}.json").read_text())
        return found

    async def run(self, name: str, *, debug: bool = True) -> None:
        """Start a worker, with DEBUG=1 or without."""
        self.machine.more["DEBUG"] = "1" if debug else ""
        await asyncio.to_thread(self.machine.run, name)
        if name == "gateway":
            await asyncio.to_thread(self.machine.until_answers)

    async def say(self, url: str, key: str, model: str = MODEL) -> Sayer:
        """Say everything to an address by HTTP and by WebSocket."""
        sayer = self.sayer(url)
        await sayer.say_all(key, model)
        await sayer.over_a_socket(key, model)
        return sayer

    def sayer(self, url: str) -> Sayer:
        """Who says something to an address."""
        return Sayer(self.session, url, self.marks, self.replies)


@pytest_asyncio.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    marks = Marks()
    async with AsyncExitStack() as ending:
        start = Starter()
        ending.push_async_callback(asyncio.to_thread, start.close)
        postgres = ending.enter_context(PostgresServer.running())
        database = ending.enter_context(postgres.database())
        marks.given += [postgres.password]
        collector = ending.enter_context(collecting())
        webhook = await ending.enter_async_context(WebhookReceiver.running())
        mail = await ending.enter_async_context(MailServer.running(login=("swarm", marks.mail)))
        server = await ending.enter_async_context(OpenAIServer.running(OpenAIModel(MODEL)))
        server.will.text, server.will.key = marks.answer, marks.backend
        session = await ending.enter_async_context(aiohttp.ClientSession())
        told = Told(webhook, mail)
        settings = told.settings(rules(error_rate={}, backend_down={}))
        settings["alerts"]["webhooks"][0] |= {"url": f"{webhook.url}?token={marks.webhook}", "secret": marks.webhook}
        settings["mail"] |= {"username": "swarm", "password": marks.mail}
        backend = {"name": "theirs", "url": server.url, "flavor": "vllm", "api_key": marks.backend, "look_every_s": 1}
        configure(
            tmp_path,
            common={"tracing": {"endpoint": collector.url, "headers": f"authorization={marks.traces}"}},
            auth={"database_url": database, **UNLIMITED},
            gateway={
                "registration": {"swarm": "open"},
                "worker_wait_s": 0.2,
                "metrics": {"per_user": True, "per_key": True},
            },
            inference={"openai": {"servers": [backend]}},
            metrics=settings,
        )
        machine = Machine(tmp_path, start)
        one = Stack(machine, marks, server, told, collector, postgres, database, session)
        await asyncio.to_thread(machine.found, *WORKERS)
        for name in WORKERS:
            await one.run(name)
        yield one


async def people_come(stack: Stack, url: str) -> str:
    """Somebody registers, logs in, mistypes, and makes keys; gives one."""
    marks = stack.marks
    sayer = stack.sayer(url)
    person = {"email": marks.email, "password": marks.password}
    account = await sayer.ask("POST", "/api/auth/register", {**person, "username": marks.username})
    await sayer.ask("POST", "/api/auth/register", {**person, "username": marks.username})
    session = await sayer.ask("POST", "/api/auth/login", person)
    token = session["access_token"]
    for wrong in ({**person, "password": marks.wrong}, {**person, "password": [marks.wrong]}, [marks.password]):
        await sayer.ask("POST", "/api/auth/login", wrong)
    made = await sayer.ask("POST", "/api/auth/api-keys", {"name": marks.key_name}, by=token)
    turned = await sayer.ask("POST", f"/api/auth/api-keys/{made['id']}/rotate", {"overlap_s": 60}, by=token)
    await sayer.ask("POST", "/api/auth/password", {"current": marks.wrong, "new": marks.password}, by=token)
    await sayer.ask("GET", "/api/me", by=marks.key)
    marks.given += [account["api_key"]["key"], token, made["key"], turned["key"]]
    return str(made["key"])


async def a_backend_fails(stack: Stack, sayer: Sayer, key: str) -> None:
    """What it says of it has the prompt, and words of its own."""
    marks = stack.marks
    chat = {"model": MODEL, "messages": [{"role": "user", "content": marks.prompt}]}
    said = {"error": {"message": f"{marks.words}: {marks.prompt}", "code": marks.words, "type": marks.words}}
    failing = case("error_rate", worker="gateway")
    for status in (400, 404, 429, 500):
        stack.server.will.refuses = Refusal(status, said, {"x-error": marks.words})
        for stream in (False, True):
            await sayer.ask("POST", "/v1/chat/completions", {**chat, "stream": stream}, by=key)
    for fault in ("error", "garbage", "dies", "page"):
        stack.server.will.refuses, stack.server.will.fault = None, fault
        stack.server.will.fault_after = 0
        await sayer.ask("POST", "/v1/chat/completions", {**chat, "stream": True}, by=key)
    asking = asyncio.create_task(_again_and_again(sayer, chat, key))
    await stack.told.fires(failing)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    stack.server.will.fault = "none"
    await stack.server.stop()
    gone = case("backend_down", worker="inference", backend="openai:theirs")
    await stack.told.fires(gone)
    await stack.server.start()
    await stack.told.is_over(failing, gone)


async def _again_and_again(sayer: Sayer, chat: dict[str, Any], key: str) -> None:
    while True:
        await sayer.ask("POST", "/v1/chat/completions", chat, by=key)


async def over_the_swarm(stack: Stack, key: str) -> None:
    """A bridge, and a stranger's calls in the form of the original clients."""
    marks, machine = stack.marks, stack.machine
    [link, *_] = (await asyncio.to_thread(done, "link", env=machine.env)).splitlines()
    net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": machine.bootstrap, **LOOPBACK, "HYPERINFER_COMMON__DRAIN_S": "2"}
    traces = {"ENDPOINT": stack.collector.url, "HEADERS": f"authorization={marks.traces}"}
    net |= {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in traces.items()}
    env = environment(stack.home / "outside", **net, PORT="0", DEBUG="1")
    stack.bridge = await asyncio.to_thread(machine.start, "bridge", "--gateway", link, env=env)
    await asyncio.to_thread(stack.bridge.until_ready)
    url = stack.bridge.fact("API").removesuffix("/v1")
    sayer = await stack.say(url, key)
    person = {"email": marks.email, "password": marks.password}
    session = await sayer.ask("POST", "/login", person)
    marks.given.append(session["access_token"] if "access_token" in session else session["token"])
    await sayer.ask("POST", "/login", {**person, "password": marks.wrong})
    await sayer.ask("POST", "/register", person)
    await sayer.ask("POST", "/inference", {"query": marks.prompt}, by=key)
    await sayer.ask("POST", "/inference", {"query": [marks.prompt]}, by=key)
    gateway = bytes.fromhex(stack.status("gateway")["publicKey"])
    async with stranger(machine.bootstrap) as peers:
        for method, data, by in (
            ("processPrompt", {"prompt": marks.prompt}, key),
            ("processPrompt", {"prompt": [marks.prompt]}, key),
            ("processPrompt", {"prompt": marks.prompt}, marks.key),
            ("login", person, ""),
            ("login", {**person, "password": marks.wrong}, ""),
            ("register", {**person, "password": [marks.password]}, ""),
            ("verifySession", {}, marks.key),
            ("getMetrics", {"prompt": marks.prompt}, ""),
            (marks.name, {"prompt": marks.prompt}, ""),
        ):
            stack.replies.append(await call(peers, gateway, method, data, by))


async def test_marks_are_where_they_belong(stack: Stack) -> None:
    marks, machine = stack.marks, stack.machine
    code = await asyncio.to_thread(done, "invite", "--role", "inference", env=machine.env)
    marks.given += [machine.key, code.strip(), (stack.home / "data" / "swarm" / "swarm.key").read_bytes().hex()]
    key = await people_come(stack, machine.url)
    await stack.say(machine.url, key)
    await stack.say(machine.url, key, model="echo")
    await asyncio.to_thread(machine.children["gateway"].stop)
    await stack.run("gateway", debug=False)
    sayer = await stack.say(machine.url, key)
    await over_the_swarm(stack, key)
    await a_backend_fails(stack, sayer, key)

    await asyncio.to_thread(stack.collector.until, lambda spans: any(span.service.endswith("client") for span in spans))
    places = await shown(stack)
    for name, child in (*machine.children.items(), ("bridge", stack.bridge)):
        assert child is not None
        assert await asyncio.to_thread(child.stop) == 0
        places[f"what {name} said"] = "\n".join(
            line for line in (*child.out, *child.err) if "hyper://" not in line
        ).encode()
    places |= written(stack)
    was_said(stack)
    nowhere(stack, places)
    errors(stack)


async def shown(stack: Stack) -> dict[str, bytes]:
    """What the swarm shows to administrators and to programs, and what it has told others."""
    places: dict[str, bytes] = {}

    async def look(url: str, *, name: str = "", **headers: str) -> None:
        async with stack.session.get(url, headers=headers) as reply:
            places[name or url] = await reply.read()
            assert reply.status == 200, url

    for name in WORKERS:
        for path in ("metrics", "healthz", "readyz"):
            await look(f"{stack.address(name, 'observe')}/{path}")
        await look(f"{stack.address('metrics', 'observe')}/workers/{name}/metrics")
    await look(f"{stack.address('metrics', 'observe')}/sd")
    token = await asyncio.to_thread(stack.machine.administrator)
    stack.marks.given += [token, stack.machine.account["password"]]
    admin = {"Authorization": f"Bearer {token}"}
    for path in ("system", "metrics/history", "alerts?past=true", "logs", "audit", "reports"):
        await look(f"{stack.machine.url}/api/admin/{path}", name=f"api/admin/{path}", **admin)
    told = stack.told
    for number, post in enumerate(told.webhook.posts):
        places[f"post {number}"] = post.body + json.dumps(post.headers).encode()
    for number, mail in enumerate(told.mail.mails):
        parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
        places[f"mail {number}"] = mail.as_bytes() + "".join(map(str, parts)).encode()
    places["traces"] = b"".join(stack.collector.bodies)
    tables = stack.postgres.sql(stack.database, "SELECT database_to_xml(true, true, '')")
    places["database"] = tables.encode()
    return places


def written(stack: Stack) -> dict[str, bytes]:
    """Every file of the swarm and of the bridge, but for those in which secrets have their place."""
    files = (path for path in stack.home.rglob("*") if path.is_file())
    return {
        str(path.relative_to(stack.home)): path.read_bytes()
        for path in files
        if not set(path.relative_to(stack.home).parts) & set(OWN_FILES)
    }


def was_said(stack: Stack) -> None:
    """Every mark was really there: models were asked with them, answered with them, and people have the names that they chose."""
    marks = stack.marks
    asked = json.dumps([one.body for one in stack.server.record.asked])
    for name in ("prompt", "system", "arguments"):
        assert getattr(marks, name) in asked, name
    assert base64.b64encode(PNG + marks.image.encode()).decode() in asked
    answered = "".join(reply.text for reply in stack.replies if reply.status == 200)
    assert {text for text in (marks.prompt, marks.answer) if text in answered} == {marks.prompt, marks.answer}
    assert {headers["authorization"] for headers in stack.collector.headers} == {marks.traces}
    assert all("x-hyperinfer-signature" in post.headers for post in stack.told.webhook.posts)
    assert [reply.status for reply in stack.replies if reply.way == "processPrompt"] == [200, 400, 400]


def nowhere(stack: Stack, places: dict[str, bytes]) -> None:
    """No secret is anywhere, no name that only a request had, and names of people only where they are kept."""
    marks = stack.marks

    def found(texts: list[str]) -> set[tuple[str, str]]:
        return {(place, text) for place, content in places.items() for text in texts if text.encode() in content}

    assert found(marks.secret) == set()
    assert found(marks.named) == set()
    assert {place for place, _ in found(marks.people)} == PEOPLE_ARE_IN


def errors(stack: Stack) -> None:
    """What is refused is told without what was said in it, but for the word that is the mistake, and why a model cannot take it."""
    marks = stack.marks
    told = {
        (reply.way, reply.status, reply.text)
        for reply in stack.replies
        if reply.status >= 400 or any(sign in reply.text for sign in ('{"error":{', '"type":"error"'))
        if any(text in reply.text for text in marks.secret)
    }
    others = {
        one
        for one in told
        if not any(mistake in one[2] for mistake in ("messages[0].role cannot be", "The model cannot take this"))
    }
    assert others == set()
    assert {status for _, status, _ in told} == {400}
