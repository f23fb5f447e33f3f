"""The auth worker in a swarm: who may call it, what it tells gateways, and what it counts and says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hyperinfer.contracts import audit, directory, people, usage
from hyperinfer.contracts import auth as contract
from hyperinfer.contracts.acting import Actor, As, at_auth
from hyperinfer.contracts.common import METRICS
from hyperinfer.contracts.directory import KEY, SIGNING, TIER, USER, Changes, Since
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.contracts.reports import SUM_USAGE, SumUsage
from hyperinfer.errors import BadRequest, Forbidden, PeerLost, Unauthenticated
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER

from .conftest import PASSWORD, claims_of

PASSED_ON: tuple[Method[Any, Any], ...] = (*people.PASSED_ON, *usage.PASSED_ON, *audit.PASSED_ON)
OWN: tuple[Method[Any, Any], ...] = (*contract.METHODS, *directory.METHODS, usage.RECORD_USAGE, audit.NOTE_OPERATION)
METHODS = (*OWN, *map(at_auth, PASSED_ON))


class Swarm:
    """Auth, and workers that ask it: a gateway, which may, an inference worker, which may not, and one that gathers figures. `log` is what was logged."""

    def __init__(self) -> None:
        self.auth: dict[str, Caller] = {}
        self.clock = ManualClock()
        self.log: list[str] = []

    def asker(self, name: str) -> WorkerType[WorkerSettings]:
        @asynccontextmanager
        async def opened(context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
            self.auth[name] = context.service("auth")
            yield Service(routes=())

        return WorkerType(name=name, settings=WorkerSettings, observe_port=9100, open=opened)


@asynccontextmanager
async def house(home: Path) -> AsyncIterator[Swarm]:
    made = Swarm()
    workers: list[WorkerType[Any]] = [WORKER, *map(made.asker, ("gateway", "inference", "metrics"))]
    with structlog.testing.capture_logs() as lines:
        async with swarm([part(worker, home=home) for worker in workers], home=home, clock=made.clock):
            made.log = [str(line) for line in lines]
            yield made


async def test_a_gateway_gets_what_people_ask_answered(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        made = await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        user = made.account.id
        session = await auth.call(contract.LOGIN, contract.Login(email="ada@example.org", password=PASSWORD))
        credential = contract.Credential(key=session.access_token)
        assert (await auth.call(contract.VERIFY_SESSION, credential)).principal.user_id == user
        me = Actor(user_id=user, session_id=claims_of(session.access_token).jti)
        wanted = people.GenerateApiKey(name="laptop")
        key = await auth.call(at_auth(people.GENERATE_API_KEY), As(actor=me, wanted=wanted))
        credential = contract.Credential(key=key.key)
        assert (await auth.call(contract.VALIDATE_API_KEY, credential)).principal.key_id == key.id
        listed = await auth.call(at_auth(people.LIST_API_KEYS), As(actor=me, wanted=Nothing()))
        assert {one.name for one in listed.keys} == {"laptop", "default"}
        await auth.call(at_auth(people.REVOKE_API_KEY), As(actor=me, wanted=people.OfKey(id=key.id)))
        with pytest.raises(Unauthenticated):
            await auth.call(contract.VALIDATE_API_KEY, credential)
        assert len((await auth.call(contract.JWKS, Nothing())).keys) == 1


REQUESTS: dict[str, Any] = {
    "register": contract.Register(email="ada@example.org", password=PASSWORD),
    "login": contract.Login(email="ada@example.org", password=PASSWORD),
    "verifySession": contract.Credential(key="x"),
    "validateApiKey": contract.Credential(key="x"),
    "resetPassword": people.ResetPassword(token="x", password=PASSWORD),
    "noteOperation": As(actor=Actor(user_id="x"), wanted=audit.Operation(action="model.load_ordered")),
    "recordUsage": usage.RecordUsage(records=()),
    "getDirectory": Since(),
    "watchDirectory": Since(),
}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_every_method_is_for_gateways_alone(method: Method[Any, Any]) -> None:
    assert method.access.kind == "members"
    assert method.access.roles == {"gateway"}


async def test_another_member_gets_no_answer_to_anything(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        for method in METHODS:
            request = REQUESTS.get(method.name, Nothing())
            with pytest.raises(Forbidden, match="gateway"):
                await running.auth["inference"].call(method, request)


async def test_sums_of_usage_are_for_the_metrics_worker_alone(tmp_path: Path) -> None:
    today = SumUsage(since=date(2026, 1, 1), until=date(2026, 1, 1))
    async with house(tmp_path) as running:
        assert (await running.auth["metrics"].call(SUM_USAGE, today)).total.requests == 0
        for other in ("gateway", "inference"):
            with pytest.raises(Forbidden, match="metrics"):
                await running.auth[other].call(SUM_USAGE, today)
        with pytest.raises(Forbidden, match="gateway"):
            await running.auth["metrics"].call(usage.RECORD_USAGE, usage.RecordUsage(records=()))


async def test_every_method_that_a_gateway_passes_on_is_answered_to_nobody_else(tmp_path: Path) -> None:
    """A person that is none, a session that is none: each is refused, and none is unknown."""
    async with house(tmp_path) as running:
        for method in PASSED_ON:
            wanted = msgspec.convert(EXAMPLES.get(method.name, {}), method.request)
            request = As(actor=Actor(user_id="x", session_id="y"), wanted=wanted)
            with pytest.raises(Unauthenticated):
                await running.auth["gateway"].call(at_auth(method), request)


EXAMPLES: dict[str, dict[str, Any]] = {
    "changePassword": {"current": PASSWORD, "new": PASSWORD},
    "deleteAccount": {"password": PASSWORD},
    "updateApiKey": {"id": "x"},
    "rotateApiKey": {"id": "x"},
    "revokeApiKey": {"id": "x"},
    "showAccount": {"id": "x"},
    "createAccount": {"email": "bob@example.org"},
    "changeAccount": {"id": "x"},
    "removeAccount": {"id": "x"},
    "issueReset": {"id": "x"},
    "revokePersonInvite": {"id": "x"},
}


async def test_a_gateway_is_told_of_everything_there_is_and_of_each_change(tmp_path: Path) -> None:
    pages: asyncio.Queue[Changes] = asyncio.Queue()

    async def take(chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            pages.put_nowait(msgspec.json.decode(chunk, type=Changes))

    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        watching = asyncio.create_task(auth.call(directory.WATCH_DIRECTORY, Since(), sink=take, timeout_s=60))
        page = await pages.get()
        assert page.is_whole
        assert {change.kind for change in page.changes} == {SIGNING, TIER}
        await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        page = await pages.get()
        assert [change.kind for change in page.changes] == [USER, KEY]
        same = await auth.call(directory.GET_DIRECTORY, Since(directory=page.directory, seq=page.seq - 1))
        assert [change.kind for change in same.changes] == [KEY]
    with suppress(PeerLost):
        assert await watching == Nothing()  # auth lets those who watch go when it stops


async def test_calls_are_counted_by_method_and_outcome_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        with pytest.raises(BadRequest):
            await auth.call(contract.REGISTER, contract.Register(email="nonsense", password=PASSWORD))
        for name in ("bob", "eve"):
            with pytest.raises(Unauthenticated):
                await auth.call(contract.LOGIN, contract.Login(username=name, password=PASSWORD))
        text = (await auth.call(METRICS, Nothing())).text
    for method, status, count in (
        ("register", "ok", 1),
        ("register", "BAD_REQUEST", 1),
        ("login", "UNAUTHENTICATED", 2),
    ):
        line = f'ai_platform_requests_total{{method="{method}",service="auth",status="{status}"}} {count}.0'
        assert line in text.splitlines()
    assert "ai_platform_auth_passwords_waiting 0.0" in text
    for secret in ("ada", "bob", "nonsense", PASSWORD):
        assert secret not in text


async def test_without_an_administrator_it_says_what_to_run(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        assert any("hyperinfer users create-admin" in line for line in running.log)
    made = await create_admin(tmp_path / "data" / "auth", AuthSettings())
    async with house(tmp_path) as running:
        assert not any("create-admin" in line for line in running.log)
        assert not any(secret and secret in line for line in running.log for secret in (made.password, made.key))
