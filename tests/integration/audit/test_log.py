"""What the log says: with its change or not at all, found by filters, and naming nobody who has gone."""

import msgspec
import pytest
from sqlalchemy import text

from hyperinfer.contracts.acting import GATEWAYS, Actor, As
from hyperinfer.contracts.audit import AuditQuery, AuditRow
from hyperinfer.contracts.method import NO_META
from hyperinfer.errors import BadRequest, Forbidden
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.auth.audit.methods import audit_routes
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.origin import Origin

from .conftest import GATEWAY, Books

HOSTILE = ["'; DROP TABLE audit_log; --", "%", "_", "\\", '"', "' OR '1'='1", "\x00", "\n", "\ud800", "é" * 10]


async def rows(books: Books, query: AuditQuery | None = None) -> tuple[AuditRow, ...]:
    return (await books.log.page(query or AuditQuery())).rows


async def test_a_row_says_who_did_what_to_whom_from_where(books: Books) -> None:
    ada, bob = await books.person("ada"), await books.person("bob")
    async with books.database.change(books.origin(ada)) as change:
        await change.audit("admin.account_changed", target=bob, details={"role": "admin"})
    row = (await rows(books))[0]
    assert (row.seq, row.at, row.action, row.outcome) == (3, "2026-01-01T00:00:00Z", "admin.account_changed", "ok")
    assert (row.actor_name, row.target_name) == ("ada", "bob")
    assert (row.remote, row.gateway, row.request_id) == ("127.0.0.1", GATEWAY, "r1")
    assert row.details == {"role": "admin"}
    assert {row.actor, row.target}.isdisjoint({ada, bob, None})


async def test_what_was_taken_back_is_not_in_the_log(books: Books) -> None:
    await books.write(1)

    async def fail() -> None:
        async with books.database.change() as change:
            await change.audit("key.created")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    await books.write(1)
    assert [row.seq for row in await rows(books)] == [2, 1]
    assert (await books.verify()).intact


async def test_pages_stay_whole_while_rows_are_written(books: Books) -> None:
    await books.write(10)
    seen: list[int] = []
    query = AuditQuery(limit=3)
    while True:
        page = await books.log.page(query)
        seen += [row.seq for row in page.rows]
        await books.write(2)
        if page.next is None:
            break
        query = AuditQuery(limit=3, cursor=page.next)
    assert seen == list(range(10, 0, -1))


async def test_rows_are_found_by_time_action_and_outcome(books: Books) -> None:
    await books.write(3, action="key.created")
    await books.write(1, action="key_x.created")
    await books.write(2, action="key.revoked")
    await books.database.note(books.origin(), "session.refused", outcome="refused")

    async def found(**query: str) -> list[int]:
        return [row.seq for row in await rows(books, msgspec.convert(query, AuditQuery))]

    assert await found(action="key.created") == [3, 2, 1]
    assert await found(action="key.*") == [6, 5, 3, 2, 1]
    assert await found(action="key_*") == [4]
    assert await found(action="*") == [7, 6, 5, 4, 3, 2, 1]
    assert await found(outcome="refused") == [7]
    assert await found(since="2026-01-01T00:00:02Z", until="2026-01-01T01:00:04+01:00") == [3, 2]


async def test_an_account_finds_what_it_did_and_what_was_done_to_it(books: Books) -> None:
    ada, bob = await books.person("ada"), await books.person("bob")
    await books.write(1, by=ada)
    async with books.database.change(books.origin(bob)) as change:
        await change.audit("admin.account_changed", target=ada)
    assert [row.seq for row in await rows(books, AuditQuery(account_id=ada))] == [4, 3, 1]
    assert await rows(books, AuditQuery(account_id=str(GATEWAY))) == ()


@pytest.mark.parametrize("field", ["since", "until", "action", "account_id", "cursor"])
async def test_no_filter_reaches_the_database_as_anything_but_a_value(books: Books, field: str) -> None:
    await books.write(2)
    for hostile in HOSTILE:
        query = msgspec.structs.replace(AuditQuery(), **{field: hostile})
        if field == "account_id":
            assert await rows(books, query) == ()
        else:
            with pytest.raises(BadRequest) as caught:
                await books.log.page(query)
            assert caught.value.details == {"param": field}
    assert len(await rows(books)) == 2


async def test_what_others_say_is_stored_and_read_as_one_line(books: Books) -> None:
    for hostile in HOSTILE:
        origin = Origin(actor=Actor(user_id=hostile), remote=hostile * 100, request_id=hostile * 100)
        details = {hostile: hostile}
        await books.database.note(origin, "session.refused", outcome="refused", target=hostile, details=details)
        row = (await rows(books))[0]
        assert row.actor is row.target is None
        for said in (row.remote, row.request_id or "", *row.details, *row.details.values()):
            assert len(said.splitlines()) <= 1
            assert "\x00" not in said
    assert (await books.verify()).intact


async def test_nobody_is_named_once_the_account_is_gone(books: Books) -> None:
    ada, bob = await books.person("ada"), await books.person("bob")
    await books.write(2, by=ada)
    await books.publish()
    before = {row.actor for row in await rows(books, AuditQuery(account_id=ada))} - {None}
    await books.remove(ada)
    assert await rows(books, AuditQuery(account_id=ada)) == ()
    left = await rows(books)
    assert {row.actor_name for row in left} | {row.target_name for row in left} == {None, "bob"}
    assert before <= {row.actor for row in left}
    async with books.engine.connect() as connection:
        subjects = (await connection.execute(text("SELECT user_id FROM audit_subjects"))).scalars().all()
        assert [str(one).replace("-", "") for one in subjects] == [bob.replace("-", "")]
        whole = repr((await connection.execute(text("SELECT * FROM audit_log"))).all())
    for word in ("ada", "bob", "example.org", ada, ada.replace("-", "")):
        assert word not in whole
    assert (await books.verify()).intact


async def test_a_name_is_the_one_that_the_account_has_now(books: Books) -> None:
    ada = await books.person("ada")
    async with books.database.change() as change:
        (await change.session.get_one(User, ada)).username = "lovelace"
    assert (await rows(books))[0].target_name == "lovelace"


async def test_details_that_somebody_has_spoiled_are_shown_as_they_stand(books: Books) -> None:
    await books.write(1)
    await books.sql("UPDATE audit_log SET details = '[1'")
    assert (await rows(books))[0].details == {"unreadable": "[1"}


async def test_auth_asks_itself_whether_who_asks_is_an_administrator(books: Books) -> None:
    await books.write(1)
    asked: list[Actor] = []

    async def admit(actor: Actor) -> None:
        asked.append(actor)
        if actor.user_id != "boss":
            raise Forbidden("This is for administrators.")

    (listing,) = audit_routes(books.log, admit)
    assert (listing.method.name, listing.method.access) == ("listAudit", GATEWAYS)
    call = Call(caller=b"g" * 32, roles=frozenset({"gateway"}), meta=NO_META, deadline=1.0)
    answer = await listing.handler(As(actor=Actor(user_id="boss"), wanted=AuditQuery()), call)
    assert [row.seq for row in answer.rows] == [1]
    with pytest.raises(Forbidden):
        await listing.handler(As(actor=Actor(user_id="ada"), wanted=AuditQuery()), call)
    assert [actor.user_id for actor in asked] == ["boss", "ada"]
