"""What people do with their own account, on a real database."""

import json
import uuid
from datetime import date

import pytest
from sqlalchemy import func, inspect, select, text

from hyperinfer.contracts.auth import Login
from hyperinfer.contracts.directory import KEY, USER
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import ChangePassword, OfAccount, UpdateAccount, WithPassword
from hyperinfer.errors import BadRequest, Conflict, Forbidden, RateLimited, Unauthenticated
from hyperinfer.workers.auth import removal
from hyperinfer.workers.auth.guesses import HERE
from hyperinfer.workers.auth.models import AuditSubject, Base, RequestLog, SessionRow, UsageStats, User

from .conftest import HOME, PASSWORD, Office, Person, from_

BETTER = "another good password"
NOTHING = Nothing()


async def use(office: Office, ada: Person, requests: int = 1) -> None:
    """Usage as the ledger writes it."""
    now = office.clock.now()
    sums = dict.fromkeys(("error_count", "tokens_used", "prompt_tokens", "completion_tokens", "cost_nanos"), 0)
    async with office.database.write() as rows:
        stats = {"id": str(uuid.uuid4()), "user_id": ada.id, "api_key_id": ada.key.id, "date": date(2026, 11, 1)}
        rows.add(UsageStats(**stats, request_count=requests, created_at=now, **sums))
        for _ in range(requests):
            rows.add(
                RequestLog(
                    id=str(uuid.uuid4()),
                    user_id=ada.id,
                    api_key_id=ada.key.id,
                    prompt_hash="",
                    model_used="llama",
                    response_time_ms=1.0,
                    tokens_used=3,
                    status="success",
                    created_at=now,
                    kind="chat",
                    worker="",
                    gateway="",
                    request_id=None,
                    error_code=None,
                    prompt_tokens=1,
                    completion_tokens=2,
                    first_token_ms=None,
                    estimated=False,
                    cost_nanos=None,
                )
            )


async def test_an_account_is_shown_to_its_owner(office: Office) -> None:
    ada = await office.person()
    account = await office.parts.accounts.get(NOTHING, ada.origin)
    assert (account.id, account.username, account.email) == (ada.id, "ada", "ada@example.org")
    with pytest.raises(Forbidden, match="account"):
        await office.parts.accounts.get(NOTHING, ada.by_key)  # the first key has not that scope


async def test_a_name_is_changed_and_an_email_with_the_password(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    update = office.parts.accounts.update
    assert (await update(UpdateAccount(username=" Countess "), ada.origin)).username == "countess"
    assert (await office.told())[(USER, ada.id)]["username"] == "countess"  # type: ignore[index]  # JSON
    for taken in (UpdateAccount(username="countess"), UpdateAccount(email="ada@example.org", password=PASSWORD)):
        with pytest.raises(Conflict):
            await update(taken, bob.origin)
    for without in (None, ""):
        with pytest.raises(BadRequest) as caught:
            await update(UpdateAccount(email="l@example.org", password=without), ada.origin)
        assert caught.value.details == {"param": "password"}
    with pytest.raises(Forbidden):
        await update(UpdateAccount(email="l@example.org", password="wrong password"), ada.origin)
    changed = await update(UpdateAccount(email="l@example.org", password=PASSWORD), ada.origin)
    assert (changed.username, changed.email, changed.role, changed.tier) == (
        "countess",
        "l@example.org",
        "user",
        "default",
    )
    for reserved in (UpdateAccount(username="root"), UpdateAccount(email="x@hyperinfer.local", password=PASSWORD)):
        with pytest.raises(BadRequest, match="reserved"):
            await update(reserved, ada.origin)
    await update(UpdateAccount(username="countess"), ada.origin)  # nothing new, and nobody is told
    assert (await office.audited()).count(("account.changed", "ok")) == 2
    await office.login("l@example.org")


async def test_a_password_is_changed_by_who_knows_it_and_ends_every_other_session(office: Office) -> None:
    ada = await office.person()
    other = await office.login()
    change = office.parts.accounts.change_password
    with pytest.raises(Forbidden):
        await change(ChangePassword(current="wrong password", new=BETTER), ada.origin)
    for bad in ("short", "ada@example.org"):
        with pytest.raises(BadRequest):
            await change(ChangePassword(current=PASSWORD, new=bad), ada.origin)
    await change(ChangePassword(current=PASSWORD, new=BETTER), ada.origin)
    await office.sessions.verify(ada.session.access_token)
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(other.access_token)
    with pytest.raises(Unauthenticated):
        await office.login()
    await office.login(password=BETTER)
    await office.keys.validate(ada.key.key)
    assert {("password.changed", "ok"), ("password.asked", "refused")} <= set(await office.audited())


async def test_who_holds_a_stolen_session_guesses_the_password_no_faster(office: Office) -> None:
    ada = await office.person()
    wrong = ChangePassword(current="wrong password", new=BETTER)
    for _ in range(HERE.free):
        with pytest.raises(Forbidden):
            await office.parts.accounts.change_password(wrong, ada.origin)
    own = office.parts.accounts
    for asked in (
        own.change_password(ChangePassword(current=PASSWORD, new=BETTER), ada.origin),
        own.delete(WithPassword(password=PASSWORD), ada.origin),
        own.update(UpdateAccount(email="l@example.org", password=PASSWORD), ada.origin),
    ):
        with pytest.raises(RateLimited):
            await asked
    await office.login()


async def test_an_account_goes_wholly_and_leaves_nameless_sums(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "BATCH", 2)
    ada, bob = await office.person("ada"), await office.person("bob")
    await use(office, ada, 5)
    await use(office, bob, 1)
    with pytest.raises(Forbidden):
        await office.parts.accounts.delete(WithPassword(password="wrong password"), ada.origin)
    await office.parts.accounts.delete(WithPassword(password=PASSWORD), ada.origin)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(ada.key.key)
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(ada.session.access_token)
    with pytest.raises(Unauthenticated):
        await office.login("ada")
    told = await office.told()
    assert told[(USER, ada.id)] is told[(KEY, ada.key.id)] is None
    async with office.database.read() as rows:
        assert await rows.scalar(select(func.sum(UsageStats.request_count))) == 6
        assert await rows.scalar(select(func.count()).where(RequestLog.user_id.is_(None))) == 5
        for model in (SessionRow, AuditSubject):
            assert set(await rows.scalars(select(model.user_id))) == {bob.id}
        # Nothing anywhere names the person any more, but for the tombstones, which name no one.
        for table in Base.metadata.sorted_tables:
            for row in await rows.execute(select(table).where(text("true"))):
                if table.name != "directory":
                    assert ada.id not in map(str, row)
                assert not any("ada@example.org" in str(value) or value == "ada" for value in row), table.name
    await office.register("ada")  # the name is free again
    assert ("account.deleted", "ok") in await office.audited()


async def test_the_last_administrator_stays(office: Office) -> None:
    root = await office.admin()
    with pytest.raises(Conflict, match="last administrator"):
        await office.parts.accounts.delete(WithPassword(password=PASSWORD), root.origin)
    await office.admin("second")
    await office.parts.accounts.delete(WithPassword(password=PASSWORD), root.origin)


async def test_everything_that_is_kept_is_exported_without_a_secret_or_another_name(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    await use(office, ada, 2)
    await office.sessions.login(Login(password=PASSWORD, username="ada", agent="curl"), from_("198.51.100.4"))
    with pytest.raises(Unauthenticated):
        await office.login(password="wrong password", remote="203.0.113.66")
    await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
    await office.parts.notes.written()
    export = await office.parts.accounts.export(NOTHING, ada.origin)
    document = json.loads(bytes(export.document))
    assert document["account"]["email"] == "ada@example.org"
    assert document["account"]["last_login_at"]
    assert [key["id"] for key in document["api_keys"]] == [ada.key.id]
    assert {one["remote"] for one in document["sessions"]} == {HOME, "198.51.100.4"}
    assert [day["requests"] for day in document["usage_by_day"]] == [2]
    assert len(document["requests"]) == 2
    assert len(document["password_resets"]) == 1
    actions = {(row["action"], row["outcome"], row["by_you"]) for row in document["audit_log"]}
    assert {
        ("session.opened", "ok", True),
        ("session.opened", "refused", False),
        ("password.reset_issued", "ok", False),
        ("account.exported", "ok", True),
    } <= actions
    whole = bytes(export.document).decode()
    for secret in (ada.key.key[12:], ada.session.access_token, "argon2", root.id, "root@", "203.0.113.66"):
        assert secret not in whole
    async with office.database.read() as rows:
        columns = await rows.run_sync(lambda sync: [c["name"] for c in inspect(sync.get_bind()).get_columns("users")])
        user = await rows.get_one(User, ada.id)
    shown = {"password_hash"} ^ set(columns)
    assert shown <= set(document["account"])
    assert user.password_hash not in whole
