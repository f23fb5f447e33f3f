"""The auth worker in a swarm: who may call it, and what it counts and says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts.common import METRICS
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.errors import BadRequest, Forbidden, Unauthenticated
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import NOTE_EVERY_S, WORKER

from .conftest import PASSWORD


class Swarm:
    """Auth, and two workers that ask it: one that may, one that may not. `log` is what was logged."""

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
    workers = (WORKER, made.asker("gateway"), made.asker("inference"))
    with structlog.testing.capture_logs() as lines:
        async with swarm([part(worker, home=home) for worker in workers], home=home, clock=made.clock):
            made.log = [str(line) for line in lines]
            yield made


async def test_a_gateway_gets_every_method_answered(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        made = await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        user = made.account.id
        session = await auth.call(contract.LOGIN, contract.Login(email="ada@example.org", password=PASSWORD))
        credential = contract.Credential(key=session.access_token)
        assert (await auth.call(contract.VERIFY_SESSION, credential)).principal.user_id == user
        key = await auth.call(contract.GENERATE_API_KEY, contract.GenerateApiKey(user_id=user, name="laptop"))
        credential = contract.Credential(key=key.key)
        assert (await auth.call(contract.VALIDATE_API_KEY, credential)).principal.key_id == key.id
        listed = await auth.call(contract.LIST_API_KEYS, contract.OfUser(user_id=user))
        assert {one.name for one in listed.keys} == {"laptop", "default"}
        await auth.call(contract.REVOKE_API_KEY, contract.RevokeApiKey(user_id=user, id=key.id))
        with pytest.raises(Unauthenticated):
            await auth.call(contract.VALIDATE_API_KEY, credential)
        assert len((await auth.call(contract.JWKS, Nothing())).keys) == 1


async def test_another_member_gets_none(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        asked: tuple[tuple[Method[Any, Any], Any], ...] = (
            (contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD)),
            (contract.LOGIN, contract.Login(email="ada@example.org", password=PASSWORD)),
            (contract.VERIFY_SESSION, contract.Credential(key="x")),
            (contract.VALIDATE_API_KEY, contract.Credential(key="x")),
            (contract.GENERATE_API_KEY, contract.GenerateApiKey(user_id="x", name="x")),
            (contract.LIST_API_KEYS, contract.OfUser(user_id="x")),
            (contract.REVOKE_API_KEY, contract.RevokeApiKey(user_id="x", id="x")),
            (contract.JWKS, Nothing()),
        )
        assert {method.name for method, _ in asked} == {method.name for method in contract.METHODS}
        for method, request in asked:
            with pytest.raises(Forbidden):
                await running.auth["inference"].call(method, request)


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


async def test_the_last_use_of_keys_is_written_once_a_minute(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        made = await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))

        async def noted() -> bool:
            listed = await auth.call(contract.LIST_API_KEYS, contract.OfUser(user_id=made.account.id))
            return listed.keys[0].last_used_at is not None

        await auth.call(contract.VALIDATE_API_KEY, contract.Credential(key=made.key.key))
        assert not await noted()
        running.clock.advance(NOTE_EVERY_S)
        await eventually(noted)


async def test_what_was_used_last_is_written_when_it_stops(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        auth = running.auth["gateway"]
        made = await auth.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        await auth.call(contract.VALIDATE_API_KEY, contract.Credential(key=made.key.key))
    async with house(tmp_path) as again:
        listed = await again.auth["gateway"].call(contract.LIST_API_KEYS, contract.OfUser(user_id=made.account.id))
        assert listed.keys[0].last_used_at is not None


async def test_without_an_administrator_it_says_what_to_run(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        assert any("hyperinfer users create-admin" in line for line in running.log)
    made = await create_admin(tmp_path / "data" / "auth", AuthSettings())
    async with house(tmp_path) as running:
        assert not any("create-admin" in line for line in running.log)
        assert not any(secret and secret in line for line in running.log for secret in (made.password, made.key))
