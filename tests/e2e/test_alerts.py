"""Faults of real workers and backends, each of which is told to a webhook and by e-mail, once when it begins and once when it is over."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import msgspec
import psutil
import pytest
import pytest_asyncio

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer, Refusal
from hyperinfer.workers.metrics.alerts.store import FILE, Kept

from .alerting import Load, Told, case, configure, rules
from .conftest import Starter
from .processes import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

MODEL = "told"
RULES = rules(
    error_rate={},
    latency={"threshold": 1.0},
    queue={"threshold": 2},
    refusals={"threshold": 0},
    rate_limits={"threshold": 2},
    worker_lost={"hold_s": 3},
    no_workers={},
    model_gone={},
    backend_down={},
    breaker_open={},
    driver_restarts={"threshold": 0},
)
BACKEND_DOWN = case("backend_down", worker="inference-a", backend="openai:theirs")
MODEL_GONE = case("model_gone", model=MODEL)


@dataclass
class Stack:
    """A gateway, a worker before a server with one model, a worker with the echo, and who is told when they are not well."""

    machine: Machine
    server: OpenAIServer
    told: Told
    load: Load

    async def run(self, name: str) -> None:
        """Start a worker as it is at the beginning."""
        words: tuple[str, ...] = ()
        if name == "inference-a":
            backend = {"name": "theirs", "url": self.server.url, "flavor": "vllm", "slots": 1}
            looks = {"look_every_s": 0.5, "grace_s": 0}
            settings = ("echo.enabled=false", "queue=3", f"openai.servers={json.dumps([backend | looks])}")
            words = tuple(part for setting in settings for part in ("--set", setting))
        await asyncio.to_thread(self.machine.run, name, *words)

    async def until_answered(self, *models: str) -> None:
        """Wait until these models answer."""

        async def answered() -> bool:
            return {await self.load.ask(model) for model in models} == {200}

        await eventually(answered, timeout_s=40)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    names = ("auth", "gateway", "inference-a", "inference-b", "metrics")
    async with AsyncExitStack() as ending:
        start = Starter()
        ending.push_async_callback(asyncio.to_thread, start.close)
        server = await ending.enter_async_context(OpenAIServer.running(OpenAIModel(MODEL)))
        told = await ending.enter_async_context(Told.running())
        session = await ending.enter_async_context(aiohttp.ClientSession())
        home = tmp_path_factory.mktemp("swarm")
        configure(home, metrics=told.settings(RULES), gateway={"worker_wait_s": 0.2})
        machine = Machine(home, start)
        await asyncio.to_thread(machine.found, *names)
        one = Stack(machine, server, told, Load(machine, session))
        for name in names:
            await one.run(name)
        await one.until_answered(MODEL, "echo")
        yield one


async def test_a_slow_backend(stack: Stack) -> None:
    slow = case("latency", worker="gateway")
    stack.server.will.token_s = 0.5
    async with stack.load.asking(MODEL, at_once=1):
        await stack.told.fires(slow)
        stack.server.will.token_s = 0.0
        await stack.told.is_over(slow)


async def test_a_backend_that_answers_nobody(stack: Stack) -> None:
    """One request is with it, three may wait, and the others find no room."""
    waiting, refused = case("queue", worker="inference-a"), case("refusals", worker="inference-a")
    stack.server.will.hold = asyncio.Event()
    async with stack.load.asking(MODEL, at_once=6):
        await stack.told.fires(waiting, refused)
    stack.server.will.hold.set()
    stack.server.will.hold = None
    await stack.told.is_over(waiting, refused)


async def test_a_backend_that_fails(stack: Stack) -> None:
    failing, left_alone = (
        case("error_rate", worker="gateway"),
        case("breaker_open", worker="gateway", peer="inference-a", model=MODEL),
    )
    stack.server.will.refuses = Refusal(500, "out of memory")
    async with stack.load.asking(MODEL, at_once=3):
        await stack.told.fires(failing, left_alone)
        stack.server.will.refuses = None
        await stack.told.is_over(left_alone)
    await stack.told.is_over(failing)


async def test_a_backend_that_is_gone_while_the_webhook_is_away(stack: Stack) -> None:
    metrics = stack.machine.children["metrics"]
    async with stack.told.webhook.away():
        await stack.server.stop()
        await asyncio.to_thread(metrics.until_said, "alert_notice_not_taken")
        assert stack.told.posted.get(BACKEND_DOWN) is None
    await stack.told.fires(BACKEND_DOWN, MODEL_GONE)
    await stack.server.start()
    await stack.told.is_over(BACKEND_DOWN, MODEL_GONE)


async def test_somebody_who_asks_too_much(stack: Stack) -> None:
    too_often = case("rate_limits", worker="gateway")
    key, _ = await asyncio.to_thread(stack.machine.person, "ada")
    async with stack.load.asking("echo", at_once=1, key=key):
        await stack.told.fires(too_often)
    await stack.told.is_over(too_often)


async def test_a_driver_that_is_killed(stack: Stack) -> None:
    again = case("driver_restarts", worker="inference-b")
    [driver] = psutil.Process(stack.machine.children["inference-b"].process.pid).children()
    driver.kill()
    await stack.told.fires(again)
    await stack.told.is_over(again)


async def test_every_worker_with_models_is_killed(stack: Stack) -> None:
    """The models are of no use to anybody meanwhile, and the gateway is of none."""
    names = ("inference-a", "inference-b")
    lost = [case("worker_lost", worker=name, wtype="inference") for name in names]
    idle = [case("no_workers", worker="gateway"), MODEL_GONE, case("model_gone", model="echo")]
    for name in names:
        await asyncio.to_thread(stack.machine.children[name].kill)
    await stack.told.fires(*lost, *idle)
    await asyncio.gather(*map(stack.run, names))
    await stack.told.is_over(*lost, *idle)
    await stack.until_answered(MODEL, "echo")


async def test_the_metrics_worker_is_killed_while_an_alert_fires(stack: Stack) -> None:
    await stack.server.stop()
    await stack.told.fires(BACKEND_DOWN)

    async def kept() -> bool:
        """Whether the file knows that everybody was told: what was not, is told again."""
        book = msgspec.json.decode((stack.machine.home / "data" / "metrics" / FILE).read_bytes(), type=Kept)
        firing = {one.rule for one in book.book.open if one.told_at is not None}
        return "backend_down" in firing and not any(book.waiting.values())

    await eventually(kept, timeout_s=20)
    await asyncio.to_thread(stack.machine.children["metrics"].kill)
    await stack.run("metrics")
    token = await asyncio.to_thread(stack.machine.administrator)

    async def has_looked() -> bool:
        """Whether the new one has collected what that worker shows."""
        status, found, _ = await asyncio.to_thread(stack.machine.call, "GET", "/api/admin/system", key=token)
        seen = {one["name"] for one in found.get("workers", ()) if one["state"] in {"ready", "degraded"}}
        return status == 200 and "inference-a" in seen

    await eventually(has_looked, timeout_s=40)
    assert stack.told.posted[BACKEND_DOWN][-1] == "firing"
    await stack.server.start()
    await stack.told.is_over(BACKEND_DOWN)
