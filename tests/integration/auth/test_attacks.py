"""What somebody tries who means harm: other people's ids, SQL in every text, time, roles of one's own choice, planted secrets."""

import asyncio
import json
import statistics
import time
from typing import Any

import bcrypt
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.acting import Actor, As
from hyperinfer.contracts.method import Meta, Method, Nothing
from hyperinfer.contracts.people import CreateAccount, InvitePerson, OfAccount, RotateApiKey
from hyperinfer.errors import Forbidden, HyperinferError, InternalError, NotFound, Unauthenticated, Unavailable
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.auth.methods import routes
from hyperinfer.workers.auth.models import ApiKeyRow, Base, User

from .conftest import GATEWAY, HOME, PASSWORD, Office, Person, from_


class Gateway:
    """Asks auth as a gateway does, method by method."""

    def __init__(self, office: Office) -> None:
        self._routes = {one.method.name: one for one in routes(office.parts)}

    async def ask(self, method: Method[Any, Any], request: Any, *, remote: str = HOME) -> Any:
        call = Call(caller=bytes.fromhex(GATEWAY), roles=frozenset({"gateway"}), meta=Meta(remote=remote), deadline=1e9)
        return await self._routes[method.name].handler(request, call)

    async def ask_as(self, method: Method[Any, Any], actor: Actor, **wanted: Any) -> Any:
        return await self.ask(method, As(actor=actor, wanted=msgspec.convert(wanted, method.request)))


def actors(person: Person) -> list[Actor]:
    return [origin.actor for origin in (person.origin, person.by_key) if origin.actor]


# --- other people's ids ------------------------------------------------------------------------------------------


async def test_no_method_reaches_what_is_another_persons(office: Office) -> None:
    gateway = Gateway(office)
    ada, eve = await office.person("ada"), await office.person("eve")
    before = await _state(office, ada)
    asked: dict[Method[Any, Any], dict[str, str]] = {
        people.END_SESSIONS: {"id": ada.session_id},
        people.UPDATE_API_KEY: {"id": ada.key.id, "name": "eve's"},
        people.ROTATE_API_KEY: {"id": ada.key.id},
        people.REVOKE_API_KEY: {"id": ada.key.id},
    }
    takes_an_id = {
        method for method in people.OWN if any(field.name == "id" for field in msgspec.structs.fields(method.request))
    }
    assert set(asked) == takes_an_id
    eve_may_all = [Actor(user_id=eve.id, session_id=eve.session_id)]
    for method, wanted in asked.items():
        for actor in eve_may_all:
            with pytest.raises(NotFound):
                await gateway.ask_as(method, actor, **wanted)
    # A session or key of the one under the name of the other.
    crossed = [
        Actor(user_id=ada.id, session_id=eve.session_id),
        Actor(user_id=ada.id, key_id=eve.key.id),
        Actor(user_id=eve.id, session_id=ada.session_id, key_id=eve.key.id.upper() + "x"),
    ]
    for method in people.PASSED_ON:
        for actor in crossed:
            with pytest.raises(Unauthenticated):
                await gateway.ask_as(method, actor, **EXAMPLES.get(method.name, {}))
    assert await _state(office, ada) == before


async def test_no_method_of_administration_answers_to_who_is_no_administrator(office: Office) -> None:
    gateway = Gateway(office)
    root, eve = await office.admin(), await office.person("eve")
    narrow = await office.keys.generate(people.GenerateApiKey(scopes=("inference", "usage", "account")), root.origin)
    not_admins = [*actors(eve), Actor(user_id=root.id, key_id=narrow.id)]
    before = await _state(office, root)
    for method in people.ADMINISTRATION:
        wanted = {**EXAMPLES.get(method.name, {})}
        if "id" in wanted:
            wanted["id"] = root.id
        for actor in not_admins:
            with pytest.raises(Forbidden):
                await gateway.ask_as(method, actor, **wanted)
    assert await _state(office, root) == before


async def test_what_takes_a_session_takes_no_key(office: Office) -> None:
    gateway = Gateway(office)
    root = await office.admin()
    for method in people.OWN:
        if method.access is people.SESSION:
            with pytest.raises(Forbidden, match="session"):
                await gateway.ask_as(
                    method, Actor(user_id=root.id, key_id=root.key.id), **EXAMPLES.get(method.name, {})
                )


async def _state(office: Office, person: Person) -> tuple[Any, ...]:
    await office.sessions.verify(person.session.access_token)
    who = await office.who(person.key.key)
    listed = await office.keys.listed(Nothing(), person.origin) if "account" in (who.scopes or ()) else None
    async with office.database.read() as rows:
        user = await rows.get_one(User, person.id)
        return who, listed, user.password_hash, user.email, user.role, user.is_active


NIL = "00000000-0000-0000-0000-000000000000"
EXAMPLES: dict[str, dict[str, Any]] = {
    "updateAccount": {"username": "somebody", "email": "x@example.org", "password": PASSWORD},
    "changePassword": {"current": PASSWORD, "new": PASSWORD},
    "deleteAccount": {"password": PASSWORD},
    "endSessions": {"id": "x"},
    "generateApiKey": {"name": "x", "expires_at": "2030-01-01T00:00:00Z", "models": ["x"]},
    "updateApiKey": {"id": "x", "name": "x", "expires_at": "2030-01-01T00:00:00Z", "models": ["x"]},
    "rotateApiKey": {"id": "x"},
    "revokeApiKey": {"id": "x"},
    "listAccounts": {"query": "x", "cursor": f"2026-11-01T00:00:00+00:00~{NIL}"},
    "showAccount": {"id": "x"},
    "createAccount": {"email": "bob@example.org", "username": "x", "password": PASSWORD, "tier": "default"},
    "changeAccount": {"id": "x", "tier": "default"},
    "removeAccount": {"id": "x"},
    "issueReset": {"id": "x"},
    "invitePerson": {"email": "x@example.org", "tier": "default"},
    "revokePersonInvite": {"id": "x"},
}
STRANGERS: dict[Method[Any, Any], dict[str, Any]] = {
    contract.REGISTER: {"email": "x@example.org", "username": "x", "password": PASSWORD, "code": "x"},
    contract.LOGIN: {"email": "x", "username": "x", "password": "x", "agent": "x"},
    contract.VERIFY_SESSION: {"key": "x"},
    contract.VALIDATE_API_KEY: {"key": "x"},
    contract.RESET: {"token": "x", "password": PASSWORD},
}


# --- SQL, and anything else, in every text -------------------------------------------------------------------------

SQL = (
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    '" OR ""="',
    "admin'--",
    "x') UNION SELECT password_hash FROM users --",
    "\\'; DELETE FROM api_keys; --",
    "%' OR 1=1 --",
    "%",
    "_",
    "\0",
    "\ud800",
    "{0}",
    "%(id)s",
    ":id",
    "$1",
    "🙂" * 60,
    "\u202e\r\n\x1b[2J",
    NIL,
)
TEXTS = st.sampled_from(SQL) | st.text(max_size=64) | st.text(st.characters(categories=["Cs", "Cc", "Cf"]), max_size=8)


def filled(example: Any, put: str) -> list[Any]:
    """The example with one of its texts replaced, for each of them."""
    if isinstance(example, dict):
        return [{**example, name: new} for name, value in example.items() for new in filled(value, put)]
    if isinstance(example, list):
        return [[new] for value in example for new in filled(value, put)]
    return [put]


async def refused_or_answered(asked: Any) -> None:
    """Nothing of ours breaks: an answer, or an error that is the caller's."""
    try:
        await asked
    except (InternalError, Unavailable):
        raise
    except HyperinferError:
        return


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(put=TEXTS)
async def test_a_text_is_a_text_wherever_it_stands(crowd: "Crowd", put: str) -> None:
    gateway, root = crowd.gateway, crowd.root
    before = await crowd.counted()
    mine = Actor(user_id=root.id, session_id=root.session_id)
    crowd.office.clock.advance(3600)  # whatever failed before is forgotten
    for method, example in STRANGERS.items():
        for wanted in filled(example, put):
            request = method.request(**wanted)
            await refused_or_answered(gateway.ask(method, request, remote=put))
    for method in people.PASSED_ON:
        example = EXAMPLES.get(method.name, {})
        for wanted in filled(example, put):
            if method not in (people.DELETE_ACCOUNT, people.END_SESSIONS):
                await refused_or_answered(gateway.ask(method, As(actor=mine, wanted=_made(method, wanted))))
        for actor in (
            Actor(user_id=put, session_id=root.session_id),
            Actor(user_id=root.id, session_id=put),
            Actor(user_id=root.id, key_id=put),
        ):
            with pytest.raises(Unauthenticated):
                await gateway.ask(method, As(actor=actor, wanted=_made(method, example)))
    await crowd.office.parts.notes.written()
    assert await crowd.counted() >= before
    assert (await crowd.office.who(root.key.key)).role == "admin"


def _made(method: Method[Any, Any], wanted: dict[str, Any]) -> Any:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in wanted.items()}
    return method.request(**fields)


class Crowd:
    """An administrator, and a gateway that passes on what they ask."""

    def __init__(self, office: Office, root: Person) -> None:
        self.office = office
        self.gateway = Gateway(office)
        self.root = root

    async def counted(self) -> tuple[int, int]:
        async with self.office.database.read() as rows:
            users = await rows.scalar(select(func.count()).select_from(User)) or 0
            return users, await rows.scalar(select(func.count()).select_from(ApiKeyRow)) or 0


@pytest.fixture
async def crowd(office: Office) -> Crowd:
    return Crowd(office, await office.admin())


# --- time ----------------------------------------------------------------------------------------------------------

ROUNDS = 25


async def _medians(office: Office, names: list[str]) -> dict[str, float]:
    """CPU time of a refused log-in, by name: what other processes do does not count."""
    took: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS):
        office.clock.advance(3600)
        for name in names:
            await office.parts.notes.written()
            started = time.process_time()
            with pytest.raises(Unauthenticated):
                await office.login(name, "wrong password", remote=f"198.51.100.{number}")
            took[name].append(time.process_time() - started)
    return {name: statistics.median(times) for name, times in took.items()}


@pytest.mark.slow
async def test_time_does_not_tell_whether_there_is_an_account(office: Office) -> None:
    await office.register("ada")
    await office.register("gone")
    async with office.database.write() as rows:
        await rows.execute(update(User).where(User.username == "gone").values(is_active=False))
    medians = await _medians(office, ["ada", "nobody", "gone"])
    assert max(medians.values()) / min(medians.values()) < 1.4, medians


@pytest.mark.slow
async def test_nor_while_there_are_hashes_of_another_kind(office: Office) -> None:
    await office.register("ada")
    await office.register("old")
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
    async with office.database.write() as rows:
        await rows.execute(update(User).where(User.username == "old").values(password_hash=stored))
    office.parts.passwords.rounds = 8
    medians = await _medians(office, ["ada", "nobody", "old"])
    assert max(medians.values()) / min(medians.values()) < 1.4, medians


# --- the rest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [contract.Register, people.UpdateAccount, people.GenerateApiKey])
def test_nobody_gives_themselves_a_role_or_a_tier(request_: type[msgspec.Struct]) -> None:
    chosen = {field.name for field in msgspec.structs.fields(request_)}
    assert not chosen & {"role", "tier", "is_active", "user_id", "id"}


async def test_a_role_that_somebody_sends_along_is_ignored(office: Office) -> None:
    sent = {"email": "eve@example.org", "password": PASSWORD, "role": "admin", "tier": "unlimited", "isActive": True}
    request = msgspec.json.decode(json.dumps(sent), type=contract.Register)
    made = await Gateway(office).ask(contract.REGISTER, request)
    assert (made.account.role, made.account.tier) == ("user", "default")


async def test_no_secret_is_in_any_column(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    rotated = await office.keys.rotate(RotateApiKey(id=ada.key.id), ada.origin)
    invite = await office.parts.invitations.invite(InvitePerson(), root.origin)
    reset = await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
    made = await office.parts.administration.create(CreateAccount(email="bob@example.org"), root.origin)
    for planted in ("planted password", "hi_planted key"):
        with pytest.raises(Unauthenticated):
            await office.login("ada", planted)
    await office.parts.notes.written()
    written = ""
    async with office.database.read() as rows:
        for table in Base.metadata.sorted_tables:
            written += str((await rows.execute(select(text("*")).select_from(table))).all())
    assert "ada@example.org" in written  # it is where we look
    secrets = (
        PASSWORD,
        "planted",
        ada.session.access_token.rpartition(".")[2],
        *(key.key.rpartition("_")[2] for key in (root.key, ada.key, rotated)),
        *(code.rpartition("_")[2] for code in (invite.code, reset.token, made.reset and made.reset.token) if code),
    )
    for secret in secrets:
        assert secret not in written


async def test_a_credential_that_ends_while_it_is_used_does_nothing_more(office: Office) -> None:
    gateway = Gateway(office)
    ada = await office.person()
    mine = Actor(user_id=ada.id, session_id=ada.session_id)
    asked = [gateway.ask_as(people.GENERATE_API_KEY, mine) for _ in range(5)]
    results = await asyncio.gather(gateway.ask_as(people.LOGOUT, mine), *asked, return_exceptions=True)
    made = sum(isinstance(result, people.NewApiKey) for result in results)
    assert made + sum(isinstance(result, Unauthenticated) for result in results) == 5
    with pytest.raises(Unauthenticated):
        await gateway.ask_as(people.GENERATE_API_KEY, mine)


async def test_refusals_do_not_flood_the_audit_log(office: Office) -> None:
    for number in range(300):
        office.parts.notes.refused(from_(str(number)), "session.opened", details={"reason": "UNAUTHENTICATED"})
    await office.parts.notes.written()
    assert (await office.audited()).count(("session.opened", "refused")) == 120
    office.clock.advance(60)
    office.parts.notes.refused(from_("later"), "session.opened")
    await office.parts.notes.written()
    async with office.database.read() as rows:
        details = (await rows.scalars(text("SELECT details FROM audit_log ORDER BY seq DESC LIMIT 1"))).one()
    assert json.loads(details)["unnoted_before"] == "180"
