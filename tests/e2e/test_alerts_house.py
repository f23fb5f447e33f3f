"""Faults of what workers rest on (database, Redis, disk, certificate, the DHT, auth, their machine), each told once and once that it is over."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio

from hyperinfer.testing.certificates import Authority
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers import PostgresServer, RedisServer
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer
from hyperinfer.workers.metrics.alerts.rules import ALL, TOO_MANY

from .alerting import Load, Told, case, configure, rules
from .conftest import Starter
from .processes import Machine, done
from .test_alerts import RULES as OTHERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.needs_postgres,
    pytest.mark.needs_redis,
    pytest.mark.needs_root,
]

RULES = rules(
    database_down={},
    usage_late={"threshold": 5},
    usage_waiting={"threshold": 200},
    usage_stuck={},
    limits_degraded={},
    certificate_expires={},
    certificate_expires_soon={},
    cpu={"threshold": 0.1},
    loop_lag={},
    signing_key_expires={},
    disk={},
    open_files={},
    swarm_offline={},
    metrics_refused={},
    worker_lost={"hold_s": 3},
    backend_restarts={"threshold": 0},
)
NOT_HERE = {
    "memory": "it would take that of everybody else on the machine",
    "too_many_alerts": "it takes two hundred of others",
}
"""Rules whose faults no test makes; `tests/unit/workers/metrics/alerts` holds these alone."""
WORKERS = ("auth", "gateway", "inference", "metrics")
MAX_FILES = 300
MAX_SAMPLES = 3000
"""Several times what any worker shows here, until one has very many models."""
MAX_MODELS = 100
DISK_BYTES = 32 * 1024 * 1024
ENGINE = "inference-engine"


@dataclass
class House:
    """Four workers, on a database, a Redis, a certificate of two days, and a small disk for the one with the models."""

    machine: Machine
    told: Told
    load: Load
    postgres: PostgresServer
    database: str
    redis: RedisServer
    authority: Authority
    server: OpenAIServer

    @property
    def home(self) -> Path:
        return self.machine.home

    def time_passes(self, interval: str) -> None:
        """Let the keys that sign sessions be older than they are."""
        older = f"UPDATE signing_keys SET created_at = created_at - interval '{interval}'"
        self.postgres.sql(self.database, older)

    def pid(self, name: str) -> int:
        return self.machine.children[name].process.pid


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A disk of its own for a folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with AsyncExitStack() as ending:
        home = tmp_path_factory.mktemp("house")
        ending.enter_context(disk(home / "data" / "inference"))
        start = Starter()
        ending.push_async_callback(asyncio.to_thread, start.close)
        postgres = ending.enter_context(PostgresServer.running())
        database = ending.enter_context(postgres.database())
        redis = ending.enter_context(RedisServer.running())
        told = await ending.enter_async_context(Told.running())
        server = await ending.enter_async_context(OpenAIServer.running(OpenAIModel("told")))
        session = await ending.enter_async_context(aiohttp.ClientSession())
        authority = Authority(home)
        certificate, key = authority.certify("127.0.0.1", "localhost", life=timedelta(days=2))
        configure(
            home,
            auth={"database_url": database},
            gateway={
                "limits": {"redis_url": redis.url},
                "http": {"tls_certificate": str(certificate), "tls_key": str(key)},
                "journal": {"max_undelivered": 400},
            },
            inference={"openai": {"servers": [{"name": "theirs", "url": server.url, "look_every_s": 1}]}},
            metrics=told.settings(RULES, collect={"interval_s": 1.0, "timeout_s": 1.0, "max_samples": MAX_SAMPLES}),
        )
        context = ssl.create_default_context(cafile=str(authority.file))
        machine = Machine(home, start, context=context)
        await asyncio.to_thread(machine.found, *WORKERS)
        for name in WORKERS:
            inside = ("prlimit", f"--nofile={MAX_FILES}:{MAX_FILES}") if name == "gateway" else ()
            await asyncio.to_thread(machine.run, name, inside=inside)
        await asyncio.to_thread(machine.until_answers)
        yield House(machine, told, Load(machine, session), postgres, database, redis, authority, server)


async def test_every_rule_has_its_fault() -> None:
    """A fault of a real worker here or in `test_alerts`, or a reason why there is none."""
    raised = {name for rules in (RULES, OTHERS) for name, one in rules.items() if one.get("on", True)}
    assert not raised & NOT_HERE.keys()
    assert raised | NOT_HERE.keys() == {rule.name for rule in (*ALL, TOO_MANY)}


async def test_a_machine_that_is_busy(house: House) -> None:
    """First: whatever starts or works hard later makes it busy too."""
    busy = case("cpu", worker="gateway")
    async with house.load.asking("echo", at_once=4, text="word " * 2000):
        await house.told.fires(busy)
    await house.told.is_over(busy)


# --- what workers rest on, all at once ----------------------------------------------------------------------------


async def a_database_that_is_stopped(house: House) -> None:
    away = case("database_down", worker="auth")
    house.postgres.stop()
    await house.told.fires(away)
    house.postgres.start()
    await house.told.is_over(away)


async def a_redis_that_is_killed(house: House) -> None:
    alone = case("limits_degraded", worker="gateway")
    house.redis.kill()
    await house.told.fires(alone)
    house.redis.start()
    await house.told.is_over(alone)


async def a_certificate_that_is_renewed(house: House) -> None:
    soon = [case(rule, worker="gateway") for rule in ("certificate_expires", "certificate_expires_soon")]
    await house.told.fires(*soon)
    house.authority.certify("127.0.0.1", "localhost")
    await house.told.is_over(*soon)


async def a_disk_that_fills(house: House) -> None:
    full = case("disk", worker="inference")
    folder = house.home / "data" / "inference"
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(int(shutil.disk_usage(folder).free - 0.02 * DISK_BYTES)))
    await house.told.fires(full)
    ballast.unlink()
    await house.told.is_over(full)


async def connections_that_nobody_closes(house: House) -> None:
    many = case("open_files", worker="gateway")
    host, port = house.machine.url.removeprefix("https://").split(":")
    process = psutil.Process(house.pid("gateway"))
    wanted = int(0.9 * MAX_FILES) - process.num_fds()
    with ExitStack() as opened:
        for _ in range(wanted):
            opened.enter_context(socket.create_connection((host, int(port)), timeout=5))
        await house.told.fires(many)
    await house.told.is_over(many)


async def a_dht_that_is_killed(house: House) -> None:
    offline = [case("swarm_offline", worker=name) for name in WORKERS]
    assert house.machine.dht
    await asyncio.to_thread(house.machine.dht.kill)
    await house.told.fires(*offline)
    await asyncio.to_thread(house.machine.run_dht)
    await house.told.is_over(*offline)


async def test_what_workers_rest_on_fails(house: House) -> None:
    async with asyncio.TaskGroup() as group:
        for fault in (
            a_database_that_is_stopped,
            a_redis_that_is_killed,
            a_certificate_that_is_renewed,
            a_disk_that_fills,
            connections_that_nobody_closes,
            a_dht_that_is_killed,
        ):
            group.create_task(fault(house), name=fault.__name__)


# --- workers, all at once -----------------------------------------------------------------------------------------


async def auth_is_killed_while_requests_go_on(house: House) -> None:
    """The journal grows, until it is at its bound and nothing is served any more. Away for so long, auth comes back with a key that
    another should have followed; the next one signs once gateways have known it for ten minutes."""
    grows = [case(rule, worker="gateway") for rule in ("usage_waiting", "usage_late", "usage_stuck")]
    lost, expired = case("worker_lost", worker="auth", wtype="auth"), case("signing_key_expires", worker="auth")
    await asyncio.to_thread(house.machine.children["auth"].kill)
    async with house.load.asking("echo", at_once=4):
        await house.told.fires(*grows, lost)
    house.time_passes("40 days")
    await asyncio.to_thread(house.machine.run, "auth")
    await house.told.is_over(*grows, lost)
    await house.told.fires(expired)
    house.time_passes("11 minutes")
    await asyncio.to_thread(house.machine.children["auth"].stop)
    await asyncio.to_thread(house.machine.run, "auth")
    await house.told.is_over(expired)


async def a_worker_that_stands_still_and_then_shows_more_than_is_let_in(house: House) -> None:
    late, refused = case("loop_lag", worker="inference"), case("metrics_refused", worker="metrics")
    metrics, pid = house.machine.children["metrics"], house.pid("inference")
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.to_thread(metrics.until_said, '"worker_lost","worker":"metrics","name":"inference"')
    finally:
        os.kill(pid, signal.SIGCONT)
    await house.told.fires(late)
    await house.told.is_over(late)
    few = dict(house.server.models)
    house.server.models = {f"model-{number}": OpenAIModel(f"model-{number}") for number in range(MAX_MODELS)}
    await house.told.fires(refused)
    house.server.models = few
    await asyncio.to_thread(house.machine.children["inference"].stop)
    await asyncio.to_thread(house.machine.run, "inference")
    await house.told.is_over(refused)


async def an_engine_that_is_killed(house: House) -> None:
    again = case("backend_restarts", worker=ENGINE)
    env = house.machine.env
    key = await asyncio.to_thread(done, "identity", "inference", "--rack", "engine", env=env)
    await asyncio.to_thread(done, "members", "add", key.strip(), "--role", "inference", "--name", ENGINE, env=env)
    small = ("llamacpp.enabled=true", "llamacpp.threads=1", "llamacpp.slots=1", "llamacpp.context_tokens=512")
    words = [part for setting in (*small, "openai.servers=[]") for part in ("--set", setting)]
    await asyncio.to_thread(house.machine.run, ENGINE, *words)

    async def ready() -> bool:
        _, found, _ = await asyncio.to_thread(house.machine.call, "GET", "/api/workers")
        models = [model for worker in found["workers"] if worker["name"] == ENGINE for model in worker["models"]]
        return any(model["state"] == "ready" and model["name"] != "echo" for model in models)

    await eventually(ready, timeout_s=60)
    engine = next(
        child for child in psutil.Process(house.pid(ENGINE)).children() if Path(child.exe()).name.startswith("python")
    )
    engine.kill()
    await house.told.fires(again)
    await house.told.is_over(again)


@pytest.mark.needs_model
async def test_workers_fail(house: House) -> None:
    async with asyncio.TaskGroup() as group:
        for fault in (
            auth_is_killed_while_requests_go_on,
            a_worker_that_stands_still_and_then_shows_more_than_is_let_in,
            an_engine_that_is_killed,
        ):
            group.create_task(fault(house), name=fault.__name__)
